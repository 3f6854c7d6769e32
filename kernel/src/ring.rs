// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A ring as the worker holds it: its descriptors, and writing jobs to it.

use core::time::Duration;

use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::{atomic::Relaxed, Arc},
    time::{delay::fsleep, Delta},
};
use lifeboat_core::{fence::Seqno, polling::Polling, sched::Began};
use lifeboat_lb1::{regs, DriverError, Extent, Progress, RingWriter, Unproven, PROOF_LIMIT};
use lifeboat_pci::DmaMemory;

use crate::clock::Clock;
use crate::glue::Memory;
use crate::job::Job;
use crate::link::Link;
use crate::workspace::Workspace;

/// Descriptors of a ring, as a power of two: 128, or 16 KiB.
const ORDER: u8 = 7;
/// How long to wait for a reset: twice what the device states.
pub(crate) const RESET_LIMIT: Duration = Duration::from_millis(2 * regs::RESET_MAX_MS);
/// Pause between two looks, in microseconds. A reset or a proof takes well under a millisecond on a
/// healthy device.
const POLL_US: u32 = 100;

/// One ring.
pub(crate) struct Ring {
    number: u8,
    writer: RingWriter,
    memory: Memory,
    pub(crate) workspace: Arc<Workspace>,
}

impl Ring {
    pub(crate) fn new(device: &Device<Bound>, number: u8) -> Result<Self> {
        let writer = RingWriter::new(ORDER).ok_or(EINVAL)?;
        let memory = Memory::new(device, usize::try_from(writer.bytes())?)?;
        Ok(Self { number, writer, memory, workspace: Workspace::new(device, number)? })
    }

    /// Credits of each ring.
    pub(crate) fn credits() -> u32 {
        RingWriter::new(ORDER).map_or(1, |writer| writer.credits())
    }

    /// Maps the workspace and enables the ring, with nothing in it and `seqno` as its number; then
    /// the ring proves itself. The device must be enabled.
    pub(crate) fn start(&mut self, link: &Link, seqno: Seqno) -> Result<(), DriverError> {
        link.registers(|lb1| {
            self.workspace.map(lb1)?;
            lb1.enable_ring(self.number, &mut self.writer, self.memory.iova(), seqno)
        })?;
        self.prove(link, seqno)
    }

    /// A job of the driver's own, right after the ring was enabled with `seqno` as its number; it
    /// writes the next (RECOV-5).
    fn prove(&mut self, link: &Link, seqno: Seqno) -> Result<(), DriverError> {
        let ring = self.number;
        let proof = link.registers(|lb1| lb1.begin_proof(ring, &mut self.writer, &self.memory, seqno.next()))?;
        if !wait_until_done(PROOF_LIMIT, || link.registers(|lb1| lb1.proof(&proof, &self.memory)))? {
            return Err(DriverError::Unproven { ring, what: Unproven::Silent });
        }
        link.registers(|lb1| lb1.end_proof(&proof, &mut self.writer, self.memory.iova()))
    }

    /// Writes the job and rings the doorbell.
    pub(crate) fn run(&mut self, link: &Link, job: &Job, seqno: Seqno) -> Result<(), DriverError> {
        job.begins_at.store(self.writer.next_descriptor(), Relaxed);
        link.registers(|lb1| {
            let tail = self.writer.write_job(&self.memory, job.context(), &job.commands, seqno)?;
            lb1.doorbell(self.number, tail)
        })
    }

    /// Whether the ring is in this job.
    pub(crate) fn began(&self, link: &Link, job: &Job) -> Began {
        let commands = RingWriter::cost(job.commands.len()) - 1;
        let extent = Extent { first: job.begins_at.load(Relaxed), commands };
        match link.registers(|lb1| lb1.is_in_job(self.number, &self.writer, extent, job.context())) {
            Ok(true) => Began::Yes,
            // A device that cannot be asked accuses nobody.
            Ok(false) | Err(_) => Began::No,
        }
    }

    /// Resets the ring and enables it again, to count from `seqno`; then it proves itself. Ends
    /// early if the device is gone.
    pub(crate) fn reset(&mut self, link: &Link, seqno: Seqno) -> Result<(), DriverError> {
        link.registers(|lb1| lb1.begin_ring_reset(self.number))?;
        if !wait_for_reset(|| link.registers(|lb1| lb1.ring_reset(self.number)))? {
            return Err(DriverError::ResetFailed);
        }
        link.registers(|lb1| lb1.enable_ring(self.number, &mut self.writer, self.memory.iova(), seqno))?;
        self.prove(link, seqno)
    }
}

/// Asks until a reset is no longer under way, for [`RESET_LIMIT`]; `true` if it has succeeded.
pub(crate) fn wait_for_reset(ask: impl FnMut() -> Result<Progress, DriverError>) -> Result<bool, DriverError> {
    wait_until_done(RESET_LIMIT, ask)
}

/// The same for whatever the hardware takes time for, by the core's [`Polling`]. Ends early if the device is gone.
fn wait_until_done(
    limit: Duration,
    mut ask: impl FnMut() -> Result<Progress, DriverError>,
) -> Result<bool, DriverError> {
    let clock = Clock::start();
    let pause = Duration::from_micros(POLL_US.into());
    let mut polling = Polling::new(limit, pause, clock.now());
    loop {
        let last = polling.looks(clock.now());
        match ask()? {
            Progress::Done => return Ok(true),
            Progress::Failed => return Ok(false),
            Progress::UnderWay if last => return Ok(false),
            Progress::UnderWay => {
                polling.pauses(clock.now());
                fsleep(Delta::from_micros(POLL_US.into()));
            }
        }
    }
}
