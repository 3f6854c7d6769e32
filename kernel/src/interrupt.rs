// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The interrupt handler. Threaded: reading a served device's registers takes too long for hard interrupt context.

use kernel::{
    irq::{IrqReturn, ThreadedHandler},
    sync::Arc,
};
use lifeboat_core::fence::Seqno;
use lifeboat_lb1::{regs, DriverError, Lb1};
use lifeboat_pci::Bar;

use crate::device::Device;

/// The same handler for every vector: one read tells what all of them announce.
pub(crate) struct Handler(pub(crate) Arc<Device>);

/// What one interrupt reported, read in one register section: of each ring that reported something, how far it is, and
/// whether it has stopped with a fault.
type Report = [Option<(Seqno, bool)>; regs::MAX_RINGS as usize];

impl ThreadedHandler for Handler {
    fn handle_threaded(&self) -> IrqReturn {
        let Self(device) = self;
        device.counters.interrupts.add(1);
        // If the device is gone, that is reported already, and the unplug does the rest.
        if attend(device) == Ok(false) {
            device.counters.spurious_interrupts.add(1);
        }
        device.kick();
        // Also if it was spurious: one handler reads what the message of another vector announced.
        IrqReturn::Handled
    }
}

/// Acknowledges what is pending and tells the scheduler. `false` if there was nothing.
pub(crate) fn attend(device: &Arc<Device>) -> Result<bool, DriverError> {
    let report = device.registers(|lb1| read(lb1))?;
    for (ring, news) in (0..).zip(report) {
        let Some((seqno, faulted)) = news else { continue };
        device.engine.hw_done(ring, seqno);
        // After the completions: a job that completed is not the one that faulted.
        if faulted {
            device.engine.fault(ring, seqno);
        }
    }
    Ok(report.iter().any(Option::is_some))
}

fn read<B: Bar + ?Sized>(lb1: &Lb1<'_, B>) -> Result<Report, DriverError> {
    let interrupts = lb1.take_interrupts()?;
    let mut report = [None; regs::MAX_RINGS as usize];
    for ring in interrupts.done().chain(interrupts.faulted()) {
        // The status bit may be from before a reset: the ring itself says whether it is stopped now.
        report[usize::from(ring)] = Some(lb1.ring_report(ring)?);
    }
    Ok(report)
}
