//! Sums in lanes: the inner loops of a convolution.
//!
//! A row of pixels is a row of lanes, four to a pixel. Every loop here runs over slices of one length without a branch,
//! so that the compiler turns it into vector code. Narrow lanes are twice as fast as wide ones; they compute modulo
//! 2^16, which is exact as long as the *result* fits, whatever the intermediate sums do. [`Range`] says what fits.

use std::ops::Neg;

/// A number that sums are made of: `i16` modulo 2^16, or `i32`.
pub(super) trait Lane: Copy + Default {
    /// `|self| + |other|`.
    fn sum_of_magnitudes(self, other: Self) -> Self;
    /// A byte of the source.
    fn from_byte(byte: u8) -> Self;
    /// The low byte.
    fn to_byte(self) -> u8;
    /// Rounds, shifts, adds the bias and clamps.
    fn scale(sums: &[Self], scale: Scale, out: &mut [u8]);
}

/// A sum that can take up `source * tap`.
pub(super) trait Accumulate<Source: Copy>: Lane {
    /// `self + source * tap`.
    fn accumulate(self, source: Source, tap: i16) -> Self;
}

impl Accumulate<i16> for i16 {
    fn accumulate(self, source: i16, tap: i16) -> Self {
        self.wrapping_add(source.wrapping_mul(tap))
    }
}

impl Accumulate<i16> for i32 {
    fn accumulate(self, source: i16, tap: i16) -> Self {
        self.wrapping_add(Self::from(source).wrapping_mul(Self::from(tap)))
    }
}

impl Accumulate<i32> for i32 {
    fn accumulate(self, source: i32, tap: i16) -> Self {
        self.wrapping_add(source.wrapping_mul(Self::from(tap)))
    }
}

/// From a sum to a byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) shift: u8,
    pub(super) bias: i16,
    /// Narrow sums are to be taken as 0..=65535.
    pub(super) unsigned: bool,
}

impl Scale {
    fn round(self) -> i32 {
        (1 << self.shift) >> 1
    }
}

impl Lane for i16 {
    fn sum_of_magnitudes(self, other: Self) -> Self {
        self.wrapping_abs().wrapping_add(other.wrapping_abs())
    }

    fn from_byte(byte: u8) -> Self {
        Self::from(byte)
    }

    fn to_byte(self) -> u8 {
        self.to_le_bytes()[0]
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped, or reinterpreted on purpose
    fn scale(sums: &[Self], scale: Scale, out: &mut [u8]) {
        let (shift, bias) = (u32::from(scale.shift & 15), scale.bias);
        if scale.unsigned {
            let round = scale.round() as u16;
            for (out, sum) in out.iter_mut().zip(sums) {
                let shifted = (*sum as u16).wrapping_add(round).wrapping_shr(shift);
                *out = shifted.saturating_add_signed(bias).min(255) as u8;
            }
        } else {
            let round = scale.round() as i16;
            for (out, sum) in out.iter_mut().zip(sums) {
                let shifted = sum.wrapping_add(round).wrapping_shr(shift);
                *out = shifted.saturating_add(bias).clamp(0, 255) as u8;
            }
        }
    }
}

impl Lane for i32 {
    fn sum_of_magnitudes(self, other: Self) -> Self {
        self.wrapping_abs().wrapping_add(other.wrapping_abs())
    }

    fn from_byte(byte: u8) -> Self {
        Self::from(byte)
    }

    fn to_byte(self) -> u8 {
        self.to_le_bytes()[0]
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn scale(sums: &[Self], scale: Scale, out: &mut [u8]) {
        let (round, shift, bias) = (scale.round(), u32::from(scale.shift), Self::from(scale.bias));
        for (out, sum) in out.iter_mut().zip(sums) {
            let shifted = sum.wrapping_add(round).wrapping_shr(shift);
            *out = shifted.wrapping_add(bias).clamp(0, 255) as u8;
        }
    }
}

/// Sums tap times lane over up to nine rows of lanes, all as long as `sums`. Rows with a zero tap cost nothing.
pub(super) fn weighted_sum<'a, S, L>(terms: impl Iterator<Item = (&'a [S], i16)>, sums: &mut [L])
where
    S: Copy + 'a,
    L: Accumulate<S>,
{
    let mut used: [(&[S], i16); 9] = [(&[], 0); 9];
    let mut count = 0;
    for (slot, term) in used.iter_mut().zip(terms.filter(|(_, tap)| *tap != 0)) {
        *slot = term;
        count += 1;
    }
    // One loop for each number of terms, so that the compiler can unroll it.
    match count {
        0 => sums.fill(L::default()),
        1 => sum_terms(first::<_, 1>(&used), sums),
        2 => sum_terms(first::<_, 2>(&used), sums),
        3 => sum_terms(first::<_, 3>(&used), sums),
        4 => sum_terms(first::<_, 4>(&used), sums),
        5 => sum_terms(first::<_, 5>(&used), sums),
        6 => sum_terms(first::<_, 6>(&used), sums),
        7 => sum_terms(first::<_, 7>(&used), sums),
        8 => sum_terms(first::<_, 8>(&used), sums),
        _ => sum_terms(used, sums),
    }
}

/// The first `N` of nine.
fn first<T: Copy, const N: usize>(all: &[T; 9]) -> [T; N] {
    std::array::from_fn(|at| all[at])
}

fn sum_terms<S: Copy, L: Accumulate<S>, const N: usize>(terms: [(&[S], i16); N], sums: &mut [L]) {
    let len = sums.len();
    let rows = terms.map(|(row, _)| &row[..len]);
    let taps = terms.map(|(_, tap)| tap);
    for (at, sum) in sums.iter_mut().enumerate() {
        let mut total = L::default();
        for (row, tap) in rows.iter().zip(taps) {
            total = total.accumulate(row[at], tap);
        }
        *sum = total;
    }
}

/// The values a sum can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    low: i64,
    high: i64,
}

impl Range {
    /// A source byte.
    pub(super) const BYTE: Self = Self { low: 0, high: 255 };

    /// The sum of tap times a value of this range, over all taps.
    pub(super) fn weighted(self, taps: &[i16]) -> Self {
        taps.iter().map(|tap| i64::from(*tap)).fold(Self { low: 0, high: 0 }, |sum, tap| {
            let ends = [self.low * tap, self.high * tap];
            Self { low: sum.low + ends[0].min(ends[1]), high: sum.high + ends[0].max(ends[1]) }
        })
    }

    /// The sum of the magnitudes of two.
    pub(super) fn magnitudes(self, other: Self) -> Self {
        let most = |range: Self| range.high.max(range.low.neg());
        Self { low: 0, high: most(self) + most(other) }
    }

    /// Whether an `i16` holds every value.
    pub(super) fn fits_i16(self) -> bool {
        self.low >= i64::from(i16::MIN) && self.high <= i64::from(i16::MAX)
    }

    /// Whether a `u16` holds every value.
    pub(super) fn fits_u16(self) -> bool {
        self.low >= 0 && self.high <= i64::from(u16::MAX)
    }

    /// The range after rounding is added.
    pub(super) fn rounded(self, shift: u8) -> Self {
        Self { low: self.low, high: self.high + ((1 << shift) >> 1) }
    }
}
