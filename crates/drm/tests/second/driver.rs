//! The driver of that GPU, as an outside author would write it.

use std::ops::Range;
use std::time::Duration;

use lifeboat_core::fence::Seqno;
use lifeboat_core::health::Verdict;
use lifeboat_core::sched::Began;
use lifeboat_core::wedge::{Method, Methods};
use lifeboat_driver::dump::{Layout, Register};
use lifeboat_driver::gpu::{ContextId, Gpu, GpuVa, InvalidArgument, NoScanout, Segment, Target, Vram};
use lifeboat_driver::{
    BarUse, Driver, DriverError, Duty, Facts, IdRegister, InterruptUse, Io, PciId, Pending, Place, Progress, Registers,
    RingReport, RingShape, Sequence, Step, Unproven,
};
use lifeboat_pci::{Bar, DmaMemory, IrqKind};

use crate::model::{ENTRY_BYTES, PAGE, op, regs};

const ID: IdRegister = IdRegister::new(regs::ID, regs::ID_VALUE);
const POLL: Duration = Duration::from_micros(100);
const PROOF_LIMIT: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy)]
pub(crate) enum SecondGpu {}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Command {
    Fill {
        dst: GpuVa,
        bytes: u32,
        value: u8,
    },
    Hang,
    /// The check of its arguments panics.
    Mistaken,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    context: ContextId,
    commands: &'a [Command],
}

pub(crate) struct Ring<M> {
    memory: M,
    entries: u32,
    tail: u32,
    /// The number that was reported last.
    reported: Option<Seqno>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Done(bool);

impl Pending for Done {
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        self.0.then_some(RingReport { ring: 0, progress: Progress::InMemory }).into_iter()
    }
}

fn registers<'a>(io: &Io<'a>) -> Result<Registers<'a, dyn Bar + 'a>, DriverError> {
    Ok(Registers::new(io.bar(0)?, ID))
}

impl<M: DmaMemory> Ring<M> {
    /// The completion stands behind the entries.
    fn report_at(&self) -> u64 {
        u64::from(self.entries * ENTRY_BYTES)
    }

    /// The number that was reported last; `None` if none has been since the ring was restarted.
    fn report(&self) -> Result<Option<Seqno>, DriverError> {
        let mut word = [0; 4];
        self.memory.read(self.report_at(), &mut word)?;
        Ok(Seqno::from_register(u32::from_le_bytes(word)))
    }

    fn push(&mut self, words: [u32; 8]) -> Result<(), DriverError> {
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        self.memory.write(u64::from(self.tail * ENTRY_BYTES), &bytes)?;
        self.tail = (self.tail + 1) % self.entries;
        Ok(())
    }

    fn push_report(&mut self, seqno: Seqno) -> Result<(), DriverError> {
        self.push([op::REPORT, 0, 0, 0, 0, 0, seqno.value(), 0])
    }

    /// Switches the ring off and on, with nothing in it and a job of its own behind that.
    fn restart(&mut self, io: &Io<'_>, seqno: Seqno) -> Result<(), DriverError> {
        let registers = registers(io)?;
        registers.write(regs::ON, 0)?;
        let base = self.memory.iova().0;
        registers.write_pair(regs::BASE, base)?;
        registers.write(regs::ENTRIES, self.entries)?;
        registers.write_pair(regs::REPORT, base + self.report_at())?;
        self.memory.write(self.report_at(), &u32::MAX.to_le_bytes())?;
        (self.tail, self.reported) = (0, Some(seqno));
        self.push_report(seqno)?;
        registers.write(regs::ON, 1)?;
        registers.write(regs::TAIL, self.tail)
    }
}

/// From whatever the device does to a ring that has proved that it works.
struct Restart<'a, M> {
    ring: &'a mut Ring<M>,
    seqno: Seqno,
    first: Option<Duty>,
    began: bool,
}

impl<M: DmaMemory> Sequence for Restart<'_, M> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        if let Some(duty) = self.first.take() {
            self.first = (duty == Duty::BusMaster).then_some(Duty::Interrupts);
            registers(io)?.write(regs::ON, 0)?;
            return Ok(Step::First(duty));
        }
        if !std::mem::replace(&mut self.began, true) {
            self.ring.restart(io, self.seqno)?;
        }
        let is_proved = self.ring.report()? == Some(self.seqno);
        Ok(if is_proved { Step::Done(()) } else { Step::Again { after: POLL, within: PROOF_LIMIT } })
    }

    fn overdue(&self) -> DriverError {
        DriverError::Unproven { ring: 0, what: Unproven::Silent }
    }
}

struct Off;

impl Sequence for Off {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        registers(io)?.write(regs::ON, 0)?;
        Ok(Step::Done(()))
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

impl Driver for SecondGpu {
    const FACTS: Facts = Facts {
        name: "second",
        version: "2.0.0",
        model: "second",
        ids: &[PciId { vendor: 0x7e57, device: 2 }],
        bars: &[BarUse { number: 0, bytes: 0x1000 }],
        interrupts: InterruptUse { kinds: &[IrqKind::Msi], least: 1, most: 1 },
        methods: Methods::UNKNOWN.with(Method::Rebind),
        dump: Layout {
            device: &[Register::number("ID", regs::ID)],
            ring: &[Register::number("HEAD", regs::HEAD), Register::number("TAIL", regs::TAIL)],
            ring_at: |_| 0,
            // The number stands in memory.
            head_tail_seqno: [0, 1, 0],
            entry_bytes: ENTRY_BYTES as usize,
        },
    };

    type Info = u32;
    type Ring<M: DmaMemory> = Ring<M>;
    type Work<'a> = Work<'a>;
    type Fault = ();
    type Pending = Done;

    fn info(io: &Io<'_>) -> Result<u32, DriverError> {
        registers(io)?.read(regs::ID)
    }

    fn rings(_: &u32) -> u8 {
        1
    }

    fn ring_shape(_: &u32, _: u8, _: u32) -> RingShape {
        RingShape { entries: 64, bytes: u64::from(64 * ENTRY_BYTES) + 4, credits: 63 }
    }

    fn ring<M: DmaMemory>(_: &u32, _: u8, shape: RingShape, memory: M) -> Option<Ring<M>> {
        Some(Ring { memory, entries: shape.entries, tail: 0, reported: None })
    }

    fn bring_up<M: DmaMemory>(_: u32, rings: &mut [Ring<M>]) -> impl Sequence<Output = ()> + '_ {
        Restart { ring: &mut rings[0], seqno: Seqno::ZERO, first: Some(Duty::BusMaster), began: false }
    }

    fn reset_ring<M: DmaMemory>(_: u32, ring: &mut Ring<M>, seqno: Seqno) -> impl Sequence<Output = ()> + '_ {
        Restart { ring, seqno, first: None, began: false }
    }

    fn reset_device<'a, M: DmaMemory>(
        _: u32,
        rings: &'a mut [Ring<M>],
        mut numbers: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        Restart { ring: &mut rings[0], seqno: numbers(0), first: Some(Duty::Restore), began: false }
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        Off
    }

    fn cost(work: Work<'_>) -> u32 {
        u32::try_from(work.commands.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn run<M: DmaMemory>(io: &Io<'_>, ring: &mut Ring<M>, work: Work<'_>, seqno: Seqno) -> Result<Place, DriverError> {
        let begins = Place(ring.tail);
        for command in work.commands {
            let context = work.context.0.into();
            ring.push(match *command {
                Command::Fill { dst, bytes, value } => {
                    // No address has more bits than this GPU's table has pages.
                    let va = u32::try_from(dst.0).map_err(|_| DriverError::NoSuchThing)?;
                    [op::FILL, context, va, 0, bytes, value.into(), 0, 0]
                }
                Command::Hang | Command::Mistaken => [op::HANG, context, 0, 0, 0, 0, 0, 0],
            })?;
        }
        ring.push_report(seqno)?;
        registers(io)?.write(regs::TAIL, ring.tail)?;
        Ok(begins)
    }

    fn collect<M: DmaMemory>(
        _: &Io<'_>,
        ring: &mut Ring<M>,
        mut each: impl FnMut(Progress),
    ) -> Result<(), DriverError> {
        let seqno = ring.report()?;
        if let Some(news) = seqno.filter(|_| seqno != ring.reported) {
            ring.reported = seqno;
            each(Progress::UpTo(news));
        }
        Ok(())
    }

    fn place<M: DmaMemory>(io: &Io<'_>, _: &Ring<M>) -> Result<Option<Place>, DriverError> {
        Ok(Some(Place(registers(io)?.read(regs::HEAD)?)))
    }

    fn began<M: DmaMemory>(io: &Io<'_>, ring: &Ring<M>, work: Work<'_>, begins: Place) -> Result<Began, DriverError> {
        let head = registers(io)?.read(regs::HEAD)?;
        let into = (head + ring.entries - begins.0) % ring.entries;
        Ok(if into < Self::cost(work) { Began::Yes } else { Began::No })
    }

    fn pending(io: &Io<'_>) -> Result<Done, DriverError> {
        let registers = registers(io)?;
        let done = registers.read(regs::DONE)? != 0;
        registers.write(regs::DONE, 1)?;
        Ok(Done(done))
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        registers(io)?.identity()
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        registers(io)?.read(register)
    }
}

impl Gpu for SecondGpu {
    const PAGE: u64 = PAGE;
    const ADDRESSES: Range<u64> = 1..1 << 16;

    type Command = Command;
    type Scanout = NoScanout;

    fn contexts(_: &u32) -> u8 {
        4
    }

    fn segments(_: &u32) -> u8 {
        3
    }

    fn vram(_: &u32) -> Option<Vram> {
        None
    }

    fn serial(_: &u32) -> u32 {
        0
    }

    fn most_commands(credits: u32) -> u32 {
        credits - 1
    }

    fn check(command: &Command) -> Result<(), InvalidArgument> {
        match command {
            Command::Fill { bytes: 0, .. } => Err(InvalidArgument("bytes")),
            Command::Fill { .. } | Command::Hang => Ok(()),
            Command::Mistaken => panic!("a mistake in the driver"),
        }
    }

    const COMMAND_BYTES: usize = ENTRY_BYTES as usize;

    fn decode(bytes: &[u8]) -> Result<Command, InvalidArgument> {
        if bytes.len() != Self::COMMAND_BYTES {
            return Err(InvalidArgument("length"));
        }
        let word = |index: usize| u32::from_le_bytes(bytes[4 * index..][..4].try_into().expect("four bytes"));
        let command = match (word(0), u8::try_from(word(5))) {
            (op::FILL, Ok(value)) => Command::Fill { dst: GpuVa(word(2).into()), bytes: word(4), value },
            (op::FILL, Err(_)) => return Err(InvalidArgument("value")),
            (op::HANG, Ok(0)) if word(2) == 0 && word(4) == 0 => Command::Hang,
            (op::HANG, _) => return Err(InvalidArgument("reserved")),
            _ => return Err(InvalidArgument("opcode")),
        };
        if [1, 3, 6, 7].iter().any(|reserved| word(*reserved) != 0) {
            return Err(InvalidArgument("reserved"));
        }
        Self::check(&command).map(|()| command)
    }

    fn work(context: ContextId, commands: &[Command]) -> Work<'_> {
        Work { context, commands }
    }

    fn set_segment(io: &Io<'_>, context: ContextId, slot: u8, segment: &Segment) -> Result<(), DriverError> {
        let Target::Host(iova) = segment.target else { return Err(DriverError::NoSuchThing) };
        let registers = registers(io)?;
        let page = u32::try_from(segment.va.0 / PAGE).map_err(|_| DriverError::NoSuchThing)?;
        registers.write(regs::VA_PAGE, page)?;
        registers.write(regs::PAGES, segment.pages)?;
        registers.write_pair(regs::TARGET, iova.0)?;
        registers.write(regs::SET, u32::from(context.0) << 8 | u32::from(slot))
    }

    fn clear_segment(io: &Io<'_>, context: ContextId, slot: u8) -> Result<(), DriverError> {
        registers(io)?.write(regs::CLEAR, u32::from(context.0) << 8 | u32::from(slot))
    }

    fn blanked(_: &Done) -> bool {
        false
    }
}
