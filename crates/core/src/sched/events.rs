//! What can happen to jobs once they are submitted, and how the scheduler's lists follow.

use super::list::List;
use super::slots::{RingState, State};
use super::{ContextSlot, JobId, JobSlot, QueueId, QueueSlot, RingIndex, RingSlot, Scheduler};
use crate::fence::{FenceError, Seqno};
use crate::{Slots, Timestamp};

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// One of the fences a job waits for has signalled. A failed one cancels the job, since what it was to work on does
    /// not exist; it waits for no other then, but keeps its place in the queue. Stale handles are ignored: the job has
    /// ended. O(1).
    pub fn dependency_done(&mut self, job: JobId, result: Result<(), FenceError>) {
        let Some(slot) = self.job_mut(job) else { return };
        if !matches!(slot.state, State::Reserved | State::Queued) {
            return;
        }
        slot.waits = slot.waits.saturating_sub(1);
        if result.is_err() {
            slot.result = Err(FenceError::Canceled);
            slot.waits = 0;
        }
        if slot.state == State::Queued {
            let queue = slot.queue;
            self.list_if_ready(queue);
        }
    }

    /// A ring has completed everything up to `seqno`. Numbers that were never issued or are old news are ignored, so
    /// that a spurious interrupt or a bad read completes nothing. O(jobs completed).
    pub fn hw_done(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        let index = usize::from(ring.0);
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if seqno.is_after(slot.issued) || !seqno.is_after(slot.completed) {
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
        let overdue = now.plus(self.limits.job_timeout);
        let slot = &mut self.rings.as_mut()[index];
        if slot.state == RingState::Overdue && slot.pending.front() != slot.suspect {
            // It was slow, not hung.
            slot.state = RingState::Running;
        }
        slot.deadline = (!slot.pending.is_empty() && slot.state == RingState::Running).then_some(overdue);
        if seqno == slot.issued {
            // The ring has executed everything it was ever given.
            self.release_orphans(index);
        }
    }

    /// A ring stopped with a fault: its oldest job is guilty, and the ring must be reset. `seqno` is the ring's number,
    /// read together with the fault: if the ring has been reset since, the news is old and nobody is blamed. Feed
    /// [`Scheduler::hw_done`] with it first. O(1).
    pub fn fault(&mut self, ring: RingIndex, seqno: Seqno) {
        if let Some(slot) = self.rings.as_mut().get_mut(usize::from(ring.0)) {
            let current = !slot.completed.is_after(seqno);
            if current && matches!(slot.state, RingState::Running | RingState::Overdue) {
                slot.suspect_oldest(RingState::Faulted);
            }
        }
    }

    /// Time has passed. Feed [`Scheduler::hw_done`] with each ring's current number first: then a completion whose
    /// interrupt was lost is honoured, and is no hang. O(rings).
    pub fn tick(&mut self, now: Timestamp) {
        for slot in self.rings.as_mut() {
            if slot.deadline.is_some_and(|deadline| deadline <= now) && slot.state == RingState::Running {
                slot.suspect_oldest(RingState::Overdue);
            }
        }
    }

    /// The shell has carried out [`super::Action::ResetRing`]. On success the suspect is guilty, unless it completed
    /// before the reset took hold, and the others run again or fail as innocents. On failure the device is given up;
    /// jobs end when the shell then calls [`Scheduler::stop`]. O(jobs on the ring).
    pub fn reset_done(&mut self, ring: RingIndex, succeeded: bool) {
        let index = usize::from(ring.0);
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if slot.state != RingState::Resetting {
            return;
        }
        if !succeeded {
            slot.state = RingState::Dead;
            self.give_up = true;
            return;
        }
        slot.state = RingState::Running;
        // The number the ring was reset to: those given to abandoned jobs will not be written any more.
        slot.issued = slot.issued.next();
        slot.completed = slot.issued;
        let suspect = slot.suspect.take();
        self.resets += 1;
        let slot = &mut self.rings.as_mut()[index];
        if let Some(guilty) = slot.pending.front().filter(|oldest| Some(*oldest) == suspect) {
            self.leave_ring(index, guilty);
            self.jobs.as_mut()[guilty as usize].on_hardware = false;
            self.finish(guilty, Err(FenceError::Guilty));
            self.count_guilty(self.jobs.as_ref()[guilty as usize].queue);
        }
        self.requeue_innocents(index);
    }

    /// The user of a queue is gone: what has not reached the ring is canceled, what has runs on, and the queue lives
    /// until the hardware is done with it. Stale handles are ignored. O(jobs canceled).
    pub fn kill_queue(&mut self, queue: QueueId) {
        let Some(slot) = self.queue_mut(queue) else { return };
        slot.killed = true;
        let waiting = slot.jobs.take();
        self.finish_all(waiting, FenceError::Canceled);
        self.free_queue_if_unused(queue.index);
    }

    /// No more work: every fence signals `error` now, also that of jobs on the hardware, whose payloads stay owned
    /// until [`Scheduler::hardware_gone`]. There is no way back. Idempotent: the first reason counts.
    /// O(jobs + queues).
    pub fn stop(&mut self, error: FenceError) {
        let error = *self.stopped.get_or_insert(error);
        self.give_up = false;
        for index in 0..self.rings.as_ref().len() {
            let slot = &mut self.rings.as_mut()[index];
            slot.state = RingState::Dead;
            slot.deadline = None;
            self.unlist_queues(index);
            while let Some(job) = self.rings.as_ref()[index].pending.front() {
                self.leave_ring(index, job);
                self.finish(job, Err(error));
            }
        }
        for index in 0..self.queues.as_ref().len() {
            let waiting = self.queues.as_mut()[index].jobs.take();
            self.finish_all(waiting, error);
        }
    }

    /// The hardware cannot reach memory any more: payloads of jobs it was given are released. Only after
    /// [`Scheduler::stop`]; before, it does nothing. O(jobs released).
    pub fn hardware_gone(&mut self) {
        if self.stopped.is_none() {
            return;
        }
        for index in 0..self.rings.as_ref().len() {
            self.release_orphans(index);
        }
        // Ended but not signalled yet: nothing holds their payload back any more.
        for job in self.jobs.as_mut() {
            job.on_hardware = false;
        }
    }

    /// Takes the oldest job off its ring.
    fn leave_ring(&mut self, ring: usize, job: u32) {
        let slot = &mut self.rings.as_mut()[ring];
        slot.pending.pop_front(self.jobs.as_mut());
        let job = &self.jobs.as_ref()[job as usize];
        slot.credits += job.cost;
        let queue = job.queue;
        self.left_ring(queue);
    }

    /// Jobs that were on a ring when it was reset for another's fault.
    fn requeue_innocents(&mut self, ring: usize) {
        let innocents = self.rings.as_mut()[ring].pending.take();
        // From the last to the first, each to the front of its queue: the order in each queue stays.
        let mut innocents = innocents.reversed(self.jobs.as_mut());
        while let Some(job) = innocents.pop_front(self.jobs.as_mut()) {
            let slot = &mut self.jobs.as_mut()[job as usize];
            slot.on_hardware = false;
            let (queue, cost, restartable) = (slot.queue, slot.cost, slot.restartable);
            self.rings.as_mut()[ring].credits += cost;
            let goes_on = !self.queues.as_ref()[queue as usize].killed && !self.is_banned(queue);
            if restartable && goes_on {
                self.jobs.as_mut()[job as usize].state = State::Queued;
                self.queues.as_mut()[queue as usize].jobs.push_front(self.jobs.as_mut(), job);
            } else {
                self.finish(job, Err(FenceError::Innocent));
                self.count_innocent(queue);
            }
            self.left_ring(queue);
        }
    }

    /// Nothing runs on this ring any more, so no queue waits for it.
    fn unlist_queues(&mut self, ring: usize) {
        for priority in 0..super::PRIORITIES {
            let mut ready = self.rings.as_mut()[ring].ready[priority].take();
            while let Some(queue) = ready.pop_front(self.queues.as_mut()) {
                self.queues.as_mut()[queue as usize].listed = false;
                self.free_queue_if_unused(queue);
            }
        }
    }

    fn release_orphans(&mut self, ring: usize) {
        let mut orphans = self.rings.as_mut()[ring].orphans.take();
        while let Some(job) = orphans.pop_front(self.jobs.as_mut()) {
            self.jobs.as_mut()[job as usize].state = State::Done;
            self.done.push_back(self.jobs.as_mut(), job);
        }
    }

    fn finish_all(&mut self, mut jobs: List, error: FenceError) {
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
