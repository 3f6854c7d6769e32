// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A ring as the worker holds it: its descriptors, and writing jobs to it.

use core::time::Duration;

use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::Arc,
    time::{delay::fsleep, Delta},
};
use lifeboat_core::{fence::Seqno, patience::Patience};
use lifeboat_lb1::{regs, DriverError, Progress, RingWriter};
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
/// How long to wait between two looks, in microseconds. A reset takes well under a millisecond on a healthy device.
const RESET_POLL_US: u32 = 100;

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

    /// Maps the workspace and enables the ring, with nothing in it and `seqno` as its number.
    pub(crate) fn start(&mut self, link: &Link, seqno: Seqno) -> Result<(), DriverError> {
        link.registers(|lb1| {
            self.workspace.map(lb1)?;
            lb1.enable_ring(self.number, &mut self.writer, self.memory.iova(), seqno)
        })
    }

    /// Writes the job and rings the doorbell.
    pub(crate) fn run(&mut self, link: &Link, job: &Job, seqno: Seqno) -> Result<(), DriverError> {
        link.registers(|lb1| {
            let tail = self.writer.write_job(&self.memory, job.context(), &job.commands, seqno)?;
            lb1.doorbell(self.number, tail)
        })
    }

    /// Resets the ring and enables it again, to count from `seqno`. Ends early if the device is gone.
    pub(crate) fn reset(&mut self, link: &Link, seqno: Seqno) -> Result<(), DriverError> {
        link.registers(|lb1| lb1.begin_ring_reset(self.number))?;
        if !wait_for_reset(|| link.registers(|lb1| lb1.ring_reset(self.number)))? {
            return Err(DriverError::ResetFailed);
        }
        link.registers(|lb1| lb1.enable_ring(self.number, &mut self.writer, self.memory.iova(), seqno))
    }
}

/// Asks until a reset is no longer under way, for [`RESET_LIMIT`] by the core's [`Patience`]; `true` if it has succeeded.
pub(crate) fn wait_for_reset(mut ask: impl FnMut() -> Result<Progress, DriverError>) -> Result<bool, DriverError> {
    let clock = Clock::start();
    let pause = Duration::from_micros(RESET_POLL_US.into());
    let mut patience = Patience::new(RESET_LIMIT, pause, clock.now());
    loop {
        let last = patience.looks(clock.now());
        match ask()? {
            Progress::Done => return Ok(true),
            Progress::Failed => return Ok(false),
            Progress::UnderWay if last => return Ok(false),
            Progress::UnderWay => {
                patience.pauses(clock.now());
                fsleep(Delta::from_micros(RESET_POLL_US.into()));
            }
        }
    }
}
