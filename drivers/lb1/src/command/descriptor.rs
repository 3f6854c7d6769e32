//! The 128-byte form of a command: 32 little-endian words. Word 0 holds opcode (7:0), flags (15:8), context (23:16).
//!
//! Words and bits that a command does not use are zero when encoded and ignored when decoded.
// Packing into and out of 32-bit words is what this file does; each truncation picks the half or byte it names.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]

use super::{
    Command, ContextId, Convolve, Copy, Edge, Fill, GpuVa, InvalidArgument, Kernel, MatMul, Work, SEPARABLE_TAPS,
};

/// Size of a descriptor in bytes.
pub const DESCRIPTOR_BYTES: usize = 128;
const WORDS: usize = DESCRIPTOR_BYTES / 4;

/// First word of the first and of the second set of taps; two 16-bit taps to a word.
const TAPS: [usize; 2] = [13, 18];

/// Flag of `WRITE_SEQNO`: raise the done interrupt.
const FLAG_INTERRUPT: u32 = 1 << 8;
/// Flag of every command: the driver's own, with bus addresses.
const FLAG_OWN: u32 = 1 << 9;

/// The operation codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // each is the command of the same name
pub enum Opcode {
    Nop = 0,
    Fill = 1,
    Copy = 2,
    Convolve = 3,
    MatMul = 4,
    WriteSeqno = 5,
    WaitSeqno = 6,
    Hang = 7,
}

/// A command as it stands in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    words: [u32; WORDS],
}

/// Why a descriptor is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// There is no such operation.
    Opcode(u8),
    /// An argument is outside its stated range.
    Argument(InvalidArgument),
}

impl Descriptor {
    /// Encodes a command for a context.
    pub fn encode(context: ContextId, command: &Command) -> Self {
        let mut d = Self { words: [0; WORDS] };
        d.words[0] = command.opcode() as u32 | u32::from(context.0) << 16;
        match command {
            Command::Work(Work::Nop | Work::Hang) => {}
            Command::Work(Work::Fill(fill)) => {
                d.put64(2, fill.dst.0);
                d.put64(4, fill.bytes);
                d.words[6] = fill.pattern;
            }
            Command::Work(Work::Copy(copy)) => {
                d.put64(2, copy.dst.0);
                d.put64(4, copy.src.0);
                d.words[6..10].copy_from_slice(&[copy.dst_pitch, copy.src_pitch, copy.row_bytes, copy.rows]);
            }
            Command::Work(Work::Convolve(convolve)) => d.put_convolve(convolve),
            Command::Work(Work::MatMul(matmul)) => {
                d.put64(2, matmul.c.0);
                d.put64(4, matmul.a.0);
                d.put64(6, matmul.b.0);
                d.words[8..11].copy_from_slice(&[matmul.m, matmul.n, matmul.k]);
            }
            Command::WriteSeqno { value, interrupt } => {
                d.words[0] |= if *interrupt { FLAG_INTERRUPT } else { 0 };
                d.words[2] = *value;
            }
            Command::WaitSeqno { ring, value } => {
                d.words[2] = *value;
                d.words[3] = u32::from(*ring);
            }
        }
        d
    }

    /// Encodes a command of the driver's own, which is part of no job: the addresses in it are bus
    /// addresses.
    pub fn encode_own(command: &Command) -> Self {
        let mut d = Self::encode(ContextId(0), command);
        d.words[0] |= FLAG_OWN;
        d
    }

    /// Whether the command is one of the driver's own; see [`Descriptor::encode_own`].
    pub fn is_own(&self) -> bool {
        self.words[0] & FLAG_OWN != 0
    }

    /// The context the command runs in, unless it is the driver's own. Readable even if the rest is
    /// not a command.
    pub fn context(&self) -> ContextId {
        ContextId(byte(self.words[0], 2))
    }

    /// The operation code as it stands there, known or not.
    pub fn opcode_byte(&self) -> u8 {
        byte(self.words[0], 0)
    }

    /// Decodes and checks the command.
    ///
    /// # Errors
    /// [`DecodeError::Opcode`] or [`DecodeError::Argument`].
    pub fn decode(&self) -> Result<Command, DecodeError> {
        let w = &self.words;
        let work = match self.opcode_byte() {
            0 => Work::Nop,
            1 => Work::Fill(Fill { dst: self.va(2), bytes: self.get64(4), pattern: w[6] }),
            2 => Work::Copy(Copy {
                dst: self.va(2),
                src: self.va(4),
                dst_pitch: w[6],
                src_pitch: w[7],
                row_bytes: w[8],
                rows: w[9],
            }),
            3 => Work::Convolve(self.convolve().map_err(DecodeError::Argument)?),
            4 => Work::MatMul(MatMul { c: self.va(2), a: self.va(4), b: self.va(6), m: w[8], n: w[9], k: w[10] }),
            5 => return Ok(Command::WriteSeqno { value: w[2], interrupt: w[0] & FLAG_INTERRUPT != 0 }),
            6 => return Ok(Command::WaitSeqno { ring: byte(w[3], 0), value: w[2] }),
            7 => Work::Hang,
            other => return Err(DecodeError::Opcode(other)),
        };
        work.check().map_err(DecodeError::Argument)?;
        Ok(Command::Work(work))
    }

    /// The bytes as the device reads them.
    pub fn to_bytes(&self) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(self.words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Takes up the bytes as the device reads them.
    pub fn from_bytes(bytes: &[u8; DESCRIPTOR_BYTES]) -> Self {
        let mut words = [0; WORDS];
        for (word, c) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = u32::from_le_bytes([c[0], c[1], c[2], c[3]]);
        }
        Self { words }
    }

    fn put_convolve(&mut self, c: &Convolve) {
        self.put64(2, c.dst.0);
        self.put64(4, c.src.0);
        self.words[6] = c.dst_pitch;
        self.words[7] = c.src_pitch;
        self.words[8] = pair(c.src_size);
        self.words[9] = pair(c.origin);
        self.words[10] = pair(c.size);
        let edge = match c.edge {
            Edge::Clamp => 0,
            Edge::Zero => 1,
        };
        let (mode, taps) = match &c.kernel {
            Kernel::Full(taps) => {
                self.put_taps(TAPS[0], taps);
                (0, 0)
            }
            Kernel::Gradient(a, b) => {
                self.put_taps(TAPS[0], a);
                self.put_taps(TAPS[1], b);
                (1, 0)
            }
            Kernel::Separable { taps, horizontal, vertical } => {
                self.put_taps(TAPS[0], horizontal);
                self.put_taps(TAPS[1], vertical);
                (2, *taps)
            }
        };
        self.words[11] = u32::from_le_bytes([mode, edge, c.shift, taps]);
        self.words[12] = i32::from(c.bias) as u32;
    }

    fn convolve(&self) -> Result<Convolve, InvalidArgument> {
        let w = &self.words;
        let [mode, edge, shift, taps] = w[11].to_le_bytes();
        let kernel = match mode {
            0 => Kernel::Full(self.taps(TAPS[0])),
            1 => Kernel::Gradient(self.taps(TAPS[0]), self.taps(TAPS[1])),
            2 => Kernel::Separable { taps, horizontal: self.taps(TAPS[0]), vertical: self.taps(TAPS[1]) },
            _ => return Err(InvalidArgument("mode")),
        };
        let edge = match edge {
            0 => Edge::Clamp,
            1 => Edge::Zero,
            _ => return Err(InvalidArgument("edge")),
        };
        Ok(Convolve {
            dst: self.va(2),
            src: self.va(4),
            dst_pitch: w[6],
            src_pitch: w[7],
            src_size: unpair(w[8]),
            origin: unpair(w[9]),
            size: unpair(w[10]),
            kernel,
            shift,
            bias: i16::try_from(w[12] as i32).map_err(|_| InvalidArgument("bias"))?,
            edge,
        })
    }

    fn put_taps(&mut self, at: usize, taps: &[i16; SEPARABLE_TAPS]) {
        for (i, tap) in taps.iter().enumerate() {
            self.words[at + i / 2] |= u32::from(*tap as u16) << (16 * (i % 2));
        }
    }

    fn taps(&self, at: usize) -> [i16; SEPARABLE_TAPS] {
        core::array::from_fn(|i| (self.words[at + i / 2] >> (16 * (i % 2))) as u16 as i16)
    }

    fn put64(&mut self, at: usize, value: u64) {
        self.words[at] = value as u32;
        self.words[at + 1] = (value >> 32) as u32;
    }

    fn get64(&self, at: usize) -> u64 {
        u64::from(self.words[at]) | u64::from(self.words[at + 1]) << 32
    }

    fn va(&self, at: usize) -> GpuVa {
        GpuVa(self.get64(at))
    }
}

impl Command {
    fn opcode(&self) -> Opcode {
        match self {
            Self::Work(Work::Nop) => Opcode::Nop,
            Self::Work(Work::Fill(_)) => Opcode::Fill,
            Self::Work(Work::Copy(_)) => Opcode::Copy,
            Self::Work(Work::Convolve(_)) => Opcode::Convolve,
            Self::Work(Work::MatMul(_)) => Opcode::MatMul,
            Self::Work(Work::Hang) => Opcode::Hang,
            Self::WriteSeqno { .. } => Opcode::WriteSeqno,
            Self::WaitSeqno { .. } => Opcode::WaitSeqno,
        }
    }
}

fn byte(word: u32, index: usize) -> u8 {
    word.to_le_bytes()[index]
}

fn pair((low, high): (u16, u16)) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn unpair(word: u32) -> (u16, u16) {
    (word as u16, (word >> 16) as u16)
}
