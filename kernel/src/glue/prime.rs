// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffers shared with other devices: tables for those that use ours, and attachments to those that are others'.

use core::{marker::PhantomData, ptr::NonNull};

use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
    prelude::*,
};

use super::{
    drm::{DrmDevice, Nodes},
    file::Opened,
    gem::{to_c, Content, Gem},
    pages::Pages,
    reach::{stretches, Stretch, BOTH_WAYS},
    shim,
};
use crate::NAME;

/// A table of pages for another driver, which frees it.
pub(crate) struct SgTable(*mut bindings::sg_table);

impl SgTable {
    /// Of pages that stay until the other driver has freed it.
    pub(crate) fn new(pages: &Pages) -> Result<Self> {
        let count = u32::try_from(pages.len())?;
        // SAFETY: the array has `count` pages. Without a device, entries are as long as can be.
        from_err_ptr(unsafe { bindings::drm_prime_pages_to_sg(core::ptr::null_mut(), pages.as_array(), count) })
            .map(Self)
    }
}

/// `get_sg_table` of an object: the other driver maps it for its device.
pub(super) unsafe extern "C" fn get_sg_table<T: Content>(
    gem: *mut bindings::drm_gem_object,
) -> *mut bindings::sg_table {
    // SAFETY: the kernel passes an object that lives.
    match unsafe { Gem::<T>::from_raw(gem) }.table() {
        Ok(SgTable(table)) => table,
        Err(error) => error.to_ptr(),
    }
}

/// `export` of an object. EINVAL for the caller's own pages.
pub(super) unsafe extern "C" fn export<T: Content>(
    gem: *mut bindings::drm_gem_object,
    flags: kernel::ffi::c_int,
) -> *mut bindings::dma_buf {
    // SAFETY: the kernel passes an object that lives.
    unsafe {
        let object = Gem::<T>::from_raw(gem);
        if !object.can_be_shared() {
            return EINVAL.to_ptr();
        }
        let drm = (*gem).dev;
        let information = bindings::dma_buf_export_info {
            exp_name: NAME.as_char_ptr(),
            owner: (*(*(*drm).driver).fops).owner,
            ops: const { &Exported::<T>::OPERATIONS },
            size: (*gem).size,
            flags,
            resv: (*gem).resv,
            priv_: gem.cast(),
        };
        // The structure is only read.
        let buffer = bindings::drm_gem_dmabuf_export(drm, (&raw const information).cast_mut());
        if from_err_ptr(buffer).is_ok() {
            object.exported();
        }
        buffer
    }
}

/// The kernel's operations for exported objects, and the count of exports.
struct Exported<T>(PhantomData<T>);

impl<T: Content> Exported<T> {
    const OPERATIONS: bindings::dma_buf_ops = {
        let mut operations: bindings::dma_buf_ops = pin_init::zeroed();
        operations.attach = Some(bindings::drm_gem_map_attach);
        operations.detach = Some(bindings::drm_gem_map_detach);
        operations.map_dma_buf = Some(bindings::drm_gem_map_dma_buf);
        operations.unmap_dma_buf = Some(bindings::drm_gem_unmap_dma_buf);
        operations.release = Some(release::<T>);
        operations.mmap = Some(bindings::drm_gem_dmabuf_mmap);
        operations.vmap = Some(bindings::drm_gem_dmabuf_vmap);
        operations.vunmap = Some(bindings::drm_gem_dmabuf_vunmap);
        operations
    };
}

/// Ends an export: nobody refers to it any more.
unsafe extern "C" fn release<T: Content>(buffer: *mut bindings::dma_buf) {
    // SAFETY: the private data of an export is its object, which is counted until the kernel's own function puts it.
    unsafe {
        Gem::<T>::from_raw((*buffer).priv_.cast()).export_ended();
        bindings::drm_gem_dmabuf_release(buffer);
    }
}

/// `pin` of an object: another device attaches to it. EOPNOTSUPP for memory that it could not reach.
pub(super) unsafe extern "C" fn pin<T: Content>(gem: *mut bindings::drm_gem_object) -> kernel::ffi::c_int {
    // SAFETY: the kernel passes an object that lives.
    to_c(unsafe { Gem::<T>::from_raw(gem) }.attach())
}

/// `unpin` of an object: another device detaches from it.
pub(super) unsafe extern "C" fn unpin<T: Content>(gem: *mut bindings::drm_gem_object) {
    // SAFETY: the kernel passes an object that lives.
    unsafe { Gem::<T>::from_raw(gem) }.detach();
}

/// `gem_prime_import` of a device: an object on a buffer of another driver. A buffer of this device's own is the same object
/// again, also after a loss.
pub(super) unsafe extern "C" fn import<N: Nodes>(
    drm: *mut bindings::drm_device,
    buffer: *mut bindings::dma_buf,
) -> *mut bindings::drm_gem_object {
    // SAFETY: the kernel passes a device of these nodes and a buffer that both live. The private data of a buffer that this
    // module has exported, which only `export` does, is an object.
    let imported = unsafe {
        // The address of a constant may differ from use to use, so the operations prove nothing.
        let is_ours = (*buffer).owner == (*(*(*drm).driver).fops).owner;
        let gem: *mut bindings::drm_gem_object = (*buffer).priv_.cast();
        if is_ours && (*gem).dev == drm {
            shim::lifeboat_shim_gem_get(gem);
            return gem;
        }
        let drm = DrmDevice::from_raw(drm);
        NonNull::new(buffer).ok_or(EINVAL).and_then(|buffer| drm.nodes::<N>().import(drm, DmaBuf::from_raw(buffer)))
    };
    match imported {
        Ok(object) => Gem::into_raw(object),
        Err(error) => error.to_ptr(),
    }
}

/// Bytes to which the rows of a simple picture are rounded up: what any display can take.
const ROW_UNIT: u32 = 64;

/// `dumb_create` of a device: a buffer for a simple picture.
pub(super) unsafe extern "C" fn create_dumb<N: Nodes>(
    file: *mut bindings::drm_file,
    _: *mut bindings::drm_device,
    arguments: *mut bindings::drm_mode_create_dumb,
) -> kernel::ffi::c_int {
    // SAFETY: the kernel passes arguments of its own.
    let arguments = unsafe { &mut *arguments };
    // SAFETY: the file is open during the call, and of a device of these nodes.
    let opened = unsafe { Opened::<N>::from_raw(file) };
    let row =
        arguments.bpp.div_ceil(8).checked_mul(arguments.width).and_then(|row| row.checked_next_multiple_of(ROW_UNIT));
    let Some(row) = row else { return EINVAL.to_errno() };
    to_c(N::create(&opened, u64::from(row) * u64::from(arguments.height)).map(|(handle, bytes)| {
        arguments.pitch = row;
        arguments.size = bytes;
        arguments.handle = handle;
    }))
}

/// `vmap` of an object: another driver has the processor read and write it, as those of slow displays do.
pub(super) unsafe extern "C" fn vmap<T: Content>(
    gem: *mut bindings::drm_gem_object,
    map: *mut bindings::iosys_map,
) -> kernel::ffi::c_int {
    // SAFETY: the kernel passes an object that lives.
    let object = unsafe { Gem::<T>::from_raw(gem) };
    to_c(object.attach().and_then(|()| {
        let mapped = object.pages().and_then(|pages| {
            let count = u32::try_from(pages.len())?;
            // SAFETY: the array has `count` pages, which the object keeps while it is attached.
            let mapped = unsafe { shim::lifeboat_shim_map_pages(pages.as_array(), count) };
            NonNull::new(mapped).ok_or(ENOMEM)
        });
        let mapped = mapped.inspect_err(|_| object.detach())?;
        // SAFETY: the kernel passes a place for the result.
        unsafe {
            (*map).is_iomem = false;
            (*map).__bindgen_anon_1.vaddr = mapped.as_ptr();
        }
        Ok(())
    }))
}

/// `vunmap` of an object.
pub(super) unsafe extern "C" fn vunmap<T: Content>(gem: *mut bindings::drm_gem_object, map: *mut bindings::iosys_map) {
    // SAFETY: the kernel passes an object that lives, and what `vmap` has given it.
    unsafe {
        shim::lifeboat_shim_unmap_pages((*map).__bindgen_anon_1.vaddr);
        Gem::<T>::from_raw(gem).detach();
    }
}

/// Another driver's buffer.
pub(crate) struct DmaBuf(NonNull<bindings::dma_buf>);

// SAFETY: dma-bufs are counted, and made to be used by any thread.
unsafe impl Send for DmaBuf {}
// SAFETY: as above.
unsafe impl Sync for DmaBuf {}

impl DmaBuf {
    /// # Safety
    ///
    /// The buffer must live. Another count of it is taken.
    pub(super) unsafe fn from_raw(buffer: NonNull<bindings::dma_buf>) -> Self {
        // SAFETY: the buffer lives, by the contract of this function.
        unsafe { shim::lifeboat_shim_dma_buf_get(buffer.as_ptr()) };
        Self(buffer)
    }

    pub(crate) fn bytes(&self) -> usize {
        // SAFETY: the buffer lives, and its size does not change.
        unsafe { self.0.as_ref().size }
    }

    /// Its fences.
    pub(super) fn reservation(&self) -> *mut bindings::dma_resv {
        // SAFETY: the buffer lives, and this does not change.
        unsafe { self.0.as_ref().resv }
    }

    /// Maps it for a user, by its own driver, in place of ours.
    ///
    /// # Safety
    ///
    /// The map must be one of our `mmap_object`'s that nobody else has yet.
    pub(super) unsafe fn mmap(&self, vma: *mut bindings::vm_area_struct) -> Result {
        // SAFETY: the map is not used yet; what we have put into it is taken out, so that the other driver begins anew.
        unsafe {
            (*vma).vm_private_data = core::ptr::null_mut();
            (*vma).vm_ops = core::ptr::null();
            to_result(bindings::dma_buf_mmap(self.0.as_ptr(), vma, 0))
        }
    }
}

impl Drop for DmaBuf {
    fn drop(&mut self) {
        // SAFETY: the count is ours.
        unsafe { bindings::dma_buf_put(self.0.as_ptr()) };
    }
}

/// An attachment to another driver's buffer, mapped for our device until this is dropped. Must be dropped before the binding
/// ends.
pub(crate) struct Attached {
    attachment: NonNull<bindings::dma_buf_attachment>,
    table: NonNull<bindings::sg_table>,
    buffer: DmaBuf,
}

// SAFETY: attachments may be used and undone by any thread.
unsafe impl Send for Attached {}
// SAFETY: a shared reference only reads the table, which does not change.
unsafe impl Sync for Attached {}

impl Attached {
    /// # Safety
    ///
    /// The device must be bound until this is dropped.
    pub(super) unsafe fn new(buffer: &DmaBuf, device: *mut bindings::device) -> Result<Self> {
        let DmaBuf(buffer) = *buffer;
        // SAFETY: buffer and device live. A static attachment keeps the memory where it is.
        let attachment = from_err_ptr(unsafe { bindings::dma_buf_attach(buffer.as_ptr(), device) })?;
        // SAFETY: the attachment was just made, and no lock of the buffer is held.
        let table = from_err_ptr(unsafe { bindings::dma_buf_map_attachment_unlocked(attachment, BOTH_WAYS) });
        match (NonNull::new(attachment), table.map(NonNull::new)) {
            (Some(attachment), Ok(Some(table))) => {
                // SAFETY: the buffer lives.
                Ok(Self { attachment, table, buffer: unsafe { DmaBuf::from_raw(buffer) } })
            }
            (_, table) => {
                // SAFETY: the attachment was just made, and is not mapped.
                unsafe { bindings::dma_buf_detach(buffer.as_ptr(), attachment) };
                Err(table.err().unwrap_or(ENOMEM))
            }
        }
    }

    /// The memory as the device sees it, from its first byte to its last.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        // SAFETY: the table is ours until it is unmapped.
        stretches(unsafe { self.table.as_ref() })
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let attachment = self.attachment.as_ptr();
        // SAFETY: `new` attached and mapped; no lock of the buffer is held.
        unsafe {
            bindings::dma_buf_unmap_attachment_unlocked(attachment, self.table.as_ptr(), BOTH_WAYS);
            bindings::dma_buf_detach(self.buffer.0.as_ptr(), attachment);
        }
    }
}
