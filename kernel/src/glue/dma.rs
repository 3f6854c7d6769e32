// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Coherent DMA memory, as drivers write it.

use kernel::{
    device::{Bound, Device},
    dma::Coherent,
    io::{io_project, Io},
    prelude::*,
    sync::Arc,
};
use lifeboat_pci::{BusError, DmaMemory, Iova};

/// Memory that the device can reach, zeroed at first. Its last clone must be dropped before the binding ends, like every
/// `Coherent`.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Coherent<[u8]>>);

impl Memory {
    pub(crate) fn new(device: &Device<Bound>, bytes: usize) -> Result<Self> {
        Ok(Self(Arc::new(Coherent::zeroed_slice(device, bytes, GFP_KERNEL)?, GFP_KERNEL)?))
    }

    /// The bytes from `offset` on as a range, or `None` past the end of the address space.
    fn range(offset: u64, len: usize) -> Option<core::ops::Range<usize>> {
        let start = usize::try_from(offset).ok()?;
        Some(start..start.checked_add(len)?)
    }

    fn copy_out(&self, offset: u64, into: &mut [u8]) -> Result {
        let range = Self::range(offset, into.len()).ok_or(ERANGE)?;
        io_project!(&*self.0, [try: range]).copy_to_slice(into);
        Ok(())
    }

    fn copy_in(&self, offset: u64, from: &[u8]) -> Result {
        let range = Self::range(offset, from.len()).ok_or(ERANGE)?;
        io_project!(&*self.0, [try: range]).copy_from_slice(from);
        Ok(())
    }
}

impl DmaMemory for Memory {
    fn iova(&self) -> Iova {
        Iova(self.0.dma_address())
    }

    fn size(&self) -> u64 {
        self.0.size() as u64
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), BusError> {
        let len = into.len() as u64;
        self.copy_out(offset, into).map_err(|_| BusError::OutOfRange { offset, len })
    }

    // The doorbell is a `writel`, which the kernel orders after earlier writes to coherent memory.
    fn write(&self, offset: u64, from: &[u8]) -> Result<(), BusError> {
        let len = from.len() as u64;
        self.copy_in(offset, from).map_err(|_| BusError::OutOfRange { offset, len })
    }
}
