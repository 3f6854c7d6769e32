//! Halting: for a while, or for good.

use super::slots::{DeviceState, JobState, RingState};
use super::{list, Scheduler, Storage};
use crate::fence::FenceError;
use crate::Timestamp;

impl<S: Storage> Scheduler<S> {
    /// Nothing is given to rings until [`Scheduler::start`]: to look at the device, or to reset it
    /// by hand. What is on rings completes, what is submitted waits, and no job's time passes.
    /// O(rings).
    pub fn stop(&mut self) {
        self.stopped = true;
        for slot in self.rings.as_mut() {
            slot.deadline = None;
        }
    }

    /// Goes on after [`Scheduler::stop`]. Jobs whose time had begun have their whole time again.
    /// O(jobs + queues).
    pub fn start(&mut self, now: Timestamp) {
        if core::mem::take(&mut self.stopped) {
            self.jobs.as_mut().iter_mut().for_each(|job| job.deadline = None);
            self.renew_let_go(now);
            for ring in 0..self.rings.as_ref().len() {
                self.charge_so_far(ring, now);
                self.watch(ring, now);
                self.await_abort(ring, now);
            }
        }
    }

    /// The scheduler is given up while the device is there, with jobs waiting, queued and running:
    /// as [`Scheduler::lose`], with [`FenceError::Canceled`] for the jobs that have not completed
    /// (SCHED-1). What then follows is signals and releases, and nothing that needs the device.
    /// O(jobs + queues).
    pub fn tear_down(&mut self) {
        self.lose(FenceError::Canceled);
    }

    /// The device is lost: every fence signals `error` now, also that of jobs on the hardware,
    /// whose payloads stay owned until it has completed all it was given, or
    /// [`Scheduler::hardware_gone`]. No timeout is waited for any more (SCHED-5). There is no way
    /// back. Idempotent: the first reason counts. O(jobs + queues).
    pub fn lose(&mut self, error: FenceError) {
        if self.lost.is_none() && error == FenceError::Lost {
            self.count_loss();
        }
        let error = *self.lost.get_or_insert(error);
        self.give_up = false;
        self.device = match self.device {
            DeviceState::Resetting | DeviceState::Failed => DeviceState::Failed,
            DeviceState::Running | DeviceState::Suspect | DeviceState::Asked | DeviceState::Gone => DeviceState::Gone,
        };
        for index in 0..self.rings.as_ref().len() {
            let slot = &mut self.rings.as_mut()[index];
            slot.state = RingState::Dead;
            slot.deadline = None;
            while let Some(job) = self.rings.as_ref()[index].pending.front() {
                self.leave_ring(index, job);
                self.settle_job(index, job, None);
                self.finish(job, Err(error));
            }
        }
        for queue in 0..list::count(self.queues.as_ref()) {
            self.unlist_queue(queue);
            let slot = &mut self.queues.as_mut()[queue as usize];
            // Nothing is given to rings any more, so no queue needs an event slot.
            slot.event = None;
            let waiting = slot.jobs.take();
            self.finish_waiting(waiting, error);
            self.free_queue_if_unused(queue);
        }
    }

    /// The hardware cannot reach memory any more: payloads of jobs it was given are released, and
    /// those of queues. Only after [`Scheduler::lose`]; before, it does nothing. O(jobs + queues).
    pub fn hardware_gone(&mut self) {
        if self.lost.is_none() {
            return;
        }
        for index in 0..self.rings.as_ref().len() {
            self.release_orphans(index);
        }
        // Ended but not signalled yet: nothing holds their payload back any more.
        for job in self.jobs.as_mut() {
            job.on_hardware = false;
        }
        self.release_all_held();
    }

    pub(super) fn release_orphans(&mut self, ring: usize) {
        let mut orphans = self.rings.as_mut()[ring].orphans.take();
        while let Some(job) = orphans.pop_front(self.jobs.as_mut()) {
            self.jobs.as_mut()[job as usize].state = JobState::Done;
            self.done.push_back(self.jobs.as_mut(), job);
        }
    }
}
