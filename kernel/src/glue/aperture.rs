// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Video memory as the processor reaches it: through a BAR, with writes combined.

use kernel::{bindings, page::PAGE_SIZE, pci, prelude::*, sync::aref::ARef};

use super::pages::Frame;

/// Bytes that are mapped and cleared at once: what is waited for by an unplug that comes in between.
const CHUNK: u64 = 1 << 20;

/// The video memory of one binding. Must be dropped before the binding ends, like every `Coherent`.
pub(crate) struct Aperture {
    _function: ARef<pci::Device>,
    start: u64,
    bytes: u64,
    /// Whether the processor's memory type has been set for it.
    typed: bool,
}

impl Aperture {
    /// The first `bytes` of a BAR. `None` if the kernel found no room for the BAR.
    pub(crate) fn new(function: &pci::Device<kernel::device::Bound>, bar: u8, bytes: u64) -> Result<Option<Self>> {
        let (start, size) = (function.resource_start(bar.into())?, function.resource_len(bar.into())?);
        if start == 0 || size < bytes || bytes == 0 {
            return Ok(None);
        }
        // Without it maps are slow, but right.
        // SAFETY: the range is a BAR of a function that this driver is bound to.
        let typed = unsafe { bindings::arch_io_reserve_memtype_wc(start, bytes) } == 0;
        Ok(Some(Self { _function: function.into(), start, bytes, typed }))
    }

    /// Where a page of it is, by its offset in bytes. `None` past the end.
    pub(crate) fn frame(&self, offset: u64) -> Option<Frame> {
        (offset < self.bytes).then(|| Frame(((self.start + offset) / PAGE_SIZE as u64) as _))
    }

    /// Zeroes a part, within the aperture. Ends early, with ENODEV, if `is_over` says so between two chunks.
    pub(crate) fn clear(&self, offset: u64, bytes: u64, is_over: impl Fn() -> bool) -> Result {
        let end = offset.checked_add(bytes).filter(|end| *end <= self.bytes).ok_or(ERANGE)?;
        let mut at = offset;
        while at < end {
            if is_over() {
                return Err(ENODEV);
            }
            let length = CHUNK.min(end - at);
            // SAFETY: the range is in a BAR that is the driver's while `self` lives. The map is undone here, and written
            // only inside. A device that is gone drops the writes.
            unsafe {
                let mapped = bindings::ioremap_wc(self.start + at, length as _);
                if mapped.is_null() {
                    return Err(ENOMEM);
                }
                bindings::memset_io(mapped, 0, length as _);
                bindings::iounmap(mapped);
            }
            at += length;
        }
        Ok(())
    }
}

impl Drop for Aperture {
    fn drop(&mut self) {
        if self.typed {
            // SAFETY: `new` reserved it.
            unsafe { bindings::arch_io_free_memtype_wc(self.start, self.bytes) };
        }
    }
}
