// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a driver must have for its device to be exercised: jobs with results that are known to the byte.

use kernel::{alloc::AllocError, prelude::*};
use lifeboat_driver::gpu::{Gpu, GpuVa};

/// A GPU with programs for these jobs. Each reads a source and writes a result, in host memory, and
/// may use VRAM, if there is any.
pub(crate) trait Programs: Gpu {
    /// A program.
    type Program: Copy;

    /// All programs, at least one. A workspace has a slot for each.
    const PROGRAMS: &'static [Self::Program];

    /// Bytes of a source, and of a result: at most half of [`SLOT_BYTES`](crate::workspace::SLOT_BYTES).
    const BYTES: u32;

    /// The commands of a program, other ones for each `seed`. `result` holds what stands in the
    /// result's memory before the job; it is changed to what must stand there afterwards.
    ///
    /// # Errors
    /// There is no memory for them.
    fn prepare(
        program: Self::Program,
        seed: u32,
        at: Places,
        source: &[u8],
        result: &mut [u8],
    ) -> Result<KVec<Self::Command>, AllocError>;
}

/// Where a job finds its memory.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) source: GpuVa,
    pub(crate) result: GpuVa,
    /// Piece of VRAM, as long as a source; `None` on a device without VRAM.
    #[allow(dead_code)] // unread by a module whose device has no VRAM
    pub(crate) vram: Option<GpuVa>,
}
