//! The ring: jobs, and the report in memory.
//!
//! Behind the entries there is a word, the report. The last but one entry of a job fills it with the job's number, by a
//! command of the driver's own, whose address is a bus address. The last one raises the interrupt.

use lifeboat_core::fence::Seqno;
use lifeboat_driver::gpu::ContextId;
use lifeboat_driver::{DriverError, RingShape};
use lifeboat_lb1::command::{self, Descriptor, Fill, GpuVa, DESCRIPTOR_BYTES};
use lifeboat_lb1::regs;
use lifeboat_lb1::regs::ring_ctrl;
use lifeboat_pci::{Bar, BusError, DmaMemory};

use crate::command::Command;
use crate::registers::{Registers, RING};

const ORDER: u8 = 6;
const ENTRIES: u32 = 1 << ORDER;
/// Entries of a job beside its commands.
pub(crate) const BESIDE: u32 = 2;
/// Path of the report.
const REPORT: u64 = ENTRIES as u64 * DESCRIPTOR_BYTES as u64;
const REPORT_BYTES: usize = 4;

/// The shape that the ring always has. One that is full would look empty.
pub(crate) const SHAPE: RingShape =
    RingShape { entries: ENTRIES, bytes: REPORT + REPORT_BYTES as u64, credits: ENTRIES - 1 };

/// The ring.
pub struct Ring<M> {
    memory: M,
    tail: u32,
    /// The number that the shell knows of.
    reported: Option<Seqno>,
}

impl<M: DmaMemory> Ring<M> {
    pub(crate) fn new(memory: M) -> Self {
        Self { memory, tail: 0, reported: None }
    }

    /// The number that the ring reported last; `None` if it has not reported since it was started.
    pub(crate) fn report(&self) -> Result<Option<Seqno>, DriverError> {
        let mut word = [0; REPORT_BYTES];
        self.memory.read(REPORT, &mut word)?;
        Ok(Seqno::from_register(u32::from_le_bytes(word)))
    }

    /// The same, if the shell does not know of it yet.
    pub(crate) fn news(&mut self) -> Result<Option<Seqno>, DriverError> {
        let report = self.report()?;
        let news = report.filter(|_| report != self.reported);
        self.reported = report.or(self.reported);
        Ok(news)
    }

    /// Writes a job, and rings the doorbell.
    pub(crate) fn run<B: Bar + ?Sized>(
        &mut self,
        registers: &Registers<'_, B>,
        context: ContextId,
        commands: &[Command],
        seqno: Seqno,
    ) -> Result<(), DriverError> {
        let pattern = seqno.value();
        let at = self.memory.iova().checked_add(REPORT).ok_or(BusError::NoMemory)?;
        let report = command::Work::Fill(Fill { dst: GpuVa(at.0), bytes: REPORT_BYTES as u64, pattern });
        let interrupt = command::Command::WriteSeqno { value: pattern, interrupt: true };
        let commands = commands.iter().map(|command| command::Command::Work(command.work()));
        let last = [Descriptor::encode_own(&command::Command::Work(report)), Descriptor::encode(context, &interrupt)];
        let mut tail = self.tail;
        for entry in commands.map(|command| Descriptor::encode(context, &command)).chain(last) {
            self.memory.write(u64::from(tail) * DESCRIPTOR_BYTES as u64, &entry.to_bytes())?;
            tail = (tail + 1) % ENTRIES;
        }
        self.tail = tail;
        registers.write(regs::ring(RING, regs::RING_TAIL), tail)
    }

    /// Switches the ring on, with a job in it that has no commands, and reports this number. The device was reset.
    pub(crate) fn start<B: Bar + ?Sized>(
        &mut self,
        registers: &Registers<'_, B>,
        seqno: Seqno,
    ) -> Result<(), DriverError> {
        self.memory.write(REPORT, &u32::MAX.to_le_bytes())?;
        (self.tail, self.reported) = (0, Some(seqno));
        registers.write_pair(regs::ring(RING, regs::RING_BASE_LO), self.memory.iova().0)?;
        registers.write(regs::ring(RING, regs::RING_ORDER), ORDER.into())?;
        registers.write(regs::ring(RING, regs::RING_CTRL), ring_ctrl::ENABLE)?;
        self.run(registers, ContextId(0), &[], seqno)
    }
}
