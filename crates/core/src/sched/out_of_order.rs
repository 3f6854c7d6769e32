//! Completion out of order: rings that report single jobs, in whatever order (SCHED-11).
//!
//! A ring that works on several jobs at once, or a firmware that schedules queues itself, has no
//! number up to which everything is done. Such a ring reports each job by itself:
//!
//! | the job with the reported number | what comes of the report |
//! |---|---|
//! | is on the ring, and no older job of its queue is | the job has completed; the jobs before and behind it stay |
//! | is on the ring behind an older one of its queue | nothing: jobs of a queue run in order, so the report cannot be true, and to believe it would release memory that the hardware may still read |
//! | is not on the ring: it was reported before, a reset took it away, or the number was never given out | nothing |
//! | was on the ring when the device was lost, and its fence has signalled that | its payload is released |
//! | the same, and its signal is still owed | nothing; the payload is released when the hardware is [gone](Scheduler::hardware_gone) |
//!
//! Of a firmware that keeps the order within each queue, the second line is never seen. For
//! hardware that keeps no order at all, an [unordered](RingSlot::unordered) ring is given one job
//! of a queue at a time.
//!
//! An unordered ring works on all its jobs at once, so the time of each begins when the ring has
//! it, and the first that is over makes the ring suspect. On any other ring it is the oldest job
//! that is left which is judged, from when it is the oldest. What completes elsewhere on the ring
//! neither renews a job's time nor clears a suspect. Of the ring's time, each job that completes is
//! charged what has passed since the completion before.

use super::list::{List, NONE};
use super::slots::JobState;
use super::{JobSlot, RingIndex, RingSlot, Scheduler, Storage};
use crate::fence::Seqno;
use crate::Timestamp;

impl RingSlot {
    /// A ring that may execute jobs in another order than it was given them. Jobs of one queue
    /// still run in order: the ring has at most one of each queue at a time. To be reported with
    /// [`Scheduler::hw_done_one`].
    #[must_use]
    pub fn unordered(self) -> Self {
        Self { unordered: true, ..self }
    }
}

impl<S: Storage> Scheduler<S> {
    /// A ring has completed the job with this number, whatever became of older ones. Beside it,
    /// [`Scheduler::hw_done`] goes on to complete everything up to a number. Ignored, besides what
    /// the table above says: what is read while the whole device is being reset. O(jobs on the ring
    /// that are older).
    pub fn hw_done_one(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        let index = usize::from(ring.0);
        let Some(job) = self.leaving_job(index, seqno) else { return };
        let was_oldest = self.rings.as_ref()[index].pending.front() == Some(job);
        self.was_given(index, seqno);
        let mut done = Some(job);
        self.end_completed(index, now, |_| done.take());
        self.has_left(index, seqno, was_oldest);
    }

    /// The job that a ring is done with as it says, if that can be so. After the loss of the device
    /// the job is released here and now.
    pub(super) fn leaving_job(&mut self, ring: usize, seqno: Seqno) -> Option<u32> {
        if self.numbers_are_void() || ring >= self.rings.as_ref().len() {
            return None;
        }
        if self.lost.is_some() {
            self.release_orphan(ring, seqno);
            return None;
        }
        self.completed_job(ring, seqno)
    }

    /// One job has left a ring: the number up to which everything is done follows.
    pub(super) fn has_left(&mut self, ring: usize, seqno: Seqno, was_oldest: bool) {
        let slot = &mut self.rings.as_mut()[ring];
        if slot.pending.is_empty() {
            slot.completed = slot.issued;
        } else if was_oldest {
            slot.completed = seqno;
        }
    }

    /// The job with a number on a ring, if it can have completed: no older one of its queue is
    /// there.
    fn completed_job(&self, ring: usize, seqno: Seqno) -> Option<u32> {
        let jobs = self.jobs.as_ref();
        let on_ring = self.rings.as_ref()[ring].pending;
        let job = indices(jobs, on_ring).find(|job| !seqno.is_after(jobs[*job as usize].seqno))?;
        let slot = &jobs[job as usize];
        if slot.seqno != seqno {
            return None;
        }
        let alone = self.queues.as_ref()[slot.queue as usize].running <= 1;
        let same_queue = |other: u32| jobs[other as usize].queue == slot.queue;
        (alone || indices(jobs, on_ring).find(|other| same_queue(*other)) == Some(job)).then_some(job)
    }

    /// After the loss of the device: the hardware is done with a job that has signalled.
    fn release_orphan(&mut self, ring: usize, seqno: Seqno) {
        let jobs = self.jobs.as_ref();
        let orphans = self.rings.as_ref()[ring].orphans;
        let Some(job) = indices(jobs, orphans).find(|job| jobs[*job as usize].seqno == seqno) else { return };
        self.rings.as_mut()[ring].orphans.remove(self.jobs.as_mut(), job);
        self.jobs.as_mut()[job as usize].state = JobState::Done;
        self.done.push_back(self.jobs.as_mut(), job);
    }
}

/// The jobs of a list, first to last.
fn indices<F, P>(jobs: &[JobSlot<F, P>], list: List) -> impl Iterator<Item = u32> + '_ {
    core::iter::successors(list.front(), move |job| {
        #[cfg(test)]
        super::tests::count_step();
        Some(jobs[*job as usize].links.next).filter(|next| *next != NONE)
    })
}
