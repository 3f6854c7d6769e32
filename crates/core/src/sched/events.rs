//! What can happen to jobs once they are submitted, and how the scheduler's lists follow.

use super::list::List;
use super::slots::{Cause, RingState, State};
use super::{ContextSlot, IfDependencyFails, JobId, JobSlot, QueueId, QueueSlot, RingIndex, RingSlot, Scheduler};
use crate::fence::{FenceError, Seqno};
use crate::{Slots, Timestamp};

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// One of the fences a job waits for has signalled. A failed one cancels the job, unless it was declared to
    /// [run all the same](super::IfDependencyFails); it waits for no other then, but keeps its place in the queue. Stale
    /// handles are ignored: the job has ended. O(1).
    pub fn dependency_done(&mut self, job: JobId, result: Result<(), FenceError>) {
        let Some(slot) = self.job_mut(job) else { return };
        if !matches!(slot.state, State::Reserved | State::Queued) {
            return;
        }
        slot.waits = slot.waits.saturating_sub(1);
        if result.is_err() && slot.if_dependency_fails == IfDependencyFails::Cancel {
            slot.result = Err(FenceError::Canceled);
            slot.waits = 0;
        }
        if slot.state == State::Queued {
            let queue = slot.queue;
            self.list_if_ready(queue);
        }
    }

    /// A ring has completed everything up to `seqno`. Numbers that were never issued or are old news are ignored, so
    /// that a spurious interrupt or a bad read completes nothing; so is what is read while the whole device is being
    /// reset. O(jobs completed).
    pub fn hw_done(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        let index = usize::from(ring.0);
        let void = self.numbers_are_void();
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if void || seqno.is_after(slot.issued) || !seqno.is_after(slot.completed) {
            return;
        }
        slot.completed = seqno;
        while let Some(job) = self.rings.as_ref()[index].pending.front() {
            if self.jobs.as_ref()[job as usize].seqno.is_after(seqno) {
                break;
            }
            self.leave_ring(index, job);
            self.jobs.as_mut()[job as usize].on_hardware = false;
            self.finish(job, Ok(()));
        }
        let slot = &mut self.rings.as_mut()[index];
        slot.extensions = 0;
        if slot.state == RingState::Suspect(Cause::Overdue) && slot.pending.front() != slot.suspect {
            // It was slow, not hung. Its slot may be another job's soon.
            slot.state = RingState::Running;
            slot.suspect = None;
        }
        let all_done = seqno == slot.issued;
        self.watch(index, now);
        if all_done {
            // The ring has executed everything it was ever given.
            self.release_orphans(index);
        }
    }

    /// The user of a queue is gone: what has not reached the ring is canceled, what has runs on, and the queue lives
    /// until the hardware is done with it. Stale handles are ignored. O(jobs canceled + queues
    /// that wait for their turn beside it).
    pub fn kill_queue(&mut self, queue: QueueId) {
        let Some(slot) = self.queue_mut(queue) else { return };
        slot.killed = true;
        let waiting = slot.jobs.take();
        self.unlist_queue(queue.index);
        self.finish_all(waiting, FenceError::Canceled);
        self.give_event_slot_back(queue.index);
        self.free_queue_if_unused(queue.index);
    }

    /// Takes the oldest job off its ring.
    pub(super) fn leave_ring(&mut self, ring: usize, job: u32) {
        let slot = &mut self.rings.as_mut()[ring];
        slot.pending.pop_front(self.jobs.as_mut());
        let job = &self.jobs.as_ref()[job as usize];
        slot.credits += job.cost;
        let queue = job.queue;
        self.left_ring(queue);
    }

    pub(super) fn finish_all(&mut self, mut jobs: List, error: FenceError) {
        while let Some(job) = jobs.pop_front(self.jobs.as_mut()) {
            self.finish(job, Err(error));
        }
    }

    /// The job has ended; its fence is owed. The caller has taken it out of its list.
    pub(super) fn finish(&mut self, job: u32, result: Result<(), FenceError>) {
        let slot = &mut self.jobs.as_mut()[job as usize];
        slot.state = State::Finished;
        slot.result = result;
        self.finished.push_back(self.jobs.as_mut(), job);
    }

    /// Gives a job's slot back; its handle becomes stale.
    pub(super) fn free(&mut self, job: u32) {
        let slot = &mut self.jobs.as_mut()[job as usize];
        let (generation, queue) = (slot.generation.wrapping_add(1), slot.queue);
        *slot = JobSlot { generation, ..JobSlot::default() };
        self.free_jobs.push_back(self.jobs.as_mut(), job);
        let slot = &mut self.queues.as_mut()[queue as usize];
        slot.held -= 1;
        self.free_queue_if_unused(queue);
    }
}
