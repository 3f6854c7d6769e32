//! Bring-up, reset and shutdown, as steps.

use core::time::Duration;

use lifeboat_core::fence::Seqno;
use lifeboat_driver::{DriverError, Duty, Io, Sequence, Step, Unproven};
use lifeboat_lb1::regs::{self, device_ctrl, device_status, irq};
use lifeboat_pci::DmaMemory;

use crate::registers::{read_info, registers, Info, RING};
use crate::ring::Ring;

const POLL: Duration = Duration::from_micros(100);
const RESET_LIMIT: Duration = Duration::from_millis(2 * regs::RESET_MAX_MS);
/// Time for the ring's first job: long, since a device that has not done it is given up.
const PROOF_LIMIT: Duration = Duration::from_secs(1);

/// From whatever the device does to a reset one, with its interrupts masked: shutdown, and the beginning of a restart.
#[derive(Default)]
pub(crate) struct Reset {
    began: bool,
}

impl Sequence for Reset {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let registers = registers(io)?;
        if !core::mem::replace(&mut self.began, true) {
            registers.write(regs::IRQ_MASK, 0)?;
            registers.write(regs::DEVICE_CTRL, device_ctrl::RESET)?;
            return Ok(Step::Next);
        }
        match registers.read(regs::DEVICE_STATUS)? {
            status if status & device_status::RESETTING != 0 => Ok(Step::Again { after: POLL, within: RESET_LIMIT }),
            status if status & device_status::READY != 0 => Ok(Step::Done(())),
            _ => Err(DriverError::ResetFailed),
        }
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

/// From whatever the device does to a ring that has proved that it works, by a job.
pub(crate) struct Restart<'a, M> {
    info: Info,
    rings: &'a mut [Ring<M>],
    seqno: Seqno,
    is_first: bool,
    phase: Phase,
}

enum Phase {
    Reset(Reset),
    Interrupts,
    Enable,
    Start,
    Prove,
}

impl<'a, M> Restart<'a, M> {
    /// A restart of a device that was used before, or `is_first` of one that nobody knows yet.
    pub(crate) fn new(info: Info, rings: &'a mut [Ring<M>], seqno: Seqno, is_first: bool) -> Self {
        Self { info, rings, seqno, is_first, phase: Phase::Reset(Reset::default()) }
    }

    fn ring(&mut self) -> Result<&mut Ring<M>, DriverError> {
        self.rings.first_mut().ok_or(DriverError::NoSuchThing)
    }
}

impl<M: DmaMemory> Sequence for Restart<'_, M> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let (next, step) = match &mut self.phase {
            Phase::Reset(reset) => match reset.step(io)? {
                Step::Done(()) if self.is_first => (Phase::Interrupts, Step::First(Duty::BusMaster)),
                Step::Done(()) => (Phase::Enable, Step::Next),
                step => return Ok(step),
            },
            Phase::Interrupts => (Phase::Enable, Step::First(Duty::Interrupts)),
            Phase::Enable => {
                if read_info(io)? != self.info {
                    return Err(DriverError::Changed);
                }
                let registers = registers(io)?;
                registers.write(regs::DEVICE_CTRL, device_ctrl::ENABLE)?;
                registers.write(regs::IRQ_MASK, irq::ring_done(RING))?;
                (Phase::Start, Step::First(Duty::Restore))
            }
            Phase::Start => {
                let seqno = self.seqno;
                self.ring()?.start(&registers(io)?, seqno)?;
                (Phase::Prove, Step::Next)
            }
            Phase::Prove => {
                let seqno = self.seqno;
                let is_proved = self.ring()?.report()? == Some(seqno);
                return Ok(if is_proved { Step::Done(()) } else { Step::Again { after: POLL, within: PROOF_LIMIT } });
            }
        };
        self.phase = next;
        Ok(step)
    }

    fn overdue(&self) -> DriverError {
        match self.phase {
            Phase::Prove => DriverError::Unproven { ring: RING, what: Unproven::Silent },
            _ => DriverError::ResetFailed,
        }
    }
}
