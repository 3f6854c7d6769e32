//! Matrix product of f32, tiled, with a stated order of summation so that results are exact to the bit.
//!
//! `c[i][j]` is the sum over `p` of `a[i][p] * b[p][j]`: starting from 0.0, `p` ascending, one rounded multiplication
//! and one rounded addition per step, never fused. The tiles ([`MATMUL_TILE`] square) only order the memory accesses.

use super::{require, GpuVa, InvalidArgument};

/// Rows and columns of a tile.
pub const MATMUL_TILE: u32 = 32;
/// Largest number of rows or columns.
pub const MATMUL_MAX_SIDE: u32 = 4096;

/// `c = a * b` for row-major little-endian f32 matrices. The destination must not overlap a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMul {
    /// First element of the product, `m` rows of `n`; a multiple of 4, like all three addresses.
    pub c: GpuVa,
    /// First element of the left factor, `m` rows of `k`.
    pub a: GpuVa,
    /// First element of the right factor, `k` rows of `n`.
    pub b: GpuVa,
    /// Rows of `a` and `c`, 1 to [`MATMUL_MAX_SIDE`].
    pub m: u32,
    /// Columns of `b` and `c`, 1 to [`MATMUL_MAX_SIDE`].
    pub n: u32,
    /// Columns of `a` and rows of `b`, 1 to [`MATMUL_MAX_SIDE`].
    pub k: u32,
}

impl MatMul {
    pub(super) fn check(&self) -> Result<(), InvalidArgument> {
        require(self.c.0 % 4 == 0, "c")?;
        require(self.a.0 % 4 == 0, "a")?;
        require(self.b.0 % 4 == 0, "b")?;
        let sides = 1..=MATMUL_MAX_SIDE;
        require(sides.contains(&self.m), "m")?;
        require(sides.contains(&self.n), "n")?;
        require(sides.contains(&self.k), "k")
    }
}
