//! The interrupt handler. Runs in interrupt context: it takes short locks and register sections, and never waits.

use lifeboat_core::fence::Seqno;
use lifeboat_lb1::{DriverError, Interrupts, Lb1, regs};
use lifeboat_pci::Bar;

use crate::display::Display;
use crate::engine::Engine;
use crate::link::Link;

/// What one interrupt reported, read in one register section.
struct Report {
    interrupts: Interrupts,
    /// How far each ring that reported something is.
    progress: [Option<Seqno>; regs::MAX_RINGS as usize],
}

pub(crate) fn handle(link: &Link, engine: &Engine, display: &Display) {
    // If the device is gone, the link has told the bus side, and the unplug does the rest.
    let Ok(report) = link.registers(|lb1, _| read(lb1)) else { return };
    for (ring, seqno) in (0..).zip(report.progress) {
        if let Some(seqno) = seqno {
            engine.hw_done(ring, seqno);
        }
    }
    // After the completions: a job that completed is not the one that faulted.
    for ring in report.interrupts.faulted() {
        engine.fault(ring);
    }
    if report.interrupts.flipped() {
        display.complete_flip();
    }
}

fn read(lb1: &Lb1<'_, dyn Bar + Send + Sync>) -> Result<Report, DriverError> {
    let interrupts = lb1.take_interrupts()?;
    let mut progress = [None; regs::MAX_RINGS as usize];
    for ring in interrupts.done().chain(interrupts.faulted()) {
        progress[usize::from(ring)] = Some(lb1.seqno(ring)?);
    }
    Ok(Report { interrupts, progress })
}
