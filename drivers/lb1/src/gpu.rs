//! LB1, as a GPU.

use core::ops::Range;

use lifeboat_driver::gpu::{ContextId, Gpu, InvalidArgument, Picture, Scanout, Screen, Segment, Vram};
use lifeboat_driver::{DriverError, Io};

use crate::bringup::Info;
use crate::command::{Command, DecodeError, Descriptor, Work, DESCRIPTOR_BYTES};
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

    const COMMAND_BYTES: usize = DESCRIPTOR_BYTES;

    fn decode(bytes: &[u8]) -> Result<Work, InvalidArgument> {
        let bytes = bytes.try_into().map_err(|_| InvalidArgument("length"))?;
        let work = match Descriptor::from_bytes(bytes).decode() {
            Ok(Command::Work(work)) => work,
            // Numbers are the driver's to write.
            Ok(Command::WriteSeqno { .. } | Command::WaitSeqno { .. }) | Err(DecodeError::Opcode(_)) => {
                return Err(InvalidArgument("opcode"));
            }
            Err(DecodeError::Argument(argument)) => return Err(argument),
        };
        // The context and the flags are the driver's, too.
        let canonical = Descriptor::encode(ContextId(0), &Command::Work(work)).to_bytes();
        if canonical == *bytes {
            Ok(work)
        } else {
            Err(InvalidArgument("reserved"))
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Convolve, Copy, Edge, Fill, GpuVa, Kernel, MatMul};

    fn bytes(command: &Command) -> [u8; DESCRIPTOR_BYTES] {
        Descriptor::encode(ContextId(0), command).to_bytes()
    }

    /// One of each kind, with every field in use.
    fn all() -> [Work; 6] {
        [
            Work::Nop,
            Work::Hang,
            Work::Fill(Fill { dst: GpuVa(0x1_0000_1000), bytes: 4096, pattern: 0xa5a5_0001 }),
            Work::Copy(Copy {
                dst: GpuVa(0x2000),
                src: GpuVa(0x9000),
                dst_pitch: 64,
                src_pitch: 128,
                row_bytes: 44,
                rows: 16,
            }),
            Work::Convolve(Convolve {
                dst: GpuVa(0x2000),
                src: GpuVa(0x9000),
                dst_pitch: 64,
                src_pitch: 64,
                src_size: (16, 16),
                origin: (1, 2),
                size: (8, 8),
                kernel: Kernel::Gradient([-1, 0, 1, -2, 0, 2, -1, 0, 1], [-1, -2, -1, 0, 0, 0, 1, 2, 1]),
                shift: 1,
                bias: -3,
                edge: Edge::Zero,
            }),
            Work::MatMul(MatMul { c: GpuVa(0x1000), a: GpuVa(0x2000), b: GpuVa(0x3000), m: 4, n: 8, k: 16 }),
        ]
    }

    #[test]
    fn a_users_command_is_decoded_as_it_was_encoded() {
        for work in all() {
            assert_eq!(Lb1Driver::decode(&bytes(&Command::Work(work))), Ok(work));
        }
    }

    #[test]
    fn every_bit_without_a_meaning_must_be_zero() {
        for work in all() {
            let command = bytes(&Command::Work(work));
            for bit in 0..DESCRIPTOR_BYTES * 8 {
                let mut other = command;
                other[bit / 8] ^= 1 << (bit % 8);
                if let Ok(decoded) = Lb1Driver::decode(&other) {
                    assert_ne!(decoded, work, "bit {bit}");
                    assert_eq!(bytes(&Command::Work(decoded)), other, "bit {bit}");
                }
            }
        }
    }

    #[test]
    fn the_drivers_own_commands_contexts_and_flags_are_no_users() {
        let own = [Command::WriteSeqno { value: 7, interrupt: true }, Command::WaitSeqno { ring: 1, value: 7 }];
        for command in own {
            assert_eq!(Lb1Driver::decode(&bytes(&command)), Err(InvalidArgument("opcode")));
        }
        let nop = Command::Work(Work::Nop);
        let elsewhere = Descriptor::encode(ContextId(1), &nop).to_bytes();
        assert_eq!(Lb1Driver::decode(&elsewhere), Err(InvalidArgument("reserved")));
        assert_eq!(Lb1Driver::decode(&Descriptor::encode_own(&nop).to_bytes()), Err(InvalidArgument("reserved")));
    }

    #[test]
    fn what_is_no_command_is_refused_with_what_is_wrong() {
        let fill = bytes(&Command::Work(Work::Fill(Fill { dst: GpuVa(2), bytes: 4, pattern: 0 })));
        assert_eq!(Lb1Driver::decode(&fill), Err(InvalidArgument("dst")));
        assert_eq!(Lb1Driver::decode(&fill[..127]), Err(InvalidArgument("length")));
        assert_eq!(Lb1Driver::decode(&[0xff; DESCRIPTOR_BYTES]), Err(InvalidArgument("opcode")));
    }
}
