//! The driver of that device, and a subsystem of jobs and nothing else.
//!
//! Left out is what a device without an order does not have: a number up to which all is done, a place that moves, and
//! whether a job has begun.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::driver::dump::{Layout, Register};
use lifeboat::driver::{
    BarUse, Driver, DriverError, Duty, Facts, IdRegister, InterruptUse, Io, PciId, Place, Progress, Registers,
    RingReport, RingShape, Sequence, Step,
};
use lifeboat::subsystem::{AboutJob, Notes, Site, Subsystem};
use lifeboat::{Base, Link};
use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::sched::Abort;
use lifeboat_core::wedge::{Method, Methods};
use lifeboat_pci::{Bar, DmaMemory, IrqKind};

use crate::model::{ABORTED, Aborts, ENTRIES, ENTRY_BYTES, REPORTS, RINGS, VALID, regs};

const ID: IdRegister = IdRegister::new(regs::ID, regs::ID_VALUE);
/// Jobs that a ring has at a time.
pub(crate) const CREDITS: u32 = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) enum AnyOrder {}

pub(crate) struct Ring<M> {
    number: u8,
    memory: M,
    tail: u32,
    /// The next report in memory.
    report_head: u32,
}

/// What was pending: reports of ring 1, and whether ring 0 has reported into its memory.
pub(crate) struct Pending {
    reports: [u32; 2 * ENTRIES as usize],
    in_memory: bool,
}

impl lifeboat::driver::Pending for Pending {
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        let in_memory = self.in_memory.then_some(RingReport { ring: 0, progress: Progress::InMemory });
        let single = self.reports.into_iter().filter_map(progress);
        in_memory.into_iter().chain(single.map(|progress| RingReport { ring: 1, progress }))
    }
}

/// What a report says; `None` if it is none.
fn progress(report: u32) -> Option<Progress> {
    let seqno = Seqno::from_register(report & !(VALID | ABORTED)).filter(|_| report & VALID != 0)?;
    Some(if report & ABORTED == 0 { Progress::One(seqno) } else { Progress::Aborted(seqno) })
}

fn registers<'a>(io: &Io<'a>) -> Result<Registers<'a, dyn Bar + 'a>, DriverError> {
    Ok(Registers::new(io.bar(0)?, ID))
}

impl<M: DmaMemory> Ring<M> {
    /// Where the next report is expected.
    fn report_at(&self) -> u64 {
        u64::from(ENTRIES * ENTRY_BYTES + 4 * self.report_head)
    }

    /// Switches the ring on, with nothing in it.
    fn start(&mut self, registers: &Registers<'_, dyn Bar + '_>) -> Result<(), DriverError> {
        (self.tail, self.report_head) = (0, 0);
        self.memory.write(u64::from(ENTRIES * ENTRY_BYTES), &[0; 4 * REPORTS as usize])?;
        let block = regs::ring(self.number);
        registers.write_pair(block + regs::BASE, self.memory.iova().0)?;
        registers.write(block + regs::ON, 1)
    }
}

/// From whatever the device does to rings that are on and empty.
struct BringUp<'a, M> {
    rings: &'a mut [Ring<M>],
    duties: &'static [Duty],
    was_reset: bool,
}

impl<M: DmaMemory> Sequence for BringUp<'_, M> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let registers = registers(io)?;
        if !std::mem::replace(&mut self.was_reset, true) {
            registers.write(regs::RESET, 1)?;
            if registers.read(regs::RESET)? != 0 {
                return Err(DriverError::ResetFailed);
            }
        }
        if let Some((duty, rest)) = self.duties.split_first() {
            self.duties = rest;
            return Ok(Step::First(*duty));
        }
        self.rings.iter_mut().try_for_each(|ring| ring.start(&registers))?;
        Ok(Step::Done(()))
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

struct RingReset<'a, M>(&'a mut Ring<M>);

impl<M: DmaMemory> Sequence for RingReset<'_, M> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let (registers, block) = (registers(io)?, regs::ring(self.0.number));
        registers.write(block + regs::ON, 0)?;
        if registers.read(block + regs::ON)? != 0 {
            return Err(DriverError::ResetFailed);
        }
        self.0.start(&registers)?;
        Ok(Step::Done(()))
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

struct Off;

impl Sequence for Off {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        registers(io)?.write(regs::RESET, 1)?;
        Ok(Step::Done(()))
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

impl Driver for AnyOrder {
    const FACTS: Facts = Facts {
        name: "any-order",
        version: "1.0.0",
        model: "any-order",
        ids: &[PciId { vendor: 0x7e57, device: 3 }],
        bars: &[BarUse { number: 0, bytes: 0x1000 }],
        interrupts: InterruptUse { kinds: &[IrqKind::Msi], least: 1, most: 1 },
        methods: Methods::UNKNOWN.with(Method::Rebind),
        dump: Layout {
            device: &[Register::number("ID", regs::ID)],
            ring: &[Register::number("JOBS", regs::JOBS)],
            ring_at: regs::ring,
            head_tail_seqno: [0; 3],
            entry_bytes: ENTRY_BYTES as usize,
        },
    };

    type Info = u32;
    type Ring<M: DmaMemory> = Ring<M>;
    type Work<'a> = u32;
    type Fault = ();
    type Pending = Pending;

    fn info(io: &Io<'_>) -> Result<u32, DriverError> {
        registers(io)?.read(regs::ID)
    }

    fn rings(_: &u32) -> u8 {
        RINGS
    }

    fn ring_shape(_: &u32, _: u8, _: u32) -> RingShape {
        RingShape { entries: ENTRIES, bytes: (ENTRIES * ENTRY_BYTES + 4 * REPORTS).into(), credits: CREDITS }
    }

    fn in_order(_: &u32, _: u8) -> bool {
        false
    }

    fn ring<M: DmaMemory>(_: &u32, number: u8, _: RingShape, memory: M) -> Option<Ring<M>> {
        Some(Ring { number, memory, tail: 0, report_head: 0 })
    }

    fn bring_up<M: DmaMemory>(_: u32, rings: &mut [Ring<M>]) -> impl Sequence<Output = ()> + '_ {
        BringUp { rings, duties: &[Duty::BusMaster, Duty::Interrupts, Duty::Restore], was_reset: false }
    }

    fn reset_ring<M: DmaMemory>(_: u32, ring: &mut Ring<M>, _: Seqno) -> impl Sequence<Output = ()> + '_ {
        RingReset(ring)
    }

    fn reset_device<'a, M: DmaMemory>(
        _: u32,
        rings: &'a mut [Ring<M>],
        _: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        BringUp { rings, duties: &[Duty::Restore], was_reset: false }
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        Off
    }

    fn run<M: DmaMemory>(io: &Io<'_>, ring: &mut Ring<M>, tag: u32, seqno: Seqno) -> Result<Place, DriverError> {
        let entry = ring.tail;
        let at = u64::from(entry * ENTRY_BYTES);
        ring.memory.write(at, &seqno.value().to_le_bytes())?;
        ring.memory.write(at + 4, &tag.to_le_bytes())?;
        ring.tail = (entry + 1) % ENTRIES;
        registers(io)?.write(regs::ring(ring.number) + regs::DOORBELL, entry)?;
        Ok(Place(entry))
    }

    fn collect<M: DmaMemory>(
        _: &Io<'_>,
        ring: &mut Ring<M>,
        mut each: impl FnMut(Progress),
    ) -> Result<(), DriverError> {
        loop {
            let mut word = [0; 4];
            ring.memory.read(ring.report_at(), &mut word)?;
            let Some(progress) = progress(u32::from_le_bytes(word)) else { return Ok(()) };
            ring.memory.write(ring.report_at(), &[0; 4])?;
            ring.report_head = (ring.report_head + 1) % REPORTS;
            each(progress);
        }
    }

    fn abort<M: DmaMemory>(io: &Io<'_>, ring: &mut Ring<M>, _: u32, seqno: Seqno) -> Result<Abort, DriverError> {
        let registers = registers(io)?;
        registers.write(regs::ring(ring.number) + regs::ABORT, seqno.value())?;
        let answer = registers.read(regs::ABORTED)?;
        Ok(if answer == Aborts::AtOnce as u32 {
            Abort::Done
        } else if answer == Aborts::Cannot as u32 {
            Abort::Cannot
        } else {
            Abort::Asked
        })
    }

    fn pending(io: &Io<'_>) -> Result<Pending, DriverError> {
        let registers = registers(io)?;
        let in_memory = registers.read(regs::REPORTED)? != 0;
        let mut reports = [0; 2 * ENTRIES as usize];
        for report in &mut reports {
            *report = registers.read(regs::REPORT)?;
            if *report == 0 {
                break;
            }
        }
        Ok(Pending { reports, in_memory })
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        registers(io)?.identity()
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        registers(io)?.read(register)
    }
}

/// Jobs for any of the rings.
pub(crate) struct Jobs;

/// A job, which the device knows by its tag.
pub(crate) struct Job {
    pub(crate) tag: u32,
    pub(crate) notes: Notes,
}

impl lifeboat::subsystem::Job<AnyOrder> for Job {
    fn work(&self) -> u32 {
        self.tag
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn about(&self) -> AboutJob {
        AboutJob { context: 0, commands: 1, submitted: Instant::now() }
    }
}

impl Subsystem for Jobs {
    type Driver = AnyOrder;
    type Device = Arc<Base<Self>>;
    type Job = Job;
    type Options = ();

    fn contexts(_: &u32) -> usize {
        4
    }

    fn new(_: &Site<'_, Self>, &(): &()) -> Self {
        Self
    }

    fn device(base: Arc<Base<Self>>, _: Arc<Link>) -> Arc<Base<Self>> {
        base
    }
}

/// For [`NewJob`](lifeboat::sched::NewJob).
pub(crate) fn job(tag: u32) -> Arc<Job> {
    Arc::new(Job { tag, notes: Notes::default() })
}

/// Longer than anything in these tests takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);
