//! Convolution, streaming: rows come in from the top, and a window of them slides down the picture.
//!
//! A source row is widened to lanes once, with its edges in place, so that the sums ([`super::lanes`]) need not look
//! where they are. Nine rows are kept at most, however large the picture is.

use std::ops::Range as Columns;

use lifeboat_lb1::command::{Convolve, GpuVa, InvalidArgument, Kernel, SEPARABLE_TAPS, Work};

use super::lanes::{Accumulate, Lane, Range, Scale, weighted_sum};
use super::window::{CHANNELS, Margins, Window};

/// The lane that is copied.
const ALPHA: usize = 3;

/// The columns of the source that an output needs; the same in every row.
pub fn source_columns(params: &Convolve) -> Columns<u16> {
    let radius = params.kernel.radius();
    let end = params.origin.0.saturating_add(params.size.0);
    params.origin.0.saturating_sub(radius)..end.saturating_add(radius).min(params.src_size.0)
}

/// Convolves an image in memory.
///
/// `src` is the whole source image with `src_pitch` bytes from row to row, `dst` the output with `dst_pitch`; both are
/// RGBA8. The addresses and pitches in `params` are ignored.
///
/// # Errors
/// The name of an argument outside its stated range, or of a slice too short for its pitch and size.
pub fn convolve_image(
    params: &Convolve,
    src: &[u8],
    src_pitch: usize,
    dst: &mut [u8],
    dst_pitch: usize,
) -> Result<(), InvalidArgument> {
    let pitch = |width: u16| u32::from(width) * 4;
    let checked = Convolve {
        src: GpuVa(0),
        dst: GpuVa(0),
        src_pitch: pitch(params.src_size.0),
        dst_pitch: pitch(params.size.0),
        ..*params
    };
    Work::Convolve(checked).check()?;
    let first = usize::from(source_columns(params).start) * CHANNELS;
    convolve_rows(
        params,
        |row, into| {
            let at = (usize::from(row) * src_pitch).saturating_add(first);
            let from = src.get(at..at.saturating_add(into.len())).ok_or(InvalidArgument("src"))?;
            into.copy_from_slice(from);
            Ok(())
        },
        |row, from| {
            let at = usize::from(row) * dst_pitch;
            let into = dst.get_mut(at..at.saturating_add(from.len())).ok_or(InvalidArgument("dst"))?;
            into.copy_from_slice(from);
            Ok(())
        },
    )
}

/// Convolves row by row.
///
/// `read` is asked for the [`source_columns`] of one source row, each row at most once and from the top down; `write`
/// is given the output's rows from the top down. `params` are taken to be in range ([`Work::check`]); outside, the
/// result is unspecified.
///
/// # Errors
/// The first that `read` or `write` returns.
pub fn convolve_rows<E>(
    params: &Convolve,
    read: impl FnMut(u16, &mut [u8]) -> Result<(), E>,
    write: impl FnMut(u16, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let shape = Shape::new(params);
    match shape.lanes {
        Lanes::Narrow => Stream::<i16, i16>::new(params, shape.scale).run(read, write),
        Lanes::WideSums => Stream::<i16, i32>::new(params, shape.scale).run(read, write),
        Lanes::Wide => Stream::<i32, i32>::new(params, shape.scale).run(read, write),
    }
}

/// Which lanes hold what the window keeps, and the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lanes {
    Narrow,
    WideSums,
    Wide,
}

/// What follows from the parameters.
struct Shape {
    lanes: Lanes,
    scale: Scale,
}

impl Shape {
    fn new(params: &Convolve) -> Self {
        // A magnitude is only right if the sum it is taken of is.
        let mut exact_magnitudes = true;
        let (kept, sum) = match &params.kernel {
            Kernel::Full(taps) => (Range::BYTE, Range::BYTE.weighted(taps)),
            Kernel::Gradient(a, b) => {
                let (a, b) = (Range::BYTE.weighted(a), Range::BYTE.weighted(b));
                exact_magnitudes = a.fits_i16() && b.fits_i16();
                (Range::BYTE, a.magnitudes(b))
            }
            Kernel::Separable { taps, horizontal, vertical } => {
                let taps = usize::from(*taps).min(SEPARABLE_TAPS);
                let kept = Range::BYTE.weighted(&horizontal[..taps]);
                (kept, kept.weighted(&vertical[..taps]))
            }
        };
        let rounded = sum.rounded(params.shift);
        let signed = rounded.fits_i16();
        let narrow = params.shift < 16 && exact_magnitudes && (signed || rounded.fits_u16());
        let lanes = match (narrow, kept.fits_i16()) {
            (true, _) => Lanes::Narrow,
            (false, true) => Lanes::WideSums,
            (false, false) => Lanes::Wide,
        };
        Self { lanes, scale: Scale { shift: params.shift, bias: params.bias, unsigned: !signed } }
    }
}

/// A convolution on its way down. `K` are the lanes of the rows kept, `L` those of the sums.
struct Stream<'a, K, L> {
    params: &'a Convolve,
    scale: Scale,
    margins: Margins,
    window: Window<K>,
    /// Lanes of an output row.
    lanes: usize,
    /// Lanes left of the output row in a row that is kept.
    margin: usize,
    /// A source row as it came.
    bytes: Vec<u8>,
    /// A source row with its margins, before a separable kernel has summed it horizontally.
    widened: Vec<i16>,
    sums: Vec<L>,
    other_sums: Vec<L>,
    out: Vec<u8>,
}

impl<'a, K, L> Stream<'a, K, L>
where
    K: Accumulate<i16>,
    L: Accumulate<K>,
{
    fn new(params: &'a Convolve, scale: Scale) -> Self {
        let lanes = usize::from(params.size.0) * CHANNELS;
        let reach = usize::from(params.kernel.radius()) * CHANNELS;
        // A separable kernel keeps rows already summed horizontally; the others keep them with their margins.
        let (margin, widened, other) = match params.kernel {
            Kernel::Full(_) => (reach, 0, 0),
            Kernel::Gradient(..) => (reach, 0, lanes),
            Kernel::Separable { .. } => (0, lanes + 2 * reach, 0),
        };
        Self {
            params,
            scale,
            margins: Margins::new(params),
            window: Window::new(params, lanes + 2 * margin),
            lanes,
            margin,
            bytes: vec![0; source_columns(params).len() * CHANNELS],
            widened: vec![0; widened],
            sums: vec![L::default(); lanes],
            other_sums: vec![L::default(); other],
            out: vec![0; lanes],
        }
    }

    fn run<E>(
        mut self,
        mut read: impl FnMut(u16, &mut [u8]) -> Result<(), E>,
        mut write: impl FnMut(u16, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let radius = self.params.kernel.radius();
        let (top, rows, source_rows) = (self.params.origin.1, self.params.size.1, self.params.src_size.1);
        let mut next = top.saturating_sub(radius);
        for row in 0..rows {
            let centre = top + row;
            while next < source_rows.min(centre + radius + 1) {
                read(next, &mut self.bytes)?;
                self.take_up(next);
                next += 1;
            }
            self.put_out(centre);
            write(row, &self.out)?;
        }
        Ok(())
    }

    /// Takes the source row in `bytes` up into the window.
    fn take_up(&mut self, row: u16) {
        let kept = self.window.slot(row);
        let Kernel::Separable { taps, horizontal, .. } = &self.params.kernel else {
            return self.margins.widen(&self.bytes, kept);
        };
        self.margins.widen(&self.bytes, &mut self.widened);
        let taps = horizontal.iter().take(usize::from(*taps)).enumerate();
        weighted_sum(taps.map(|(at, tap)| (&self.widened[at * CHANNELS..][..self.lanes], *tap)), kept);
        // Alpha is not summed but copied, so that is what the window keeps of it.
        let reach = usize::from(self.params.kernel.radius()) * CHANNELS;
        for (kept, pixel) in pixels_mut(kept).iter_mut().zip(pixels(&self.widened[reach..])) {
            kept[ALPHA] = K::from_byte(pixel[ALPHA].to_byte());
        }
    }

    /// Puts the output row whose source row is `centre` into `out`.
    fn put_out(&mut self, centre: u16) {
        let window = self.window.around(centre);
        match &self.params.kernel {
            Kernel::Full(taps) => square(window, taps, &mut self.sums),
            Kernel::Gradient(a, b) => {
                square(window, a, &mut self.sums);
                square(window, b, &mut self.other_sums);
                for (sum, other) in self.sums.iter_mut().zip(&self.other_sums) {
                    *sum = sum.sum_of_magnitudes(*other);
                }
            }
            Kernel::Separable { taps, vertical, .. } => {
                let rows = window.into_iter().take(usize::from(*taps));
                weighted_sum(rows.zip(vertical).map(|(row, tap)| (row, *tap)), &mut self.sums);
            }
        }
        L::scale(&self.sums, self.scale, &mut self.out);
        let row = &window[usize::from(self.params.kernel.radius())][self.margin..];
        for (out, pixel) in pixels_mut(&mut self.out).iter_mut().zip(pixels(row)) {
            out[ALPHA] = pixel[ALPHA].to_byte();
        }
    }
}

/// Sums a 3x3 kernel over three rows with a pixel's margin on each side.
fn square<K: Copy, L: Accumulate<K>>(window: [&[K]; SEPARABLE_TAPS], taps: &[i16; 9], sums: &mut [L]) {
    let lanes = sums.len();
    let terms = taps.iter().enumerate();
    weighted_sum(terms.map(|(at, tap)| (&window[at / 3][at % 3 * CHANNELS..][..lanes], *tap)), sums);
}

fn pixels<T>(row: &[T]) -> &[[T; CHANNELS]] {
    row.as_chunks().0
}

fn pixels_mut<T>(row: &mut [T]) -> &mut [[T; CHANNELS]] {
    row.as_chunks_mut().0
}
