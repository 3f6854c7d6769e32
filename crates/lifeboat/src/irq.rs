//! The interrupt handler. Runs in interrupt context: it takes short locks and register sections, and never waits.

use lifeboat_core::fence::Seqno;
use lifeboat_lb1::{DriverError, Lb1, regs};
use lifeboat_pci::Bar;

use crate::display::Display;
use crate::link::Link;
use crate::sched::{Events, RingIndex};
use crate::submit::Job;

/// What one interrupt reported, read in one register section.
struct Report {
    /// A flip took effect, or a vertical blank began.
    blanked: bool,
    /// Each ring that reported something: how far it is, and whether it has stopped with a fault.
    rings: [Option<(Seqno, bool)>; regs::MAX_RINGS as usize],
}

pub(crate) fn handle(link: &Link, events: &Events<Job>, display: &Display) {
    // If the device is gone, the link has told the bus side, and the unplug does the rest.
    let Ok(report) = link.registers(|lb1, _| read(lb1)) else { return };
    for (ring, news) in (0..).zip(report.rings) {
        let Some((seqno, faulted)) = news else { continue };
        let ring = RingIndex(ring);
        events.hw_done(ring, seqno);
        // After the completions: a job that completed is not the one that faulted.
        if faulted {
            events.fault(ring, seqno);
        }
    }
    if report.blanked {
        display.advance(link);
    }
}

fn read(lb1: &Lb1<'_, dyn Bar + Send + Sync>) -> Result<Report, DriverError> {
    let interrupts = lb1.take_interrupts()?;
    let mut rings = [None; regs::MAX_RINGS as usize];
    for ring in interrupts.done().chain(interrupts.faulted()) {
        // The status bit may be from before a reset: the ring itself says whether it is stopped now.
        rings[usize::from(ring)] = Some(lb1.ring_report(ring)?);
    }
    Ok(Report { blanked: interrupts.flipped() || interrupts.blanked(), rings })
}
