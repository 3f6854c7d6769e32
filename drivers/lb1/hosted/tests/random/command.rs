//! Commands with any arguments: such that make sense, such that the driver refuses, and such that the device faults on.

use arbitrary::Arbitrary;
use lifeboat_lb1_hosted::command::{Convolve, Copy, Edge, Fill, GpuVa, Kernel, MatMul, Work};

use super::values::{Few, Number};

/// Something that a context can reach.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped {
    pub(crate) va: GpuVa,
    pub(crate) bytes: u64,
}

fn one(mapped: &[Mapped], which: u8) -> Mapped {
    let nothing = Mapped { va: GpuVa(0), bytes: 0 };
    usize::from(which).checked_rem(mapped.len()).map_or(nothing, |at| mapped[at])
}

/// An address of a context.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(crate) enum Address {
    /// Where something is mapped.
    Start {
        mapping: u8,
    },
    /// In it, or beside it.
    Within {
        mapping: u8,
        offset: Number,
    },
    Any(Number),
}

impl Address {
    pub(crate) fn va(self, mapped: &[Mapped]) -> GpuVa {
        match self {
            Self::Start { mapping } => one(mapped, mapping).va,
            Self::Within { mapping, offset } => {
                let Mapped { va, bytes } = one(mapped, mapping);
                GpuVa(va.0.wrapping_add(offset.near(bytes)))
            }
            Self::Any(number) => GpuVa(number.near(1 << 36)),
        }
    }
}

/// Width, height, pitch: mostly so small that a buffer has room for it.
#[derive(Debug, Clone, core::marker::Copy, Arbitrary)]
pub(crate) enum Side {
    Small(u8),
    Any(u32),
}

impl Side {
    fn number(self) -> u32 {
        match self {
            Self::Small(number) => u32::from(number % 64),
            Self::Any(number) => number,
        }
    }

    fn short(self) -> u16 {
        // Which bits are lost does not matter: it is any number.
        #[allow(clippy::cast_possible_truncation)]
        let short = self.number() as u16;
        short
    }

    /// Bytes from one row to the next: mostly enough for such a row, and whole words.
    fn pitch(self, row_bytes: u32) -> u32 {
        match self {
            Self::Small(more) => row_bytes.wrapping_add(u32::from(more % 4) * 4),
            Self::Any(number) => number,
        }
    }
}

/// The commands of a job: often such that can be carried out.
#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Commands {
    /// Of all that is mapped there.
    Fill {
        mapping: u8,
        pattern: u32,
    },
    /// As much as both have.
    Copy {
        from: u8,
        to: u8,
    },
    Hang,
    Any(Few<Command>),
}

#[derive(Debug, Clone, core::marker::Copy, Arbitrary)]
pub(crate) enum Command {
    Nop,
    Fill {
        dst: Address,
        bytes: Number,
        pattern: u32,
    },
    Copy {
        dst: Address,
        src: Address,
        pitches: (Side, Side),
        row_bytes: Side,
        rows: Side,
    },
    Convolve {
        dst: Address,
        src: Address,
        pitches: (Side, Side),
        src_size: (Side, Side),
        origin: (u8, u8),
        size: (Side, Side),
        kernel: Taps,
        shift: u8,
        bias: i16,
        clamp: bool,
    },
    MatMul {
        c: Address,
        a: Address,
        b: Address,
        sides: (Side, Side, Side),
    },
}

#[derive(Debug, Clone, core::marker::Copy, Arbitrary)]
pub(crate) enum Taps {
    Full([i8; 9]),
    Gradient([i8; 9], [i8; 9]),
    Separable { taps: u8, horizontal: [i8; 9], vertical: [i8; 9] },
    Large(i16),
}

impl Commands {
    pub(crate) fn work(&self, mapped: &[Mapped]) -> Vec<Work> {
        match self {
            Self::Fill { mapping, pattern } => {
                let Mapped { va, bytes } = one(mapped, *mapping);
                vec![Work::Fill(Fill { dst: va, bytes: bytes & !3, pattern: *pattern })]
            }
            Self::Copy { from, to } => {
                let (from, to) = (one(mapped, *from), one(mapped, *to));
                let bytes = u32::try_from(from.bytes.min(to.bytes)).unwrap_or(u32::MAX);
                vec![Work::Copy(Copy::linear(to.va, from.va, bytes))]
            }
            Self::Hang => vec![Work::Hang],
            Self::Any(Few(commands)) => commands.iter().map(|command| command.work(mapped)).collect(),
        }
    }
}

impl Command {
    fn work(self, mapped: &[Mapped]) -> Work {
        match self {
            Self::Nop => Work::Nop,
            Self::Fill { dst, bytes, pattern } => {
                let end = mapped.first().map_or(0, |mapped| mapped.bytes);
                Work::Fill(Fill { dst: dst.va(mapped), bytes: bytes.near(end), pattern })
            }
            Self::Copy { dst, src, pitches, row_bytes, rows } => {
                let row_bytes = row_bytes.number();
                Work::Copy(Copy {
                    dst: dst.va(mapped),
                    src: src.va(mapped),
                    dst_pitch: pitches.0.pitch(row_bytes),
                    src_pitch: pitches.1.pitch(row_bytes),
                    row_bytes,
                    rows: rows.number(),
                })
            }
            Self::Convolve { dst, src, pitches, src_size, origin, size, kernel, shift, bias, clamp } => {
                let (src_size, size) = ((src_size.0.short(), src_size.1.short()), (size.0.short(), size.1.short()));
                Work::Convolve(Convolve {
                    dst: dst.va(mapped),
                    src: src.va(mapped),
                    dst_pitch: pitches.0.pitch(u32::from(size.0) * 4),
                    src_pitch: pitches.1.pitch(u32::from(src_size.0) * 4),
                    src_size,
                    origin: (u16::from(origin.0 % 8), u16::from(origin.1 % 8)),
                    size,
                    kernel: kernel.kernel(),
                    shift: shift % 18,
                    bias: bias % 257,
                    edge: if clamp { Edge::Clamp } else { Edge::Zero },
                })
            }
            Self::MatMul { c, a, b, sides } => Work::MatMul(MatMul {
                c: c.va(mapped),
                a: a.va(mapped),
                b: b.va(mapped),
                m: sides.0.number(),
                n: sides.1.number(),
                k: sides.2.number(),
            }),
        }
    }
}

impl Taps {
    fn kernel(self) -> Kernel {
        match self {
            Self::Full(taps) => Kernel::Full(taps.map(i16::from)),
            Self::Gradient(a, b) => Kernel::Gradient(a.map(i16::from), b.map(i16::from)),
            Self::Separable { taps, horizontal, vertical } => Kernel::Separable {
                taps: taps % 11,
                horizontal: horizontal.map(i16::from),
                vertical: vertical.map(i16::from),
            },
            Self::Large(tap) => Kernel::Full([tap; 9]),
        }
    }
}
