//! What the result must be, computed on the CPU straight from the definition.
//!
//! The definition is the module documentation of `lifeboat_lb1::command::Convolve`; docs/lb1.md states the same. This
//! file shares no code with the GPU model, sums in another order (columns before rows), and is the judge of every run: so
//! it is kept plain. Expected pixels exist one row at a time, so judging needs no second picture.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic;
use std::thread;

use lifeboat_lb1::command::{Edge, Kernel};
use serde::Serialize;

use super::filter::Convolution;
use super::picture::{PIXEL, Picture};

/// Colour channels; alpha is copied, not filtered.
const COLORS: usize = 3;

/// An output that is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Column of the first wrong pixel, in reading order.
    pub x: u16,
    /// Its row.
    pub y: u16,
    /// Its first wrong channel: `r`, `g`, `b` or `a`.
    pub channel: char,
    /// What the channel must be.
    pub expected: u8,
    /// What it is.
    pub got: u8,
    /// How many pixels are wrong in all.
    pub pixels: u64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { x, y, channel, expected, got, pixels } = self;
        write!(f, "{pixels} pixels are wrong, first column {x}, row {y}: {channel} is {got} and must be {expected}")
    }
}

/// Compares an output with what it must be, on `threads` threads.
///
/// An output of another size than the source is compared as far as it goes; the pixels it lacks are wrong, as if they
/// were transparent black.
///
/// # Errors
/// Where the output is wrong first, and in how many pixels.
pub fn compare(
    source: &Picture,
    convolution: &Convolution,
    output: &Picture,
    threads: NonZeroUsize,
) -> Result<(), Mismatch> {
    let rows_each = usize::from(source.height()).div_ceil(threads.get());
    let bands = (0..source.height()).step_by(rows_each.max(1));
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = bands
            .map(|first| {
                let end = u16::try_from(usize::from(first) + rows_each)
                    .map_or(source.height(), |end| end.min(source.height()));
                scope.spawn(move || compare_rows(source, convolution, output, first..end))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|cause| panic::resume_unwind(cause))).collect()
    });
    // Bands are in reading order: the first mismatch of the first band that has one is the first of all.
    let merged = results.into_iter().flatten().reduce(|a, b| Mismatch { pixels: a.pixels + b.pixels, ..a });
    merged.map_or(Ok(()), Err)
}

/// The whole result. Only tests want it; a run compares row by row.
#[cfg(test)]
pub(super) fn convolve(source: &Picture, convolution: &Convolution) -> Picture {
    let mut output = Picture::blank_like(source);
    let pitch = output.pitch();
    let mut rows = ExpectedRows::starting_at(0, source, convolution);
    output.pixels_mut().chunks_exact_mut(pitch).for_each(|row| rows.next_into(row));
    output
}

fn compare_rows(
    source: &Picture,
    convolution: &Convolution,
    output: &Picture,
    rows: std::ops::Range<u16>,
) -> Option<Mismatch> {
    let mut expected_rows = ExpectedRows::starting_at(rows.start, source, convolution);
    let mut expected = vec![0; source.pitch()];
    let mut first: Option<Mismatch> = None;
    for y in rows {
        expected_rows.next_into(&mut expected);
        let got = output.pixels().chunks_exact(output.pitch()).nth(y.into()).unwrap_or_default();
        if expected == got {
            continue;
        }
        let got = got.chunks_exact(PIXEL).chain(std::iter::repeat(&[0; PIXEL][..]));
        for (x, (expected, got)) in (0..).zip(expected.chunks_exact(PIXEL).zip(got)) {
            let mut channels = "rgba".chars().zip(expected.iter().zip(got));
            let Some((channel, (&expected, &got))) = channels.find(|(_, (expected, got))| expected != got) else {
                continue;
            };
            first.get_or_insert(Mismatch { x, y, channel, expected, got, pixels: 0 }).pixels += 1;
        }
    }
    first
}

/// Computes rows of the result, one after the other.
struct ExpectedRows<'a> {
    source: &'a Picture,
    convolution: &'a Convolution,
    radius: u16,
    y: u16,
    /// The source rows that the next result row needs, as [`padded`](Self::padded) gives them.
    window: VecDeque<Vec<i32>>,
}

impl<'a> ExpectedRows<'a> {
    fn starting_at(y: u16, source: &'a Picture, convolution: &'a Convolution) -> Self {
        let radius = convolution.kernel.radius();
        let mut rows = Self { source, convolution, radius, y, window: VecDeque::new() };
        let (y, radius) = (i32::from(y), i32::from(radius));
        rows.window = (y - radius..=y + radius).map(|y| rows.padded(y)).collect();
        rows
    }

    /// Computes the next row into `out`.
    fn next_into(&mut self, out: &mut [u8]) {
        let source = &self.source.pixels()[usize::from(self.y) * self.source.pitch()..][..self.source.pitch()];
        let sums = self.sums();
        let pixels = out.chunks_exact_mut(PIXEL).zip(source.chunks_exact(PIXEL)).zip(sums.chunks_exact(COLORS));
        for ((out, source), sums) in pixels {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = self.finished(*sum);
            }
            out[COLORS] = source[COLORS];
        }
        self.y += 1;
        self.window.pop_front();
        self.window.push_back(self.padded(i32::from(self.y) + i32::from(self.radius)));
    }

    /// Colours of source row `y`, extended by the radius on both sides; rows and columns outside follow the edge rule.
    fn padded(&self, y: i32) -> Vec<i32> {
        let (width, height) = (i32::from(self.source.width()), i32::from(self.source.height()));
        let radius = i32::from(self.radius);
        let mut row = Vec::with_capacity((usize::from(self.source.width()) + 2 * usize::from(self.radius)) * COLORS);
        for x in -radius..width + radius {
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            if self.convolution.edge == Edge::Zero && !inside {
                row.extend([0; COLORS]);
                continue;
            }
            let at = |value: i32, end: i32| usize::try_from(value.clamp(0, end - 1)).unwrap_or(0);
            let pixel = at(y, height) * self.source.pitch() + at(x, width) * PIXEL;
            row.extend(self.source.pixels()[pixel..][..COLORS].iter().map(|&color| i32::from(color)));
        }
        row
    }

    /// The weighted sums of the current row.
    fn sums(&self) -> Vec<i32> {
        match &self.convolution.kernel {
            Kernel::Full(taps) => self.full(taps),
            Kernel::Gradient(a, b) => self.full(a).iter().zip(self.full(b)).map(|(a, b)| a.abs() + b.abs()).collect(),
            Kernel::Separable { taps, horizontal, vertical } => {
                let taps = usize::from(*taps);
                let mut columns = vec![0; self.window[0].len()];
                for (row, &tap) in self.window.iter().zip(&vertical[..taps]) {
                    add(&mut columns, row, tap);
                }
                let mut sums = self.zeros();
                add_shifted(&mut sums, &columns, &horizontal[..taps]);
                sums
            }
        }
    }

    fn full(&self, taps: &[i16; 9]) -> Vec<i32> {
        let mut sums = self.zeros();
        for (row, taps) in self.window.iter().zip(taps.chunks_exact(3)) {
            add_shifted(&mut sums, row, taps);
        }
        sums
    }

    fn zeros(&self) -> Vec<i32> {
        vec![0; usize::from(self.source.width()) * COLORS]
    }

    fn finished(&self, sum: i32) -> u8 {
        let Convolution { shift, bias, .. } = *self.convolution;
        let round = if shift == 0 { 0 } else { 1 << (shift - 1) };
        let value = ((sum + round) >> shift) + i32::from(bias);
        u8::try_from(value.clamp(0, 255)).unwrap_or(u8::MAX)
    }
}

/// Adds tap times value, place by place.
fn add(sums: &mut [i32], values: &[i32], tap: i16) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += i32::from(tap) * value;
    }
}

/// Adds a row of taps: the n-th tap meets the value n pixels to the right.
fn add_shifted(sums: &mut [i32], values: &[i32], taps: &[i16]) {
    for (n, &tap) in taps.iter().enumerate() {
        add(sums, &values[n * COLORS..], tap);
    }
}

#[cfg(test)]
mod tests;
