//! The GPU's contexts and commands.

use core::ops::Range;

use lifeboat_driver::gpu::{ContextId, Gpu, InvalidArgument, NoScanout, Segment, Target, Vram};
use lifeboat_driver::{DriverError, Io};
use lifeboat_lb1::regs::{self, segment, segment_field};

use crate::command::{Command, COMMAND_BYTES};
use crate::driver::{Done, Job, SecondDriver};
use crate::registers::{registers, Info, CONTEXTS};
use crate::ring::BESIDE;

const SEGMENTS: u8 = 8;
/// Pages of the hardware in a page.
const PAGES: u32 = 4;

impl Gpu for SecondDriver {
    const PAGE: u64 = PAGES as u64 * regs::PAGE;
    const ADDRESSES: Range<u64> = 1..1 << 16;
    const COMMAND_BYTES: usize = COMMAND_BYTES;

    type Command = Command;
    type Scanout = NoScanout;

    fn contexts(_: &Info) -> u8 {
        CONTEXTS
    }

    fn segments(_: &Info) -> u8 {
        SEGMENTS
    }

    fn vram(_: &Info) -> Option<Vram> {
        None
    }

    fn serial(info: &Info) -> u32 {
        info.serial
    }

    fn most_commands(credits: u32) -> u32 {
        credits.saturating_sub(BESIDE)
    }

    fn check(command: &Command) -> Result<(), InvalidArgument> {
        command.check()
    }

    fn decode(bytes: &[u8]) -> Result<Command, InvalidArgument> {
        Command::decode(bytes)
    }

    fn work(context: ContextId, commands: &[Command]) -> Job<'_> {
        Job { context, commands }
    }

    fn set_segment(io: &Io<'_>, context: ContextId, slot: u8, segment: &Segment) -> Result<(), DriverError> {
        let Target::Host(iova) = segment.target else { return Err(DriverError::NoSuchThing) };
        check(context, slot)?;
        let registers = registers(io)?;
        let field = |field| segment_field(context.0, slot, field);
        registers.write_pair(field(regs::SEG_VA_LO), segment.va.0)?;
        registers.write(field(regs::SEG_PAGES), PAGES * segment.pages)?;
        registers.write_pair(field(regs::SEG_TARGET_LO), iova.0)?;
        let writable = if segment.writable { segment::WRITABLE } else { 0 };
        registers.write(field(regs::SEG_FLAGS), segment::VALID | segment::HOST | writable)
    }

    fn clear_segment(io: &Io<'_>, context: ContextId, slot: u8) -> Result<(), DriverError> {
        check(context, slot)?;
        registers(io)?.write(segment_field(context.0, slot, regs::SEG_FLAGS), 0)
    }

    fn blanked(_: &Done) -> bool {
        false
    }
}

fn check(context: ContextId, slot: u8) -> Result<(), DriverError> {
    if context.0 < CONTEXTS && slot < SEGMENTS {
        Ok(())
    } else {
        Err(DriverError::NoSuchThing)
    }
}
