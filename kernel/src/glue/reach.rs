// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Host memory that a device reaches by streaming DMA maps: unlike coherent memory, it outlives the binding.

use kernel::{
    bindings,
    device::{Bound, Device, DeviceContext},
    error::to_result,
    prelude::*,
    sync::{aref::ARef, Arc},
};
use lifeboat_pci::Iova;

use super::{
    pages::Pages,
    prime::{Attached, DmaBuf},
};

/// Leave to give a device memory. Must be dropped before the binding ends, like every `Coherent`.
pub(crate) struct Reach(ARef<Device>);

/// Pages as a list that can be mapped for a device.
pub(crate) struct PageList {
    table: bindings::sg_table,
    pages: Arc<Pages>,
}

/// Pages that a device reaches, until this is dropped. Must be dropped before the binding ends, too.
pub(crate) struct Reached {
    device: ARef<Device>,
    list: PageList,
    direction: bindings::dma_data_direction,
}

/// Memory that is contiguous for the device.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) iova: Iova,
    pub(crate) bytes: u64,
}

// SAFETY: a list may be used and freed by any thread.
unsafe impl Send for PageList {}
// SAFETY: a shared reference only reads the list, which does not change.
unsafe impl Sync for PageList {}

// SAFETY: DMA maps may be used and undone by any thread.
unsafe impl Send for Reached {}
// SAFETY: a shared reference only reads the table, which does not change.
unsafe impl Sync for Reached {}

impl Reach {
    pub(crate) fn new(device: &Device<Bound>) -> Self {
        // SAFETY: the device is bound; the limit is that of a `scatterlist` entry, to which this driver has no other.
        unsafe { bindings::dma_set_max_seg_size(raw(device), u32::MAX) };
        Self(device.into())
    }

    /// The most bytes of an entry in a [`PageList`] for the device.
    pub(crate) fn longest(&self) -> usize {
        // SAFETY: the device is bound while `self` lives.
        unsafe { bindings::dma_max_mapping_size(raw(&self.0)) }.min(MOST_ENTRY)
    }

    /// Lets the device read these pages, and write them if that is allowed.
    pub(crate) fn map(&self, mut list: PageList) -> Result<Reached> {
        let direction = if list.pages.is_writable() { BOTH_WAYS } else { bindings::dma_data_direction::DMA_TO_DEVICE };
        // SAFETY: the table is that of pages that stay until the map is undone; the device is bound.
        to_result(unsafe { bindings::dma_map_sgtable(raw(&self.0), &mut list.table, direction, 0) })?;
        Ok(Reached { device: self.0.clone(), list, direction })
    }

    /// Lets the device read and write another device's buffer. The device of that must not wait for this one's.
    pub(crate) fn attach(&self, buffer: &DmaBuf) -> Result<Attached> {
        // SAFETY: the device is bound while `self` lives.
        unsafe { Attached::new(buffer, raw(&self.0)) }
    }
}

pub(super) const BOTH_WAYS: bindings::dma_data_direction = bindings::dma_data_direction::DMA_BIDIRECTIONAL;
/// The most bytes of a table's entry: whole pages in 32 bits.
const MOST_ENTRY: usize = u32::MAX as usize & !(kernel::page::PAGE_SIZE - 1);

impl PageList {
    /// A list of entries of at most `longest` bytes.
    pub(crate) fn new(pages: &Arc<Pages>, longest: usize) -> Result<Self> {
        let count = u32::try_from(pages.len())?;
        let mut table = bindings::sg_table::default();
        // SAFETY: the array has `count` pages, and the table is new.
        to_result(unsafe {
            bindings::sg_alloc_table_from_pages_segment(
                &mut table,
                pages.as_array(),
                count,
                0,
                pages.bytes(),
                longest.min(MOST_ENTRY) as u32,
                bindings::GFP_KERNEL,
            )
        })?;
        Ok(Self { table, pages: pages.clone() })
    }
}

impl Drop for PageList {
    fn drop(&mut self) {
        // SAFETY: `new` allocated the table; it is not mapped any more, if it was.
        unsafe { bindings::sg_free_table(&mut self.table) };
    }
}

impl Reached {
    /// The memory as the device sees it, from its first byte to its last.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        stretches(&self.list.table)
    }
}

/// The entries of a mapped table.
pub(super) fn stretches(table: &bindings::sg_table) -> impl Iterator<Item = Stretch> + '_ {
    let mut next = table.sgl;
    (0..table.nents).map(move |_| {
        let entry = next;
        // SAFETY: the table has `nents` entries that are mapped, and the last one is followed by null, which is not used.
        unsafe {
            next = bindings::sg_next(entry);
            Stretch { iova: Iova(bindings::sg_dma_address(entry)), bytes: bindings::sg_dma_len(entry).into() }
        }
    })
}

impl Drop for Reached {
    fn drop(&mut self) {
        // SAFETY: `map` mapped the table for the device, which is still bound.
        unsafe { bindings::dma_unmap_sgtable(raw(&self.device), &mut self.list.table, self.direction, 0) };
    }
}

/// `Device` is a transparent wrapper of an `Opaque<device>`, made for interior mutability.
fn raw<C: DeviceContext>(device: &Device<C>) -> *mut bindings::device {
    core::ptr::from_ref(device).cast_mut().cast()
}
