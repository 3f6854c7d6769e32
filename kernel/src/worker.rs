// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Performs the scheduler's tasks: a work item, which owns the rings.

use kernel::{
    prelude::*,
    sync::{atomic::Full, Arc},
    workqueue::{impl_has_work, WorkItem},
};
use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{Began, ErrorScope, RingIndex};
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{Driver, DriverError};

use crate::device::{Device, WORKER};
use crate::drive::CUT_SHORT;
use crate::engine::Task;
use crate::interrupt;
use crate::registration::Driven;
use crate::ring::Rings;
use crate::shown::Shown;

impl_has_work! {
    impl HasWork<Self, WORKER> for Device { self.worker_work }
}

impl WorkItem<WORKER> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        work(&this);
    }
}

impl Device {
    /// Has the worker look whether there is something to do.
    pub(crate) fn kick(self: &Arc<Self>) {
        let _ = self.shared.queue.enqueue::<_, WORKER>(self.clone());
    }
}

/// Performs all tasks that there are now.
fn work(device: &Arc<Device>) {
    {
        let mut rings = device.rings.lock();
        if device.in_memory.xchg(false, Full) {
            rings.collect(&device.link, |ring, progress| interrupt::report(device, ring, progress));
        }
        while let Some(task) = device.engine.next() {
            perform(device, &mut rings, task);
        }
    }
    // `Engine::submit` gives no job a limit of its own, so all have the same one, and a tick that is armed already
    // comes in time for the oldest. A job with a shorter limit would need the armed tick to be moved.
    if let Some(wait) = device.engine.due_in() {
        device.tick_in(wait);
    }
    if device.load.is_on() {
        device.kick_load();
    }
}

/// Asks a ring how far it is. An error is reported already.
pub(crate) fn ask_progress(device: &Arc<Device>, ring: u8) {
    if !Driven::in_order(&device.info, ring) {
        // The ring's single completions, if the message about them was lost.
        let _ = interrupt::attend(device);
    }
    if let Ok(seqno) = device.io(|io| Driven::progress(io, ring)) {
        device.engine.hw_done(ring, seqno);
    }
}

/// Asks a ring whether it has begun the job that is guilty if it is reset now, and tells the
/// scheduler.
fn ask_whether_begun(device: &Arc<Device>, rings: &Rings, index: RingIndex) {
    // A job that has completed is no suspect.
    ask_progress(device, index.0);
    let Some((suspect, job)) = device.engine.suspect(index) else { return };
    let began = rings.began(&device.link, index.0, &job);
    if began == Began::No {
        dev_warn!(device.pci, "ring {} is not in the job that is overdue or faulted: nobody is to blame\n", index.0);
    }
    device.engine.suspect_began(suspect, began);
}

/// Performs one task. A reset that is [cut short](CUT_SHORT) has no result: the scheduler is told
/// of the loss instead.
fn perform(device: &Arc<Device>, rings: &mut Rings, task: Task) {
    match task {
        Task::Release(job) => drop(job),
        Task::Run { id, job, ring: index, seqno } => {
            match device.noticed(rings.run(&device.link, index.0, &job, seqno)) {
                Ok(()) => device.engine.started(index, seqno),
                Err(DriverError::Gone | CUT_SHORT) => {}
                Err(error) if error.scope() == ErrorScope::Job => {
                    dev_warn!(device.pci, "a job was not given to ring {}: {}\n", index.0, Shown(error));
                    device.engine.start_failed(id);
                }
                // No other job is written: its number would complete this one.
                Err(error) => {
                    device.engine.stop();
                    dev_err!(device.pci, "a job could not be given to ring {}: {}\n", index.0, Shown(error));
                    device.report_loss(Loss::Crashed);
                }
            }
        }
        Task::Reset(index) => {
            ask_whether_begun(device, rings, index);
            // The overdue job may have completed since.
            ask_progress(device, index.0);
            if let Some((job, seqno)) = device.engine.begin_abort(index) {
                let answer = rings.abort(&device.link, index.0, &job, seqno);
                if device.engine.abort_answered(index, answer) {
                    return;
                }
            }
            // If it is not to be reset, something larger may be: that is the next task.
            let Some(seqno) = device.engine.begin_reset(index) else { return };
            let done = device.noticed(reset(device, rings, index, seqno));
            if done != Err(CUT_SHORT) {
                device.engine.reset_done(index, done.is_ok());
            }
        }
        Task::ResetDevice => {
            for number in 0..Driven::rings(&device.info) {
                ask_whether_begun(device, rings, RingIndex(number));
                ask_progress(device, number);
            }
            if !device.engine.begin_device_reset() {
                return;
            }
            let done = device.noticed(reset_device(device, rings));
            if done != Err(CUT_SHORT) {
                device.engine.device_reset_done(done.is_ok());
            }
        }
        Task::GiveUp => device.report_loss(Loss::Crashed),
    }
}

fn reset(device: &Device, rings: &mut Rings, index: RingIndex, seqno: Seqno) -> Result<(), DriverError> {
    let fault = device.link.io(|io| Driven::fault(io, index.0))?;
    device.counters.ring_resets.add(1);
    dev_notice!(device.pci, "resetting ring {}: {fault:?}\n", index.0);
    rings.reset(&device.link, &device.info, index.0, seqno).inspect_err(|error| match *error {
        CUT_SHORT => dev_notice!(device.pci, "the reset of ring {} ends with the binding\n", index.0),
        error => dev_notice!(device.pci, "ring {} was not reset: {}\n", index.0, Shown(error)),
    })
}

fn reset_device(device: &Device, rings: &mut Rings) -> Result<(), DriverError> {
    device.counters.device_resets.add(1);
    dev_warn!(device.pci, "resetting the device\n");
    // The engine has a number for each of its rings.
    let number = |ring| device.engine.number_after_reset(ring).unwrap_or(Seqno::ZERO);
    // The watcher stays locked until the device works again: a look during the reset would get
    // wrong answers.
    let mut watcher = Some(device.watcher.lock());
    let tables = &device.memory.tables;
    rings.reset_device(&device.link, &device.info, number, tables, || drop(watcher.take())).inspect_err(|error| {
        match *error {
            CUT_SHORT => dev_notice!(device.pci, "the reset of the device ends with the binding\n"),
            error => dev_err!(device.pci, "the device was not reset: {}\n", Shown(error)),
        }
    })
}
