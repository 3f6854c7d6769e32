// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Users' maps of buffers. A map is of page frames, which its faults insert one by one; so they can be taken out from
//! behind it, and others inserted, without its user's knowledge.

use core::ptr::NonNull;

use kernel::{bindings, ffi::c_int, prelude::*};

use super::{
    drm::DrmDevice,
    gem::{to_c, Content, Gem},
    pages::Frame,
    shim,
};

/// What the kernel calls for maps of objects.
pub(super) const fn operations<T: Content>() -> bindings::vm_operations_struct {
    let mut operations: bindings::vm_operations_struct = pin_init::zeroed();
    operations.open = Some(open::<T>);
    operations.close = Some(close::<T>);
    operations.fault = Some(fault::<T>);
    operations
}

/// `mmap` of an open file: maps the object at the map's offset. EINVAL if there is none, EACCES if it is not the user's.
///
/// # Safety
///
/// Only for `file_operations` of this module's devices.
pub(super) unsafe extern "C" fn mmap_file(file: *mut bindings::file, vma: *mut bindings::vm_area_struct) -> c_int {
    // SAFETY: an open file of a DRM device has its `drm_file`, whose minor has the device. What is found is counted until
    // it is put.
    unsafe {
        let client: *mut bindings::drm_file = (*file).private_data.cast();
        let drm = (*(*client).minor).dev;
        let pages = shim::lifeboat_shim_vma_pages(vma);
        let Some(object) = NonNull::new(shim::lifeboat_shim_gem_at(drm, (*vma).vm_pgoff, pages)) else {
            return EINVAL.to_errno();
        };
        let object = object.as_ptr();
        let result = if bindings::drm_vma_node_is_allowed(&raw mut (*object).vma_node, client) {
            bindings::drm_gem_mmap_obj(object, (*object).size as _, vma)
        } else {
            EACCES.to_errno()
        };
        shim::lifeboat_shim_gem_put(object);
        result
    }
}

/// `mmap` of an object, by way of its device's files or of an export. EINVAL for a private map, whose copies could not be
/// of frames. What is another driver's is mapped by that driver, and the count that the map would have had is put.
pub(super) unsafe extern "C" fn mmap_object<T: Content>(
    gem: *mut bindings::drm_gem_object,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: the kernel passes an object that lives and a map that nobody else has yet.
    to_c(unsafe {
        let object = Gem::<T>::from_raw(gem);
        if shim::lifeboat_shim_vma_is_cow(vma) || !object.can_be_shared() {
            Err(EINVAL)
        } else if let Some(origin) = object.origin() {
            origin.mmap(vma).inspect(|()| shim::lifeboat_shim_gem_put(gem))
        } else {
            shim::lifeboat_shim_vma_of_frames(vma, object.is_device_memory());
            object.map_opened();
            Ok(())
        }
    })
}

/// Another map of the same object: a copy for a child, or a part.
unsafe extern "C" fn open<T: Content>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: the kernel passes a map of ours, which holds its object.
    unsafe {
        of::<T>(vma).map_opened();
        bindings::drm_gem_vm_open(vma);
    }
}

unsafe extern "C" fn close<T: Content>(vma: *mut bindings::vm_area_struct) {
    // SAFETY: as above; the object is put last.
    unsafe {
        of::<T>(vma).map_closed();
        bindings::drm_gem_vm_close(vma);
    }
}

/// Inserts the frame that is behind an address now.
unsafe extern "C" fn fault<T: Content>(fault: *mut bindings::vm_fault) -> bindings::vm_fault_t {
    // SAFETY: the kernel passes a fault in a map of ours, which holds its object, and keeps the map as it is meanwhile.
    let (vma, address, page) = unsafe {
        let place = &(*fault).__bindgen_anon_1;
        (place.vma, place.address, place.pgoff)
    };
    // SAFETY: as above.
    let object = unsafe { of::<T>(vma) };
    let page = page.wrapping_sub(object.first_page());
    // SAFETY: the map is one of frames (`mmap_object`), and is not private.
    let insert = |Frame(frame)| unsafe { bindings::vmf_insert_pfn(vma, address, frame) };
    match object.with_frame(page, insert) {
        Ok(inserted) => inserted,
        // The thread is being killed: it does not come back to the address.
        Err(error) if error == EINTR => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
        // Also without memory: VM_FAULT_OOM would repeat the fault for ever, since nobody is killed for the allocation.
        Err(_) => bindings::vm_fault_reason_VM_FAULT_SIGBUS,
    }
}

/// The object of a map.
///
/// # Safety
///
/// It must be a map of ours, and live for all of the lifetime.
unsafe fn of<'a, T: Content>(vma: *mut bindings::vm_area_struct) -> &'a Gem<T> {
    // SAFETY: `drm_gem_mmap_obj` and `drm_gem_prime_mmap` have stored the object there, with a count.
    unsafe { Gem::<T>::from_raw((*vma).vm_private_data.cast()) }
}

impl DrmDevice {
    /// Takes out what is behind all maps of the device's objects. Each address that is used afterwards faults, and is given
    /// what is there then.
    pub(crate) fn zap(&self) {
        // SAFETY: a device has this inode from its allocation on; maps by files and by exports are in its mapping.
        unsafe { bindings::unmap_mapping_range((*(*self.raw()).anon_inode).i_mapping, 0, 0, 1) };
    }
}
