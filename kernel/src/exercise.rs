// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Small jobs whose results are known to the byte: what the self-test and the load give to the device.

use kernel::{prelude::*, sync::Arc};
use lifeboat_pci::DmaMemory;

use crate::job::Job;
use crate::programs::{Places, Programs};
use crate::registration::Driven;
use crate::workspace::{Workspace, SLOT_BYTES};

const BYTES: u32 = Driven::BYTES;
/// Where the result begins in the slot, and where the source.
const RESULT: u32 = SLOT_BYTES / 2;
const SOURCE: u32 = 0;
const _: () = assert!(SOURCE + BYTES <= RESULT && RESULT + BYTES <= SLOT_BYTES);

/// A job that can be prepared and verified over and over, each time with other numbers.
pub(crate) struct Exercise {
    program: <Driven as Programs>::Program,
    workspace: Arc<Workspace>,
    /// First byte of its slot.
    base: u32,
    bytes: KVec<u8>,
    expected: KVec<u8>,
}

/// Result of a verification.
pub(crate) struct Verified {
    pub(crate) bytes: u64,
    pub(crate) mismatches: u64,
}

impl Exercise {
    /// One exercise for each slot of a workspace.
    pub(crate) fn all(workspace: &Arc<Workspace>) -> Result<KVec<Self>> {
        let zeroes = || KVec::from_elem(0, BYTES as usize, GFP_KERNEL);
        let mut all = KVec::with_capacity(Driven::PROGRAMS.len(), GFP_KERNEL)?;
        for (slot, program) in (0..).zip(Driven::PROGRAMS) {
            let (program, workspace, base) = (*program, workspace.clone(), slot * SLOT_BYTES);
            all.push(Self { program, workspace, base, bytes: zeroes()?, expected: zeroes()? }, GFP_KERNEL)?;
        }
        Ok(all)
    }

    /// Writes source and background for `seed` into the slot, works out what the result must be, and makes the job.
    pub(crate) fn prepare(&mut self, seed: u32) -> Result<Arc<Job>> {
        scramble(&mut self.bytes, seed);
        scramble(&mut self.expected, !seed);
        self.write(SOURCE, &self.bytes)?;
        self.write(RESULT, &self.expected)?;
        let at = Places {
            source: Workspace::host_va(self.base + SOURCE),
            result: Workspace::host_va(self.base + RESULT),
            vram: self.workspace.vram_va(self.base),
        };
        let commands = Driven::prepare(self.program, seed, at, &self.bytes, &mut self.expected)?;
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
