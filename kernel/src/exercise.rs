// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Small jobs whose results are known to the byte: what the self-test and the load give to the device.

use kernel::{prelude::*, sync::Arc};
use lifeboat_lb1::command::{Convolve, Copy, Edge, Fill, Kernel, Work};
use lifeboat_pci::DmaMemory;

use crate::job::Job;
use crate::reference;
use crate::workspace::{Workspace, SLOTS, SLOT_BYTES};

/// Pixels of an image's side.
const SIDE: u16 = 16;
/// Bytes of source and of result: one image.
const BYTES: u32 = SIDE as u32 * SIDE as u32 * 4;
/// Where the result begins in the slot, and where the source.
const RESULT: u32 = SLOT_BYTES / 2;
const SOURCE: u32 = 0;
const _: () = assert!(SOURCE + BYTES <= RESULT && RESULT + BYTES <= SLOT_BYTES);

/// Rows of a copy: as many, and as far apart, as the image's; shorter, so that what is between them must stay.
const ROW_BYTES: u32 = 44;
const PITCH: u32 = SIDE as u32 * 4;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Fill,
    /// Rows with gaps.
    Copy,
    /// Each kind of kernel in turn.
    Convolve,
    /// Into VRAM and back.
    RoundTrip,
}

/// One of each, for the slots of a workspace.
pub(crate) const KINDS: [Kind; SLOTS as usize] = [Kind::Fill, Kind::Copy, Kind::Convolve, Kind::RoundTrip];

/// A job that can be prepared and verified over and over, each time with other numbers.
pub(crate) struct Exercise {
    kind: Kind,
    workspace: Arc<Workspace>,
    /// First byte of its slot.
    base: u32,
    bytes: KVec<u8>,
    expected: KVec<u8>,
}

/// What a verification found.
pub(crate) struct Verified {
    pub(crate) bytes: u64,
    pub(crate) mismatches: u64,
}

impl Exercise {
    pub(crate) fn new(kind: Kind, workspace: Arc<Workspace>) -> Result<Self> {
        let zeroes = || KVec::from_elem(0, BYTES as usize, GFP_KERNEL);
        let base = kind as u32 * SLOT_BYTES;
        Ok(Self { kind, workspace, base, bytes: zeroes()?, expected: zeroes()? })
    }

    /// Writes source and background for `seed` into the slot, works out what the result must be, and makes the job.
    pub(crate) fn prepare(&mut self, seed: u32) -> Result<Arc<Job>> {
        scramble(&mut self.bytes, seed);
        scramble(&mut self.expected, !seed);
        self.write(SOURCE, &self.bytes)?;
        self.write(RESULT, &self.expected)?;
        let commands = self.commands(seed)?;
        let (src, expected) = (&self.bytes, &mut self.expected);
        match (self.kind, commands.first()) {
            (_, Some(Work::Fill(fill))) => reference::fill(expected, fill.pattern),
            (_, Some(Work::Convolve(convolve))) => reference::convolve(expected, src, SIDE.into(), convolve),
            (Kind::RoundTrip, _) => expected.copy_from_slice(src),
            _ => reference::copy(expected, src, ROW_BYTES as usize, SIDE.into(), PITCH as usize),
        }
        Job::new(self.workspace.clone(), commands)
    }

    /// Compares the result with what it must be, byte by byte.
    pub(crate) fn verify(&mut self) -> Result<Verified> {
        let at = u64::from(self.base + RESULT);
        self.workspace.memory.read(at, &mut self.bytes).map_err(|_| EIO)?;
        let wrong = self.bytes.iter().zip(&self.expected[..]).filter(|(is, should)| is != should).count();
        Ok(Verified { bytes: BYTES.into(), mismatches: wrong as u64 })
    }

    fn write(&self, offset: u32, bytes: &[u8]) -> Result {
        self.workspace.memory.write(u64::from(self.base + offset), bytes).map_err(|_| EIO)
    }

    fn commands(&self, seed: u32) -> Result<KVec<Work>> {
        let src = Workspace::host_va(self.base + SOURCE);
        let dst = Workspace::host_va(self.base + RESULT);
        let vram = Workspace::vram_va(self.base);
        let mut commands = KVec::with_capacity(2, GFP_KERNEL)?;
        match self.kind {
            Kind::Fill => {
                commands
                    .push(Work::Fill(Fill { dst, bytes: BYTES.into(), pattern: seed ^ 0x5eed_f111 }), GFP_KERNEL)?;
            }
            Kind::Copy => {
                let rows = SIDE.into();
                let copy = Copy { dst, src, dst_pitch: PITCH, src_pitch: PITCH, row_bytes: ROW_BYTES, rows };
                commands.push(Work::Copy(copy), GFP_KERNEL)?;
            }
            Kind::Convolve => {
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
                commands.push(Work::Convolve(convolve), GFP_KERNEL)?;
            }
            Kind::RoundTrip => {
                commands.push(Work::Copy(Copy::linear(vram, src, BYTES)), GFP_KERNEL)?;
                commands.push(Work::Copy(Copy::linear(dst, vram, BYTES)), GFP_KERNEL)?;
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

/// Bytes that follow from `seed` and look like noise (xorshift32, which must not begin at 0).
fn scramble(bytes: &mut [u8], seed: u32) {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = (state >> 24) as u8;
    }
}
