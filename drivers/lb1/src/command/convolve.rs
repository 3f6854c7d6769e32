//! Image convolution: RGBA8 pixels, integer arithmetic, exact results.
//!
//! For each output pixel and each of R, G, B: the sum over the kernel's taps of tap times source byte, in `i32`; then
//! `((sum + round) >> shift) + bias`, clamped to 0..=255, where `round` is `2^(shift-1)` (0 for shift 0) and the shift
//! is arithmetic. Alpha is copied from the source pixel at the same place. A separable kernel sums horizontally first
//! and vertically after, without rounding in between. A gradient adds the absolute values of two 3x3 sums first, then
//! rounds, shifts, adds the bias and clamps. Taps are not mirrored: `taps[0]` meets the top left neighbour.
//!
//! The ranges keep every sum inside `i32`: 81 products of at most 255 * 255 * 255, and the rounding, are below 2^31.

use super::{require, GpuVa, InvalidArgument};

/// Largest absolute value of a tap.
pub const MAX_TAP: i16 = 255;
/// Largest shift.
pub const MAX_SHIFT: u8 = 16;
/// Most taps of a separable kernel in one direction; their number is odd.
pub const SEPARABLE_TAPS: usize = 9;
/// Largest width and height of source and output, in pixels.
pub const CONVOLVE_MAX_SIDE: u16 = 16_384;

const _: () = assert!((SEPARABLE_TAPS * SEPARABLE_TAPS) as u64 * 255 * 255 * 255 + (1 << MAX_SHIFT) < i32::MAX as u64);

/// What a tap outside the source image reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The nearest pixel of the image.
    Clamp,
    /// Zero in every channel.
    Zero,
}

/// The taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// One 3x3 kernel, row by row.
    Full([i16; 9]),
    /// Two 3x3 kernels; the result is the sum of their absolute values (an edge detector such as Sobel's).
    Gradient([i16; 9], [i16; 9]),
    /// A row of taps, then a column of taps. The first `taps` of each count, centred; the rest is ignored.
    Separable {
        /// Number of taps: 1, 3, 5, 7 or 9.
        taps: u8,
        /// Applied along the row.
        horizontal: [i16; SEPARABLE_TAPS],
        /// Applied along the column.
        vertical: [i16; SEPARABLE_TAPS],
    },
}

impl Kernel {
    /// How many pixels beyond the output pixel the kernel reaches, in each direction.
    pub const fn radius(&self) -> u16 {
        match self {
            Self::Full(_) | Self::Gradient(..) => 1,
            Self::Separable { taps, .. } => *taps as u16 / 2,
        }
    }
}

/// Convolves a rectangle of an RGBA8 image. Source and destination must not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolve {
    /// First byte of the output; a multiple of 4.
    pub dst: GpuVa,
    /// First byte of the source image; a multiple of 4.
    pub src: GpuVa,
    /// Bytes from one output row to the next; a multiple of 4, at least 4 per pixel.
    pub dst_pitch: u32,
    /// Bytes from one source row to the next; a multiple of 4, at least 4 per pixel.
    pub src_pitch: u32,
    /// Width and height of the source image in pixels, 1 to [`CONVOLVE_MAX_SIDE`]. Its border is where `edge` applies.
    pub src_size: (u16, u16),
    /// Column and row of the source image where the output begins.
    pub origin: (u16, u16),
    /// Width and height of the output in pixels, at least 1; the output lies within the source image.
    pub size: (u16, u16),
    /// The taps, each at most [`MAX_TAP`] in absolute value.
    pub kernel: Kernel,
    /// Right shift of the sum, 0 to [`MAX_SHIFT`].
    pub shift: u8,
    /// Added after the shift, -255 to 255.
    pub bias: i16,
    /// What lies beyond the source image.
    pub edge: Edge,
}

impl Convolve {
    pub(super) fn check(&self) -> Result<(), InvalidArgument> {
        let sides = 1..=CONVOLVE_MAX_SIDE;
        require(self.dst.0 % 4 == 0, "dst")?;
        require(self.src.0 % 4 == 0, "src")?;
        require(sides.contains(&self.src_size.0) && sides.contains(&self.src_size.1), "src_size")?;
        require(self.size.0 >= 1 && self.size.1 >= 1, "size")?;
        // Both at most 65535: no overflow in u32.
        let inside = |origin: u16, size: u16, of: u16| u32::from(origin) + u32::from(size) <= u32::from(of);
        require(inside(self.origin.0, self.size.0, self.src_size.0), "origin")?;
        require(inside(self.origin.1, self.size.1, self.src_size.1), "origin")?;
        let pitch = |pitch: u32, width: u16| pitch % 4 == 0 && pitch >= u32::from(width) * 4;
        require(pitch(self.dst_pitch, self.size.0), "dst_pitch")?;
        require(pitch(self.src_pitch, self.src_size.0), "src_pitch")?;
        require(self.shift <= MAX_SHIFT, "shift")?;
        require((-255..=255).contains(&self.bias), "bias")?;
        let small = |taps: &[i16]| taps.iter().all(|tap| (-MAX_TAP..=MAX_TAP).contains(tap));
        match &self.kernel {
            Kernel::Full(taps) => require(small(taps), "taps"),
            Kernel::Gradient(a, b) => require(small(a) && small(b), "taps"),
            Kernel::Separable { taps, horizontal, vertical } => {
                require(matches!(taps, 1 | 3 | 5 | 7 | 9), "tap_count")?;
                require(small(horizontal) && small(vertical), "taps")
            }
        }
    }
}
