// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The device, as its scheduler asks things of it (`lifeboat_jobqueue`).
//!
//! Each answer is given in a section of the gate, or without the device once the gate is shut (GATE-8).

use kernel::{
    prelude::*,
    sync::{atomic::Full, Arc},
};
use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{Abort, Began, ErrorScope, LetGo, QueueId, RingIndex};
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{dump::Reason, Driver, DriverError};
use lifeboat_jobqueue::{Hardware, NotRun};

use crate::clock::nanoseconds;
use crate::counters::Counters;
use crate::device::Device;
use crate::drive::CUT_SHORT;
use crate::interrupt;
use crate::job::Job;
use crate::registration::Driven;
use crate::shown::Shown;

impl Device {
    /// Has the scheduler's worker look whether there is something to do.
    pub(crate) fn kick(&self) {
        self.engine.kick();
    }
}

impl Hardware for Device {
    type Job = Job;
    type Ledger = Counters;

    fn run(self: &Arc<Self>, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), NotRun> {
        let _section = self.gate.enter().map_err(|_| NotRun::Gone)?;
        let refused = self.refusals.next().map(Err);
        let result = refused.unwrap_or_else(|| self.rings.lock().run(&self.link, ring.0, job, seqno));
        job.written_at(ring.0, nanoseconds(self.engine.clock().elapsed()));
        self.noticed(result).map_err(|error| match error {
            DriverError::Gone | CUT_SHORT => NotRun::Gone,
            error if error.scope() == ErrorScope::Job => {
                dev_warn!(self.pci, "a job was not given to ring {}: {}\n", ring.0, Shown(error));
                NotRun::Job
            }
            error => {
                dev_err!(self.pci, "a job could not be given to ring {}: {}\n", ring.0, Shown(error));
                NotRun::Device
            }
        })
    }

    fn collect(self: &Arc<Self>) {
        let Ok(_section) = self.gate.enter() else { return };
        if self.in_memory.xchg(false, Full) {
            self.rings.lock().collect(&self.link, |ring, progress| interrupt::report(self, ring, progress));
        }
    }

    fn attend(self: &Arc<Self>) {
        let Ok(_section) = self.gate.enter() else { return };
        // An error is reported already.
        let _ = interrupt::attend(self);
    }

    fn progress(self: &Arc<Self>, ring: RingIndex) -> Option<Seqno> {
        let _section = self.gate.enter().ok()?;
        if !Driven::in_order(&self.info, ring.0) {
            // The ring's single completions, if the message about them was lost.
            let _ = interrupt::attend(self);
        }
        // The ring's memory, if the message about that was lost.
        self.rings.lock().collect_one(&self.link, ring.0, |progress| interrupt::report(self, ring.0, progress));
        self.io(|io| Driven::progress(io, ring.0)).ok()
    }

    fn began(self: &Arc<Self>, ring: RingIndex, job: &Arc<Job>) -> Began {
        let Ok(_section) = self.gate.enter() else { return Began::No };
        let began = self.rings.lock().began(&self.link, ring.0, job);
        *self.blamed.lock() = if began == Began::No { None } else { job.opener() };
        if began == Began::No {
            dev_warn!(self.pci, "ring {} is not in the job that is overdue or faulted: nobody is to blame\n", ring.0);
        }
        began
    }

    fn abort(self: &Arc<Self>, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Abort {
        let Ok(_section) = self.gate.enter() else { return Abort::Cannot };
        self.rings.lock().abort(&self.link, ring.0, job, seqno)
    }

    fn let_go(self: &Arc<Self>, ring: RingIndex, queue: QueueId, kept: &Arc<Job>, last_look: bool) -> LetGo {
        let Ok(_section) = self.gate.enter() else { return LetGo::Cannot };
        self.rings.lock().let_go(&self.link, ring.0, queue, kept, last_look)
    }

    fn reset_ring(self: &Arc<Self>, ring: RingIndex, seqno: Seqno) -> Option<bool> {
        let _section = self.gate.enter().ok()?;
        works(self.noticed(reset_ring(self, ring.0, seqno)))
    }

    fn reset_device(self: &Arc<Self>, numbers: impl FnMut(RingIndex) -> Seqno) -> Option<bool> {
        let _section = self.gate.enter().ok()?;
        works(self.noticed(reset_device(self, numbers)))
    }

    fn done_with(self: &Arc<Self>, job: &Arc<Job>) {
        job.done(&self.last_ends, nanoseconds(self.engine.clock().elapsed()));
    }

    fn give_up(self: &Arc<Self>) {
        if let Ok(_section) = self.gate.enter() {
            self.dump.failed(&**self, Reason::GivenUp);
        }
        self.report_loss(Loss::Crashed);
    }

    fn is_idle(self: &Arc<Self>) {
        if self.load.is_on() {
            self.kick_load();
        }
    }
}

/// The scheduler's view of a reset's result.
fn works(done: Result<(), DriverError>) -> Option<bool> {
    (done != Err(CUT_SHORT)).then_some(done.is_ok())
}

fn reset_ring(device: &Device, number: u8, seqno: Seqno) -> Result<(), DriverError> {
    let fault = device.link.io(|io| Driven::fault(io, number))?;
    device.dump.failed(
        device,
        if fault.is_some() { Reason::Fault { ring: number } } else { Reason::JobTimeout { ring: number } },
    );
    device.counters.ring_resets.add(1);
    dev_notice!(device.pci, "resetting ring {number}: {fault:?}\n");
    let done = device.rings.lock().reset(&device.link, &device.info, number, seqno);
    done.inspect(|()| device.dump.mended(device)).inspect_err(|error| match *error {
        CUT_SHORT => dev_notice!(device.pci, "the reset of ring {number} ends with the binding\n"),
        error => dev_notice!(device.pci, "ring {number} was not reset: {}\n", Shown(error)),
    })
}

fn reset_device(device: &Device, mut numbers: impl FnMut(RingIndex) -> Seqno) -> Result<(), DriverError> {
    device.dump.failed(device, Reason::ResetFailed);
    device.counters.device_resets.add(1);
    dev_warn!(device.pci, "resetting the device\n");
    // The watcher stays locked until the device works again: a look during the reset would get
    // wrong answers.
    let mut watcher = Some(device.watcher.lock());
    let mut rings = device.rings.lock();
    let number = |ring| numbers(RingIndex(ring));
    let tables = &device.memory.tables;
    let done = rings.reset_device(&device.link, &device.info, number, tables, || drop(watcher.take()));
    done.inspect(|()| device.dump.mended(device)).inspect_err(|error| match *error {
        CUT_SHORT => dev_notice!(device.pci, "the reset of the device ends with the binding\n"),
        error => dev_err!(device.pci, "the device was not reset: {}\n", Shown(error)),
    })
}
