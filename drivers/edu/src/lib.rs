//! The driver of `edu`, QEMU's educational device (its reference: QEMU's docs/specs/edu.rst).
//!
//! A device without rings, screen or heartbeat: it computes a factorial, and copies bytes to and from
//! a buffer of 4096 bytes. What it lacks this driver leaves out.
#![no_std]
#![forbid(unsafe_code)]

use core::time::Duration;

use lifeboat_core::health::Verdict;
use lifeboat_core::wedge::{Method, Methods};
use lifeboat_driver::dump::{Layout, Register};
use lifeboat_driver::{
    BarUse, Driver, DriverError, Duty, Facts, IdRegister, InterruptUse, Io, NoRing, PciId, Pending, Registers,
    Sequence, Step,
};
use lifeboat_pci::{Bar, DmaMemory, Iova, IrqKind};

// The registers, as offsets in BAR 0. Those of a transfer have 64 bits.
const ID: IdRegister = IdRegister::new(0x00, 0x0100_00ed);
const LIVENESS: u64 = 0x04;
const FACTORIAL: u64 = 0x08;
const STATUS: u64 = 0x20;
const IRQ_STATUS: u64 = 0x24;
const IRQ_ACK: u64 = 0x64;
const DMA_SRC: u64 = 0x80;
const DMA_DST: u64 = 0x88;
const DMA_COUNT: u64 = 0x90;
const DMA_CMD: u64 = 0x98;

const STATUS_COMPUTING: u32 = 1;
const STATUS_INTERRUPT: u32 = 0x80;
const DMA_START: u32 = 1;
const DMA_TO_MEMORY: u32 = 2;
const DMA_INTERRUPT: u32 = 4;
/// Where transfers find the device's buffer.
const BUFFER: u64 = 0x4_0000;
/// Limit for a transfer, of which QEMU's device makes ten a second, and the pause between two looks.
const TRANSFER_LIMIT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(5);

/// The driver of `edu`.
#[derive(Debug, Clone, Copy)]
pub enum Edu {}

/// Revision of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(pub u16);

/// Something has ended; the device is asked what.
#[derive(Debug, Clone, Copy)]
pub struct Ended;

impl Pending for Ended {}

fn registers<'a>(io: &Io<'a>) -> Result<Registers<'a, dyn Bar + 'a>, DriverError> {
    Ok(Registers::new(io.bar(0)?, ID))
}

impl Edu {
    /// Size of the device's buffer, in bytes.
    pub const BUFFER_BYTES: u32 = 4096;

    /// Has the factorial of `number` computed. An interrupt reports the end.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn compute(io: &Io<'_>, number: u32) -> Result<(), DriverError> {
        registers(io)?.write(FACTORIAL, number)
    }

    /// Copies up to [`Edu::BUFFER_BYTES`] between the device's buffer and memory. An interrupt reports
    /// the end.
    ///
    /// # Errors
    /// [`DriverError::Bus`].
    pub fn transfer(io: &Io<'_>, to_memory: bool, memory: Iova, bytes: u32) -> Result<(), DriverError> {
        let (from, to) = if to_memory { (BUFFER, memory.0) } else { (memory.0, BUFFER) };
        let registers = registers(io)?;
        registers.write_pair(DMA_SRC, from)?;
        registers.write_pair(DMA_DST, to)?;
        registers.write_pair(DMA_COUNT, bytes.into())?;
        let way = if to_memory { DMA_TO_MEMORY } else { 0 };
        registers.write(DMA_CMD, DMA_START | DMA_INTERRUPT | way)
    }

    /// The factorial that was computed last, modulo 2^32; `None` while the device is busy.
    ///
    /// # Errors
    /// [`DriverError::Gone`], [`DriverError::Bus`].
    pub fn result(io: &Io<'_>) -> Result<Option<u32>, DriverError> {
        let registers = registers(io)?;
        let computes = registers.read(STATUS)? & STATUS_COMPUTING != 0;
        let transfers = registers.read(DMA_CMD)? & DMA_START != 0;
        Ok(if computes || transfers { None } else { Some(registers.read(FACTORIAL)?) })
    }
}

impl Driver for Edu {
    const FACTS: Facts = Facts {
        name: "lifeboat-edu",
        version: "0.1.0",
        model: "edu",
        ids: &[PciId { vendor: 0x1234, device: 0x11e8 }],
        bars: &[BarUse { number: 0, bytes: 1 << 20 }],
        interrupts: InterruptUse { kinds: &[IrqKind::Msi], least: 1, most: 1 },
        methods: Methods::UNKNOWN.with(Method::Rebind).with(Method::BusReset),
        dump: Layout::of(&[Register::number("STATUS", STATUS), Register::number("DMA_CMD", DMA_CMD)]),
    };

    type Info = Revision;
    type Ring<M: DmaMemory> = NoRing;
    type Work<'a> = NoRing;
    type Fault = NoRing;
    type Pending = Ended;

    fn info(io: &Io<'_>) -> Result<Revision, DriverError> {
        match registers(io)?.read(ID.offset)? {
            value if value & 0xffff == ID.value & 0xffff => Ok(Revision((value >> 16) as u16)),
            value => Err(DriverError::Foreign { register: ID.offset, value }),
        }
    }

    fn bring_up<M: DmaMemory>(_: Revision, _: &mut [NoRing]) -> impl Sequence<Output = ()> + '_ {
        BringUp(0)
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        ShutDown
    }

    fn pending(io: &Io<'_>) -> Result<Ended, DriverError> {
        let registers = registers(io)?;
        registers.write(IRQ_ACK, registers.read(IRQ_STATUS)?)?;
        Ok(Ended)
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        registers(io)?.identity()
    }

    fn computes(io: &Io<'_>, pattern: u32) -> Result<Verdict, DriverError> {
        registers(io)?.write(LIVENESS, pattern)?;
        match registers(io)?.read(LIVENESS) {
            Ok(answer) => Ok(if answer == !pattern { Verdict::Alive } else { Verdict::Unsure }),
            Err(DriverError::Gone) => Ok(Verdict::Dead),
            Err(error) => Err(error),
        }
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        registers(io)?.read(register)
    }
}

/// From whatever the device does to one that reports what it has done.
struct BringUp(u8);

impl Sequence for BringUp {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        let registers = registers(io)?;
        self.0 += 1;
        Ok(match self.0 {
            1 => {
                registers.write(STATUS, 0)?;
                registers.write(IRQ_ACK, u32::MAX)?;
                Step::First(Duty::BusMaster)
            }
            2 => Step::First(Duty::Interrupts),
            _ => {
                registers.write(STATUS, STATUS_INTERRUPT)?;
                Step::Done(())
            }
        })
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}

/// No interrupts; and the end of a transfer, which nothing stops.
struct ShutDown;

impl Sequence for ShutDown {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        registers(io)?.write(STATUS, 0)?;
        let transfers = registers(io)?.read(DMA_CMD)? & DMA_START != 0;
        Ok(if transfers { Step::Again { after: POLL, within: TRANSFER_LIMIT } } else { Step::Done(()) })
    }

    fn overdue(&self) -> DriverError {
        DriverError::ResetFailed
    }
}
