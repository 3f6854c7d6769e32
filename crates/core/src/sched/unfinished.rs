//! What has not ended, for reports.

use super::list::NONE;
use super::{RingIndex, Scheduler, Storage};
use crate::fence::Seqno;

/// A job that was committed and has not ended.
#[derive(Debug)]
pub struct Unfinished<'a, F, P> {
    /// Which slot its queue has: for names and tables.
    pub queue: u32,
    /// The ring that it is on, or waits for.
    pub ring: RingIndex,
    /// The number that its ring reports its completion with; `None` if it waits for its turn.
    pub seqno: Option<Seqno>,
    /// Fences that it waits for.
    pub waits: u32,
    /// The job is guilty if its ring is reset now.
    pub suspect: bool,
    /// The signalling side of its fence.
    pub fence: &'a F,
    /// What it keeps alive.
    pub payload: &'a P,
}

/// How far a ring is, as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingNumbers {
    /// The number last given to a job, or to a reset.
    pub issued: Seqno,
    /// The number up to which everything is known to be complete.
    pub completed: Seqno,
}

impl<S: Storage> Scheduler<S> {
    /// The jobs on a ring, oldest first. O(jobs on the ring), as far as it is used.
    pub fn on_ring(&self, ring: RingIndex) -> impl Iterator<Item = Unfinished<'_, S::Fence, S::Payload>> + '_ {
        let front = self.rings.as_ref().get(usize::from(ring.0)).and_then(|slot| slot.pending.front());
        self.linked(front, true)
    }

    /// The jobs that wait for their turn: of each queue the oldest first. O(queues + jobs), as far
    /// as it is used.
    pub fn waiting(&self) -> impl Iterator<Item = Unfinished<'_, S::Fence, S::Payload>> + '_ {
        self.queues.as_ref().iter().flat_map(|queue| self.linked(queue.jobs.front(), false))
    }

    /// How far a ring is, or `None` if there is no such ring. O(1).
    pub fn numbers(&self, ring: RingIndex) -> Option<RingNumbers> {
        let slot = self.rings.as_ref().get(usize::from(ring.0))?;
        Some(RingNumbers { issued: slot.issued, completed: slot.completed })
    }

    fn suspect_of(&self, ring: RingIndex) -> Option<u32> {
        self.rings.as_ref().get(usize::from(ring.0))?.guilty()
    }

    /// From one job of a list to its end.
    fn linked(
        &self,
        front: Option<u32>,
        given: bool,
    ) -> impl Iterator<Item = Unfinished<'_, S::Fence, S::Payload>> + '_ {
        let slot = move |index: u32| self.jobs.as_ref().get(index as usize);
        core::iter::successors(front, move |index| slot(*index).map(|job| job.links.next).filter(|link| *link != NONE))
            .filter_map(move |index| {
                let job = slot(index)?;
                let queue = self.queues.as_ref().get(job.queue as usize)?;
                Some(Unfinished {
                    queue: job.queue,
                    ring: if given { job.ring } else { queue.ring },
                    seqno: given.then_some(job.seqno),
                    waits: job.waits,
                    suspect: given && self.suspect_of(job.ring) == Some(index),
                    fence: job.fence.as_ref()?,
                    payload: job.payload.as_ref()?,
                })
            })
    }
}
