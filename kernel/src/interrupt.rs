// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The interrupt handler. It is threaded, since reading a served device's registers takes too long
//! for hard interrupt context.

use kernel::{
    irq::{IrqReturn, ThreadedHandler},
    sync::{atomic::Release, Arc},
};
use lifeboat_core::sched::QueueId;
use lifeboat_driver::{Driver, DriverError, Pending, Progress, RingReport};

use crate::device::Device;
use crate::registration::Driven;

/// The handler of each vector; one read tells what all of them announce.
pub(crate) struct Handler(pub(crate) Arc<Device>);

impl ThreadedHandler for Handler {
    fn handle_threaded(&self) -> IrqReturn {
        let Self(device) = self;
        // Shut: the end of the binding does the rest.
        let Ok(_section) = device.gate.enter() else { return IrqReturn::Handled };
        device.counters.interrupts.add(1);
        // An error means that the device is gone, which is reported already; the unplug does the
        // rest.
        if attend(device) == Ok(false) {
            device.counters.spurious_interrupts.add(1);
        }
        device.kick();
        // A spurious one is handled, too: one handler reads what the message of another vector
        // announced.
        IrqReturn::Handled
    }
}

/// Acknowledges what is pending and tells the scheduler. `false` if there was nothing.
pub(crate) fn attend(device: &Arc<Device>) -> Result<bool, DriverError> {
    let pending = device.io(Driven::pending)?;
    let mut any = false;
    for RingReport { ring, progress } in pending.rings() {
        any = true;
        report(device, ring, progress);
    }
    Ok(any)
}

/// Tells the scheduler how far a ring is. The worker, which has the rings, is to be kicked then.
pub(crate) fn report(device: &Device, ring: u8, progress: Progress) {
    match progress {
        Progress::UpTo(seqno) => device.engine.hw_done(ring, seqno),
        Progress::One(seqno) => device.engine.hw_done_one(ring, seqno),
        Progress::Aborted(seqno) => device.engine.aborted(ring, seqno),
        Progress::LetGo(queue) => device.engine.firmware_let_go(QueueId::from_bits(queue)),
        Progress::Stopped(seqno) => device.engine.fault(ring, seqno),
        Progress::InMemory => device.in_memory.store(true, Release),
    }
}
