// SPDX-License-Identifier: GPL-2.0 OR MIT

//! LB1's jobs for the self-test and the load: a fill, a copy with gaps, convolutions, and a round
//! trip through VRAM.

use kernel::{alloc::AllocError, prelude::*};
use lifeboat_lb1::command::{Convolve, Copy, Edge, Fill, Kernel, Work};
use lifeboat_lb1::Lb1Driver;

use super::reference;
use crate::programs::{Places, Programs};

/// Pixels of an image's side.
const SIDE: u16 = 16;
/// Bytes between the beginnings of two rows of an image, which has no gaps.
const PITCH: u32 = SIDE as u32 * 4;
/// Bytes of a row of a copy: fewer than of an image's, so that what is between the rows must stay.
const ROW_BYTES: u32 = 44;

/// The kinds of jobs.
#[derive(Clone, Copy)]
pub(crate) enum Program {
    Fill,
    /// Rows with gaps.
    Copy,
    /// Each kind of kernel in turn.
    Convolve,
    /// Into VRAM and back.
    RoundTrip,
}

impl Programs for Lb1Driver {
    type Program = Program;

    const PROGRAMS: &'static [Program] = &[Program::Fill, Program::Copy, Program::Convolve, Program::RoundTrip];
    const BYTES: u32 = PITCH * SIDE as u32;

    fn prepare(
        program: Program,
        seed: u32,
        at: Places,
        source: &[u8],
        result: &mut [u8],
    ) -> Result<KVec<Work>, AllocError> {
        let Places { source: src, result: dst, vram } = at;
        let mut commands = KVec::with_capacity(2, GFP_KERNEL)?;
        match program {
            Program::Fill => {
                let pattern = seed ^ 0x5eed_f111;
                reference::fill(result, pattern);
                commands.push(Work::Fill(Fill { dst, bytes: Self::BYTES.into(), pattern }), GFP_KERNEL)?;
            }
            Program::Copy => {
                let rows = SIDE.into();
                reference::copy(result, source, ROW_BYTES as usize, SIDE.into(), PITCH as usize);
                let copy = Copy { dst, src, dst_pitch: PITCH, src_pitch: PITCH, row_bytes: ROW_BYTES, rows };
                commands.push(Work::Copy(copy), GFP_KERNEL)?;
            }
            Program::Convolve => {
                let (kernel, shift) = kernel(seed);
                let convolve = Convolve {
                    dst,
                    src,
                    dst_pitch: PITCH,
                    src_pitch: PITCH,
                    src_size: (SIDE, SIDE),
                    origin: (0, 0),
                    size: (SIDE, SIDE),
                    kernel,
                    shift,
                    bias: (seed % 7) as i16 - 3,
                    edge: if seed & 8 == 0 { Edge::Clamp } else { Edge::Zero },
                };
                reference::convolve(result, source, SIDE.into(), &convolve);
                commands.push(Work::Convolve(convolve), GFP_KERNEL)?;
            }
            Program::RoundTrip => {
                result.copy_from_slice(source);
                // The driver refuses a device without VRAM.
                let from = match vram {
                    Some(vram) => {
                        commands.push(Work::Copy(Copy::linear(vram, src, Self::BYTES)), GFP_KERNEL)?;
                        vram
                    }
                    None => src,
                };
                commands.push(Work::Copy(Copy::linear(dst, from, Self::BYTES)), GFP_KERNEL)?;
            }
        }
        Ok(commands)
    }
}

/// A blur, an edge detector, a wide blur; with the shift that keeps the result in range.
fn kernel(seed: u32) -> (Kernel, u8) {
    match seed % 3 {
        0 => (Kernel::Full([1, 2, 1, 2, 4, 2, 1, 2, 1]), 4),
        1 => (Kernel::Gradient([-1, 0, 1, -2, 0, 2, -1, 0, 1], [-1, -2, -1, 0, 0, 0, 1, 2, 1]), 0),
        _ => {
            let taps = [1, 4, 6, 4, 1, 0, 0, 0, 0];
            (Kernel::Separable { taps: 5, horizontal: taps, vertical: taps }, 8)
        }
    }
}
