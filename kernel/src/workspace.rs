// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The memory that one ring's jobs work on: its own context, a few slots of DMA memory, and as much VRAM if the device
//! has any.

use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::Arc,
};
use lifeboat_driver::gpu::{ContextId, Gpu, GpuVa, Segment, Target};
use lifeboat_driver::{Driver, DriverError, Io};
use lifeboat_pci::DmaMemory;

use crate::glue::Memory;
use crate::job::Keep;
use crate::programs::Programs;
use crate::registration::Driven;

/// Bytes of a slot: room for the source and the result of one job.
pub(crate) const SLOT_BYTES: u32 = 4096;
/// Jobs that can be in flight at once.
pub(crate) const SLOTS: u32 = Driven::PROGRAMS.len() as u32;

/// Pages of a workspace, in host memory and again in VRAM.
const PAGES: u32 = (SLOT_BYTES * SLOTS).div_ceil(Driven::PAGE as u32);
/// The same in bytes.
const BYTES: u32 = PAGES * Driven::PAGE as u32;
const _: () = assert!(SLOTS > 0, "a device without programs has no workspace");

/// Address of the host memory in the context's address space: the first one.
const HOST_VA: u64 = Driven::ADDRESSES.start * Driven::PAGE;
/// Address of the VRAM there.
const VRAM_VA: u64 = HOST_VA + BYTES as u64;
const _: () = assert!(VRAM_VA + BYTES as u64 <= Driven::ADDRESSES.end * Driven::PAGE, "too few addresses");

/// See the module documentation.
pub(crate) struct Workspace {
    pub(crate) memory: Memory,
    pub(crate) context: ContextId,
    /// Address at which VRAM begins.
    vram: Option<u64>,
}

impl Workspace {
    /// The workspace of ring `ring`, which uses the context of the same number.
    pub(crate) fn new(device: &Device<Bound>, info: &<Driven as Driver>::Info, ring: u8) -> Result<Arc<Self>> {
        let memory = Memory::new(device, BYTES as usize)?;
        let vram = Driven::vram(info).map(|_| u64::from(ring) * u64::from(BYTES));
        Ok(Arc::new(Self { memory, context: ContextId(ring), vram }, GFP_KERNEL)?)
    }

    /// VRAM for the workspaces of all rings of a device, in bytes: none if the device has none.
    pub(crate) fn vram_needed(info: &<Driven as Driver>::Info) -> u64 {
        Driven::vram(info).map_or(0, |_| u64::from(Driven::rings(info)) * u64::from(BYTES))
    }

    /// Segments that a workspace needs in its context's address table.
    pub(crate) fn segments_needed(info: &<Driven as Driver>::Info) -> u8 {
        1 + u8::from(Driven::vram(info).is_some())
    }

    /// Puts its memory into the context's address table.
    pub(crate) fn map(&self, io: &Io<'_>) -> Result<(), DriverError> {
        let at = |va, target| Segment { va: GpuVa(va), pages: PAGES, writable: true, target };
        Driven::set_segment(io, self.context, 0, &at(HOST_VA, Target::Host(self.memory.iova())))?;
        match self.vram {
            Some(vram) => Driven::set_segment(io, self.context, 1, &at(VRAM_VA, Target::Vram(vram))),
            None => Ok(()),
        }
    }

    /// The GPU address of a byte of the host memory.
    pub(crate) fn host_va(offset: u32) -> GpuVa {
        GpuVa(HOST_VA + u64::from(offset))
    }

    /// The GPU address of a byte of the VRAM, if there is any.
    pub(crate) fn vram_va(&self, offset: u32) -> Option<GpuVa> {
        self.vram.map(|_| GpuVa(VRAM_VA + u64::from(offset)))
    }
}

impl Keep for Workspace {
    fn context(&self) -> ContextId {
        self.context
    }
}
