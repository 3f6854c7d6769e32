//! What can happen to jobs once they are submitted, and how the scheduler's lists follow.

use super::list::List;
use super::slots::{Blame, JobState, RingState, Tried};
use super::turns::nanoseconds;
use super::{IfDependencyFails, JobId, JobSlot, QueueId, RingIndex, Scheduler, Storage};
use crate::fence::{FenceError, Seqno};
use crate::Timestamp;

impl<S: Storage> Scheduler<S> {
    /// One of the fences a job waits for has signalled. A failed one cancels the job, unless it was
    /// declared to [run all the same](super::IfDependencyFails); it waits for no other then, but
    /// keeps its place in the queue. Stale handles are ignored: the job has ended. O(1).
    pub fn dependency_done(&mut self, job: JobId, result: Result<(), FenceError>) {
        let Some(slot) = self.job_mut(job) else { return };
        if !matches!(slot.state, JobState::Reserved | JobState::Queued) {
            return;
        }
        slot.waits = slot.waits.saturating_sub(1);
        if result.is_err() && slot.if_dependency_fails == IfDependencyFails::Cancel {
            slot.result = Err(FenceError::Canceled);
            slot.waits = 0;
        }
        if slot.state == JobState::Queued {
            let queue = slot.queue;
            self.list_if_ready(queue);
        }
    }

    /// A ring has completed everything up to `seqno`. Numbers that were never issued or are old
    /// news are ignored, so that a spurious interrupt or a bad read completes nothing; so is what
    /// is read while the whole device is being reset. O(jobs completed).
    pub fn hw_done(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        let index = usize::from(ring.0);
        let void = self.numbers_are_void();
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if void || seqno.is_after(slot.issued) || !seqno.is_after(slot.completed) {
            return;
        }
        slot.completed = seqno;
        let all_done = seqno == slot.issued;
        self.was_given(index, seqno);
        self.end_completed(index, now, |this| {
            let oldest = this.rings.as_ref()[index].pending.front()?;
            (!this.jobs.as_ref()[oldest as usize].seqno.is_after(seqno)).then_some(oldest)
        });
        if all_done {
            // The ring has executed everything it was ever given.
            self.release_orphans(index);
        }
    }

    /// A ring that has completed a number was given that number and all before it, although
    /// [`Scheduler::started`] may not have said so yet.
    pub(super) fn was_given(&mut self, ring: usize, seqno: Seqno) {
        let slot = &mut self.rings.as_mut()[ring];
        if seqno.is_after(slot.given) {
            slot.given = seqno;
        }
    }

    /// Ends the jobs that `next` says have completed, one after the other, and judges the time of
    /// what is left.
    pub(super) fn end_completed(&mut self, ring: usize, now: Timestamp, mut next: impl FnMut(&Self) -> Option<u32>) {
        let slot = &mut self.rings.as_mut()[ring];
        let (blame, accused) = (slot.blame, slot.accused());
        let since = slot.since.take();
        let mut done = List::EMPTY;
        let mut count = 0;
        while let Some(job) = next(self) {
            self.leave_ring(ring, job);
            self.jobs.as_mut()[job as usize].on_hardware = false;
            done.push_back(self.jobs.as_mut(), job);
            count += 1;
        }
        // Completions that are reported together have had equal parts of the time, as far as
        // anybody knows.
        let took = nanoseconds(since.unwrap_or(now), now).checked_div(count).unwrap_or(0);
        while let Some(job) = done.pop_front(self.jobs.as_mut()) {
            self.settle_job(ring, job, Some(took));
            self.finish(job, Ok(()));
        }
        let slot = &mut self.rings.as_mut()[ring];
        if count > 0 {
            // A job of a user's: whatever was reset has helped.
            slot.tried = Tried::Nothing;
        }
        self.judge_anew(ring, (blame, accused), now);
    }

    /// Jobs have left a ring: clears it if its suspect was among them, and judges the time of what
    /// is left.
    pub(super) fn judge_anew(&mut self, ring: usize, (blame, accused): (Blame, Option<u32>), now: Timestamp) {
        let slot = &mut self.rings.as_mut()[ring];
        if slot.accused() != accused {
            // Whichever job is accused now was not looked at.
            slot.acquitted = false;
        }
        let doubted = matches!(slot.state, RingState::Suspect | RingState::Asked | RingState::Aborting);
        if doubted && slot.blame != blame {
            // The doubt is over: the job was slow and not hung, or the ring has given it up.
            self.clear(ring, now);
        } else {
            self.watch(ring, now);
        }
    }

    /// A job that was handed out by [`super::Action::Run`] could not be given to the hardware, for
    /// a reason of its own: it fails as guilty, and its context is charged; the ring goes on. To be
    /// called before anything is given to the ring that was handed out after it: a later number
    /// would complete it. Stale handles are ignored. O(1).
    pub fn start_failed(&mut self, job: JobId) {
        let Some(slot) = self.job_mut(job).filter(|slot| slot.state == JobState::Running) else { return };
        slot.on_hardware = false;
        let (ring, queue, cost) = (usize::from(slot.ring.0), slot.queue, slot.cost);
        let slot = &mut self.rings.as_mut()[ring];
        slot.pending.remove(self.jobs.as_mut(), job.index);
        slot.credits += cost;
        // Numbers that the hardware was never given are given to later jobs: else the ring would
        // never be idle. A number that it was given may have been reported already, before older
        // ones.
        let last = slot.pending.back().map(|job| self.jobs.as_ref()[job as usize].seqno);
        let last = last.unwrap_or(slot.completed);
        slot.issued = if slot.given.is_after(last) { slot.given } else { last };
        self.settle_job(ring, job.index, None);
        self.finish(job.index, Err(FenceError::Guilty));
        self.count_lone_failure(queue);
        self.left_ring(queue);
    }

    /// The user of a queue is gone: what has not reached the ring is canceled, what has runs on,
    /// and the queue lives until the hardware is done with it, and a firmware that
    /// [holds](Scheduler::firmware_holds) something of it has let go. Stale handles are ignored.
    /// O(jobs canceled).
    pub fn kill_queue(&mut self, queue: QueueId) {
        let Some(slot) = self.queue_mut(queue) else { return };
        slot.killed = true;
        let waiting = slot.jobs.take();
        self.unlist_queue(queue.index);
        self.finish_waiting(waiting, FenceError::Canceled);
        self.give_event_slot_back(queue.index);
        self.owe_question(queue.index);
        self.free_queue_if_unused(queue.index);
    }

    /// Takes a job off its ring.
    pub(super) fn leave_ring(&mut self, ring: usize, job: u32) {
        let slot = &mut self.rings.as_mut()[ring];
        slot.pending.remove(self.jobs.as_mut(), job);
        if slot.blame == Blame::Overdue(job) {
            // The job's slot may be another job's soon.
            slot.blame = Blame::Nobody;
        }
        let job = &self.jobs.as_ref()[job as usize];
        slot.credits += job.cost;
        let queue = job.queue;
        self.left_ring(queue);
    }

    /// Jobs that stood in a queue, which they have been taken out of, end with an error.
    pub(super) fn finish_waiting(&mut self, mut jobs: List, error: FenceError) {
        while let Some(job) = jobs.pop_front(self.jobs.as_mut()) {
            self.left_queue(job);
            self.finish(job, Err(error));
        }
    }

    /// A job leaves its ring after so many nanoseconds, or was not executed: its context is charged
    /// for that.
    pub(super) fn settle_job(&mut self, ring: usize, job: u32, took: Option<u64>) {
        let slot = &mut self.jobs.as_mut()[job as usize];
        let (queue, charged) = (slot.queue, (core::mem::take(&mut slot.charged), slot.charged_at));
        self.settle(ring, queue, charged, took);
    }

    /// The job has ended; its fence is owed. The caller has taken it out of its list.
    pub(super) fn finish(&mut self, job: u32, result: Result<(), FenceError>) {
        let slot = &mut self.jobs.as_mut()[job as usize];
        slot.state = JobState::Finished;
        slot.result = result;
        self.finished.push_back(self.jobs.as_mut(), job);
    }

    /// Gives a job's slot back; its handle becomes stale.
    pub(super) fn free(&mut self, job: u32) {
        self.forget_waits(job);
        let slot = &mut self.jobs.as_mut()[job as usize];
        let (generation, queue) = (slot.generation.wrapping_add(1), slot.queue);
        *slot = JobSlot { generation, ..JobSlot::default() };
        self.free_jobs.push_back(self.jobs.as_mut(), job);
        let held = self.jobs_of_context(queue).map(|held| {
            *held -= 1;
            *held
        });
        self.job_places.give_back(held);
        let slot = &mut self.queues.as_mut()[queue as usize];
        slot.held -= 1;
        if slot.held == 0 {
            slot.largest = 0;
        }
        self.free_queue_if_unused(queue);
    }
}
