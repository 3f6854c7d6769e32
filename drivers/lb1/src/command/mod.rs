//! The commands of LB1 and their 128-byte descriptors.
//!
//! One encoding serves both sides: the driver encodes, the model decodes. What a user may ask for is [`Work`]; the
//! commands about sequence numbers belong to the driver alone, and [`Command`] is the sum of the two.

mod convolve;
mod descriptor;
mod matmul;

pub use convolve::{Convolve, Edge, Kernel, CONVOLVE_MAX_SIDE, MAX_SHIFT, MAX_TAP, SEPARABLE_TAPS};
pub use descriptor::{DecodeError, Descriptor, Opcode, DESCRIPTOR_BYTES};
pub use matmul::{MatMul, MATMUL_MAX_SIDE, MATMUL_TILE};

pub use lifeboat_driver::gpu::{ContextId, GpuVa, InvalidArgument};

/// Fills memory with a 32-bit pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// First byte to write; a multiple of 4.
    pub dst: GpuVa,
    /// Bytes to write; a multiple of 4.
    pub bytes: u64,
    /// Written little-endian, over and over.
    pub pattern: u32,
}

/// Copies rows of bytes. Source and destination must not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// First byte of the first row to write.
    pub dst: GpuVa,
    /// First byte of the first row to read.
    pub src: GpuVa,
    /// Bytes from one written row to the next; at least `row_bytes` unless there is one row.
    pub dst_pitch: u32,
    /// Bytes from one read row to the next; at least `row_bytes` unless there is one row.
    pub src_pitch: u32,
    /// Bytes of a row, at least 1.
    pub row_bytes: u32,
    /// Number of rows, at least 1.
    pub rows: u32,
}

impl Copy {
    /// A copy of consecutive bytes.
    pub const fn linear(dst: GpuVa, src: GpuVa, bytes: u32) -> Self {
        Self { dst, src, dst_pitch: bytes, src_pitch: bytes, row_bytes: bytes, rows: 1 }
    }
}

/// What a user may put into a job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// Does nothing.
    Nop,
    /// Fills memory.
    Fill(Fill),
    /// Copies memory.
    Copy(Copy),
    /// Convolves an RGBA8 image.
    Convolve(Convolve),
    /// Multiplies two f32 matrices.
    MatMul(MatMul),
    /// Never completes; only a reset or removal ends it. For tests of hang handling.
    Hang,
}

/// What can stand in a ring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Command {
    /// A user's command.
    Work(Work),
    /// Sets the ring's sequence number after all earlier commands of the ring have taken effect.
    WriteSeqno {
        /// The new sequence number.
        value: u32,
        /// Raise the ring's done interrupt.
        interrupt: bool,
    },
    /// Holds the ring until another ring's sequence number is at or past a value (compared modulo 2^32).
    WaitSeqno {
        /// The other ring.
        ring: u8,
        /// The value to wait for.
        value: u32,
    },
}

impl Work {
    /// Checks every argument against its stated range. Addresses are checked later, against the context's table.
    ///
    /// # Errors
    /// The first argument found out of range. The device faults with `BAD_ARGUMENT` in exactly these cases.
    pub fn check(&self) -> Result<(), InvalidArgument> {
        match self {
            Self::Nop | Self::Hang => Ok(()),
            Self::Fill(fill) => fill.check(),
            Self::Copy(copy) => copy.check(),
            Self::Convolve(convolve) => convolve.check(),
            Self::MatMul(matmul) => matmul.check(),
        }
    }
}

impl Fill {
    fn check(&self) -> Result<(), InvalidArgument> {
        require(self.dst.0 % 4 == 0, "dst")?;
        require(self.bytes % 4 == 0, "bytes")
    }
}

impl Copy {
    fn check(&self) -> Result<(), InvalidArgument> {
        require(self.row_bytes > 0, "row_bytes")?;
        require(self.rows > 0, "rows")?;
        require(self.rows == 1 || self.dst_pitch >= self.row_bytes, "dst_pitch")?;
        require(self.rows == 1 || self.src_pitch >= self.row_bytes, "src_pitch")
    }
}

fn require(holds: bool, argument: &'static str) -> Result<(), InvalidArgument> {
    if holds {
        Ok(())
    } else {
        Err(InvalidArgument(argument))
    }
}
