//! Loans of priority: what the oldest job of a queue waits for has its turns at that queue's
//! priority, if that is the higher one (SCHED-9). Without it a high job waits behind everything
//! that goes before the low one it waits for.
//!
//! A loan is noted in the job that it was made to, and lasts until that has been given to a ring or
//! has ended; the queue of the job has the best of its own priority and of the loans to its waiting
//! jobs, since those before it are in its way. A queue that has borrowed lends on: the loan follows
//! every chain of waits. Nothing recurses: queues whose priority rose stand in a list. A job can be
//! lent to twice, so that the whole of it costs O(1) per wait.

use super::list::{Linked, Links, NONE};
use super::slots::{JobState, Stands};
use super::{JobId, Priority, QueueSlot, Reservation, Scheduler, Storage};

/// Storage for one wait of a job for another; see [`Stores::waits`](super::Stores::waits).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct WaitSlot {
    links: Links,
    job: u32,
    generation: u32,
}

impl Default for WaitSlot {
    fn default() -> Self {
        Self { links: Links::NONE, job: NONE, generation: 0 }
    }
}

impl Linked for WaitSlot {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// Loans to jobs of one queue that have not been given to a ring.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(test, derive(PartialEq, Eq, Hash))]
pub(super) struct Loans {
    high: u32,
    normal: u32,
}

impl Loans {
    fn count(&mut self, level: Priority) -> Option<&mut u32> {
        match level {
            Priority::High => Some(&mut self.high),
            Priority::Normal => Some(&mut self.normal),
            // The lowest is no loan.
            Priority::Low => None,
        }
    }

    fn add(&mut self, level: Priority) {
        if let Some(count) = self.count(level) {
            *count += 1;
        }
    }

    fn remove(&mut self, level: Priority) {
        if let Some(count) = self.count(level) {
            *count -= 1;
        }
    }

    const fn best(self) -> Priority {
        if self.high > 0 {
            Priority::High
        } else if self.normal > 0 {
            Priority::Normal
        } else {
            Priority::Low
        }
    }
}

impl<P> QueueSlot<P> {
    /// The priority that it has its turns at.
    pub(super) fn level(&self) -> Priority {
        self.priority.min(self.loans.best())
    }
}

impl<S: Storage> Scheduler<S> {
    /// A reserved job waits for another one of this scheduler, by whatever fence: when it is the
    /// oldest of its queue, it lends that one its priority. Changes nothing else: the wait is
    /// declared and reported as any other, through [`dependencies`](super::JobSpec::dependencies)
    /// and [`Scheduler::dependency_done`]. Stale handles, and jobs that have been given to a ring,
    /// are ignored. O(1).
    ///
    /// If there is no [storage](super::Stores::waits) left to remember it, the priority that the
    /// queue has now is lent at once, and not what it may be raised to later.
    pub fn lend_to(&mut self, reservation: &Reservation, other: JobId) {
        if self.job_mut(other).is_none_or(|slot| slot.state != JobState::Queued) {
            return;
        }
        let Some(wait) = self.free_waits.pop_front(self.waits.as_mut()) else {
            let queue = self.jobs.as_ref()[reservation.0.index as usize].queue;
            let level = self.queues.as_ref()[queue as usize].level();
            if let Some(raised) = self.lend(other.index, level) {
                self.lend_on(raised);
            }
            return;
        };
        let slot = &mut self.waits.as_mut()[wait as usize];
        (slot.job, slot.generation) = (other.index, other.generation);
        self.jobs.as_mut()[reservation.0.index as usize].waits_for.push_back(self.waits.as_mut(), wait);
    }

    /// A queue has another oldest job, or another priority: what that job waits for has to know,
    /// and so on.
    pub(super) fn lend_on(&mut self, queue: u32) {
        let mut raised = NONE;
        self.note_raised(&mut raised, queue);
        while raised != NONE {
            let queue = raised;
            let slot = &mut self.queues.as_mut()[queue as usize];
            raised = core::mem::replace(&mut slot.next_raised, NONE);
            slot.is_raised = false;
            let level = slot.level();
            // Nothing that was not lent before.
            let Some(oldest) = slot.jobs.front().filter(|_| level < slot.lent_on) else { continue };
            slot.lent_on = level;
            let mut wait = self.jobs.as_ref()[oldest as usize].waits_for.front();
            while let Some(index) = wait {
                let slot = &mut self.waits.as_mut()[index as usize];
                let (job, generation) = (slot.job, slot.generation);
                wait = Some(slot.links.next).filter(|next| *next != NONE);
                if self.jobs.as_ref()[job as usize].generation == generation {
                    if let Some(queue) = self.lend(job, level) {
                        self.note_raised(&mut raised, queue);
                    }
                }
            }
        }
    }

    /// Lends a waiting job a priority. Gives its queue, if that has a higher priority now.
    fn lend(&mut self, job: u32, level: Priority) -> Option<u32> {
        let slot = &mut self.jobs.as_mut()[job as usize];
        if slot.state != JobState::Queued || slot.lent <= level {
            return None;
        }
        let (queue, before) = (slot.queue, core::mem::replace(&mut slot.lent, level));
        let slot = &mut self.queues.as_mut()[queue as usize];
        let was = slot.level();
        slot.loans.remove(before);
        slot.loans.add(level);
        let rose = slot.level() < was;
        self.relist(queue);
        rose.then_some(queue)
    }

    fn note_raised(&mut self, raised: &mut u32, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        if !core::mem::replace(&mut slot.is_raised, true) {
            slot.next_raised = core::mem::replace(raised, queue);
        }
    }

    /// A job stands in its queue from now on, with what it was lent before, if it was there before.
    pub(super) fn joined_queue(&mut self, job: u32) {
        let (queue, lent) = (self.jobs.as_ref()[job as usize].queue, self.jobs.as_ref()[job as usize].lent);
        if lent < Priority::Low {
            self.queues.as_mut()[queue as usize].loans.add(lent);
            self.relist(queue);
        }
    }

    /// A job does not wait in its queue any more: it waits for no other job either, and needs no
    /// loan.
    pub(super) fn left_queue(&mut self, job: u32) {
        self.forget_waits(job);
        let slot = &self.jobs.as_ref()[job as usize];
        let (queue, lent) = (slot.queue, slot.lent);
        // The queue stands in no list now, and is listed by what is left of its loans.
        self.queues.as_mut()[queue as usize].loans.remove(lent);
    }

    /// Moves a queue to where it belongs if its priority has changed.
    pub(super) fn relist(&mut self, queue: u32) {
        let slot = &self.queues.as_ref()[queue as usize];
        if slot.stands != Stands::Nowhere && slot.listed != slot.level() {
            self.unlist_queue(queue);
            self.list_again(queue);
        }
    }

    /// Gives back the memory of what a job waited for.
    pub(super) fn forget_waits(&mut self, job: u32) {
        let mut waits_for = self.jobs.as_mut()[job as usize].waits_for.take();
        while let Some(wait) = waits_for.pop_front(self.waits.as_mut()) {
            self.free_waits.push_back(self.waits.as_mut(), wait);
        }
    }
}

#[cfg(test)]
impl WaitSlot {
    /// The slot that follows in its list.
    pub(super) fn next(&self) -> u32 {
        self.links.next
    }

    /// The job that is waited for, if it still waits for its turn.
    pub(super) fn job_in<'a, F, P>(&self, jobs: &'a [super::JobSlot<F, P>]) -> Option<&'a super::JobSlot<F, P>> {
        let slot = &jobs[self.job as usize];
        (slot.generation == self.generation && slot.state == JobState::Queued).then_some(slot)
    }
}
