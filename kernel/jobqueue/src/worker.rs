// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Carries out the scheduler's tasks: a work item, of which one runs at a time.

use kernel::{
    sync::Arc,
    workqueue::{impl_has_work, WorkItem},
};
use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::RingIndex;

use crate::glue::Signalling;
use crate::hardware::{Hardware, NotRun};
use crate::scheduler::{Scheduler, Task, WORKER};

impl_has_work! {
    impl{H: Hardware} HasWork<Self, WORKER> for Scheduler<H> { self.worker_work }
}

impl<H: Hardware> WorkItem<WORKER> for Scheduler<H> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        work(&this);
    }
}

/// Carries out all tasks that there are now.
fn work<H: Hardware>(scheduler: &Arc<Scheduler<H>>) {
    let Some(hardware) = scheduler.hardware() else { return };
    {
        let _signalling = Signalling::begin();
        hardware.collect();
        while let Some(task) = scheduler.next() {
            scheduler.perform(&hardware, task);
        }
    }
    scheduler.arm_tick();
    hardware.is_idle();
}

impl<H: Hardware> Scheduler<H> {
    /// Asks all rings how far they are.
    pub(crate) fn ask_all(&self, hardware: &Arc<H>) {
        self.rings().for_each(|ring| self.ask_progress(hardware, ring));
    }

    fn ask_progress(&self, hardware: &Arc<H>, ring: RingIndex) {
        if let Some(seqno) = hardware.progress(ring) {
            self.hw_done(ring.0, seqno);
        }
    }

    /// Asks a ring whether it has begun the job that is guilty if it is reset now, and tells the core.
    fn ask_whether_begun(&self, hardware: &Arc<H>, ring: RingIndex) {
        // A job that has completed is no suspect.
        self.ask_progress(hardware, ring);
        let Some((suspect, job)) = self.suspect(ring) else { return };
        let began = hardware.began(ring, &job);
        self.suspect_began(suspect, began);
    }

    /// Carries out one task. A reset that the end of the device cuts short has no result: the core is
    /// told of the loss instead.
    fn perform(self: &Arc<Self>, hardware: &Arc<H>, task: Task<H>) {
        match task {
            Task::Release(held) => {
                if let Some(job) = &held.job {
                    hardware.done_with(job);
                }
                self.release_soon(held);
            }
            Task::Run { id, job, ring, seqno } => match hardware.run(ring, &job, seqno) {
                Ok(()) => self.started(ring, seqno),
                Err(NotRun::Gone) => {}
                Err(NotRun::Job) => self.start_failed(id),
                // No other job is written: its number would complete this one.
                Err(NotRun::Device) => {
                    self.stop();
                    hardware.give_up();
                }
            },
            Task::Reset(ring) => self.see_to_ring(hardware, ring),
            Task::ResetDevice => self.see_to_device(hardware),
            Task::LetGo { queue, kept, ring, last_look } => {
                let answer = hardware.let_go(ring, queue, &kept, last_look);
                self.let_go_answered(queue, answer);
            }
            Task::GiveUp => hardware.give_up(),
        }
    }

    fn see_to_ring(&self, hardware: &Arc<H>, ring: RingIndex) {
        self.ask_whether_begun(hardware, ring);
        // The overdue job may have completed since.
        self.ask_progress(hardware, ring);
        if let Some((job, seqno)) = self.begin_abort(ring) {
            let answer = hardware.abort(ring, &job, seqno);
            if self.abort_answered(ring, answer) {
                return;
            }
        }
        // If it is not to be reset, something larger may be: that is the next task.
        let Some(seqno) = self.begin_reset(ring) else { return };
        if let Some(works) = hardware.reset_ring(ring, seqno) {
            self.reset_done(ring, works);
        }
    }

    fn see_to_device(&self, hardware: &Arc<H>) {
        for ring in self.rings() {
            self.ask_whether_begun(hardware, ring);
            self.ask_progress(hardware, ring);
        }
        if !self.begin_device_reset() {
            return;
        }
        // The core has a number for each of its rings.
        let number = |ring| self.number_after_reset(ring).unwrap_or(Seqno::ZERO);
        if let Some(works) = hardware.reset_device(number) {
            self.device_reset_done(works);
        }
    }
}
