// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The memory that one ring's jobs work on: its own context, a few slots of DMA memory, and as much VRAM.

use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::Arc,
};
use lifeboat_driver::gpu::{ContextId, Gpu, GpuVa, Segment, Target};
use lifeboat_driver::{DriverError, Io};
use lifeboat_pci::DmaMemory;

use crate::glue::Memory;
use crate::job::Keep;
use crate::programs::Programs;
use crate::registration::Driven;

/// Bytes of a slot: room for the source and the result of one job.
pub(crate) const SLOT_BYTES: u32 = 4096;
/// Jobs that can be in flight at once.
pub(crate) const SLOTS: u32 = Driven::PROGRAMS.len() as u32;

/// Bytes of a workspace, in host memory and again in VRAM.
const BYTES: u32 = SLOT_BYTES * SLOTS;
const PAGES: u32 = BYTES / Driven::PAGE as u32;
const _: () = assert!(BYTES % Driven::PAGE as u32 == 0);

/// Address of the host memory in the context's address space; arbitrary.
const HOST_VA: u64 = 0x1000_0000;
/// Address of the VRAM there.
const VRAM_VA: u64 = 0x2000_0000;

/// See the module documentation.
pub(crate) struct Workspace {
    pub(crate) memory: Memory,
    pub(crate) context: ContextId,
    vram: u64,
}

impl Workspace {
    /// The workspace of ring `ring`, which uses the context of the same number.
    pub(crate) fn new(device: &Device<Bound>, ring: u8) -> Result<Arc<Self>> {
        let memory = Memory::new(device, BYTES as usize)?;
        let vram = u64::from(ring) * u64::from(BYTES);
        Ok(Arc::new(Self { memory, context: ContextId(ring), vram }, GFP_KERNEL)?)
    }

    /// VRAM that a device with `rings` rings must have, in bytes.
    pub(crate) fn vram_needed(rings: u8) -> u64 {
        u64::from(rings) * u64::from(BYTES)
    }

    /// Puts both into the context's address table.
    pub(crate) fn map(&self, io: &Io<'_>) -> Result<(), DriverError> {
        let at = |va, target| Segment { va: GpuVa(va), pages: PAGES, writable: true, target };
        Driven::set_segment(io, self.context, 0, &at(HOST_VA, Target::Host(self.memory.iova())))?;
        Driven::set_segment(io, self.context, 1, &at(VRAM_VA, Target::Vram(self.vram)))
    }

    /// The GPU address of a byte of the host memory.
    pub(crate) fn host_va(offset: u32) -> GpuVa {
        GpuVa(HOST_VA + u64::from(offset))
    }

    /// The GPU address of a byte of the VRAM.
    pub(crate) fn vram_va(offset: u32) -> GpuVa {
        GpuVa(VRAM_VA + u64::from(offset))
    }
}

impl Keep for Workspace {
    fn context(&self) -> ContextId {
        self.context
    }
}
