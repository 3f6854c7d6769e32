// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The jobs that have not ended, for reports.

use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{self, RingIndex, RingNumbers};

use crate::glue::{FenceName, Unsignalled};
use crate::hardware::Hardware;
use crate::heap::{Heap, Held};
use crate::scheduler::Scheduler;

/// The jobs that have not ended, while the scheduler is locked: whoever looks must not wait, allocate, or drop a job.
pub struct Unfinished<'a, H: Hardware>(&'a sched::Scheduler<Heap<H>>);

/// A job that has not ended.
pub struct Pending<'a, J> {
    /// The ring that it is on, or waits for.
    pub ring: u8,
    /// The slot of its queue.
    pub queue: u32,
    /// The number that its ring reports its completion with; `None` if it has not been given to the ring.
    pub seqno: Option<Seqno>,
    /// Fences that it waits for.
    pub waits: u32,
    /// The job is guilty if its ring is reset now.
    pub is_suspect: bool,
    /// Its fence.
    pub fence: FenceName,
    /// The job.
    pub job: &'a J,
}

impl<H: Hardware> Scheduler<H> {
    /// Lends the jobs that have not ended. Takes the scheduler's lock.
    pub fn unfinished<T>(&self, look: impl FnOnce(&Unfinished<'_, H>) -> T) -> T {
        self.with_core(|core| look(&Unfinished(core)))
    }
}

impl<H: Hardware> Unfinished<'_, H> {
    /// How far a ring is; `None` if there is no such ring.
    pub fn numbers(&self, ring: u8) -> Option<RingNumbers> {
        self.0.numbers(RingIndex(ring))
    }

    /// The jobs on a ring, oldest first.
    pub fn on_ring(&self, ring: u8) -> impl Iterator<Item = Pending<'_, H::Job>> {
        self.0.on_ring(RingIndex(ring)).filter_map(pending::<H>)
    }

    /// The jobs that wait for their turn: of each queue the oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = Pending<'_, H::Job>> {
        self.0.waiting().filter_map(pending::<H>)
    }
}

fn pending<'a, H: Hardware>(
    unfinished: sched::Unfinished<'a, Unsignalled, kernel::alloc::KBox<Held<H>>>,
) -> Option<Pending<'a, H::Job>> {
    let sched::Unfinished { queue, ring, seqno, waits, suspect, fence, payload } = unfinished;
    // There is one from the commit on.
    let job = payload.job.as_ref()?;
    Some(Pending { ring: ring.0, queue, seqno, waits, is_suspect: suspect, fence: fence.name(), job })
}
