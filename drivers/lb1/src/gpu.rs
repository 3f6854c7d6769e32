//! LB1, as a GPU.

use core::ops::Range;

use lifeboat_driver::gpu::{ContextId, Gpu, InvalidArgument, Picture, Scanout, Screen, Segment, Vram};
use lifeboat_driver::{DriverError, Io};

use crate::bringup::Info;
use crate::command::Work;
use crate::driver::{registers, Commands, Lb1Driver, Lb1Pending};
use crate::regs;
use crate::scanout::{MAX_SIDE, REFRESH_MILLIHERTZ};

impl Gpu for Lb1Driver {
    const PAGE: u64 = regs::PAGE;
    const ADDRESSES: Range<u64> = 1..1 << 24;

    type Command = Work;
    type Scanout = Self;

    fn contexts(info: &Info) -> u8 {
        info.contexts
    }

    fn segments(info: &Info) -> u8 {
        info.segments
    }

    fn vram(info: &Info) -> Option<Vram> {
        Some(Vram { bar: regs::VRAM_BAR, bytes: info.vram_bytes })
    }

    fn serial(info: &Info) -> u32 {
        info.serial
    }

    fn most_commands(credits: u32) -> u32 {
        // Behind the commands there is the sequence number.
        credits.saturating_sub(1)
    }

    fn check(command: &Work) -> Result<(), InvalidArgument> {
        command.check()
    }

    fn work(context: ContextId, commands: &[Work]) -> Commands<'_> {
        Commands { context, work: commands }
    }

    fn set_segment(io: &Io<'_>, context: ContextId, slot: u8, segment: &Segment) -> Result<(), DriverError> {
        registers(io)?.set_segment(context, slot, segment)
    }

    fn clear_segment(io: &Io<'_>, context: ContextId, slot: u8) -> Result<(), DriverError> {
        registers(io)?.clear_segment(context, slot)
    }

    fn blanked(pending: &Lb1Pending) -> bool {
        pending.blanked()
    }
}

impl Scanout for Lb1Driver {
    const SCREEN: Option<Screen> = Some(Screen { refresh_millihertz: REFRESH_MILLIHERTZ, max_side: MAX_SIDE });

    fn show(io: &Io<'_>, picture: Picture) -> Result<(), DriverError> {
        registers(io)?.show(picture)
    }

    fn flip(io: &Io<'_>, offset: u64) -> Result<(), DriverError> {
        registers(io)?.flip(offset)
    }

    fn turn_off(io: &Io<'_>) -> Result<(), DriverError> {
        registers(io)?.turn_off()
    }

    fn showing(io: &Io<'_>) -> Result<Option<u64>, DriverError> {
        registers(io)?.showing()
    }

    fn flip_pending(io: &Io<'_>) -> Result<bool, DriverError> {
        registers(io)?.flip_pending()
    }

    fn vblank_count(io: &Io<'_>) -> Result<u32, DriverError> {
        registers(io)?.vblank_count()
    }

    fn watch_vblanks(io: &Io<'_>, on: bool) -> Result<(), DriverError> {
        registers(io)?.watch_vblanks(on)
    }
}
