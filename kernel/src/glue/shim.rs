// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Functions of `shim/`, which are C: the kernel has what they call as inlines or macros only.

#![allow(improper_ctypes)] // locks inside the kernel's structures are empty types without lockdep

use core::ffi::c_void;

use kernel::bindings::{self, dma_fence};
use kernel::ffi::{c_char, c_int, c_long, c_uint, c_ulong};

extern "C" {
    /// Prints to a `struct drm_printer`.
    pub(super) fn lifeboat_shim_print(printer: *mut c_void, text: *const c_char);
    /// Wakes pollers of every open file of a `struct drm_device`. Sleeps.
    pub(super) fn lifeboat_shim_wake_files(drm: *mut c_void);
    /// Gives a reference of a `struct drm_syncobj` back.
    pub(super) fn lifeboat_shim_syncobj_put(syncobj: *mut c_void);
    /// Memory for a `struct dma_fence_chain`, or null.
    pub(super) fn lifeboat_shim_chain_alloc() -> *mut c_void;
    /// Frees it, if it was not used.
    pub(super) fn lifeboat_shim_chain_free(chain: *mut c_void);
    /// The `struct file` of a new sync_file for a fence, or null.
    pub(super) fn lifeboat_shim_sync_file_create(fence: *mut dma_fence) -> *mut c_void;
    pub(super) fn lifeboat_shim_gem_get(object: *mut bindings::drm_gem_object);
    pub(super) fn lifeboat_shim_gem_put(object: *mut bindings::drm_gem_object);
    pub(super) fn lifeboat_shim_gem_offset(object: *mut bindings::drm_gem_object) -> u64;
    pub(super) fn lifeboat_shim_gem_at(
        drm: *mut bindings::drm_device,
        start: c_ulong,
        pages: c_ulong,
    ) -> *mut bindings::drm_gem_object;
    pub(super) fn lifeboat_shim_dma_buf_get(buffer: *mut bindings::dma_buf);
    pub(super) fn lifeboat_shim_vma_pages(vma: *mut bindings::vm_area_struct) -> c_ulong;
    pub(super) fn lifeboat_shim_vma_is_cow(vma: *mut bindings::vm_area_struct) -> bool;
    pub(super) fn lifeboat_shim_vma_of_frames(vma: *mut bindings::vm_area_struct, write_combined: bool);
    pub(super) fn lifeboat_shim_map_pages(pages: *mut *mut bindings::page, count: c_uint) -> *mut c_void;
    pub(super) fn lifeboat_shim_unmap_pages(pages: *mut c_void);
    pub(super) fn lifeboat_shim_page_frame(page: *mut bindings::page) -> c_ulong;
    /// Not of the shim: `bindings` lack it.
    pub(super) fn drm_timeout_abs_to_jiffies(nanoseconds: i64) -> c_long;
    pub(super) fn lifeboat_shim_is_being_killed() -> bool;
    /// Whether the kernel has a dump of a `struct device`.
    pub(super) fn lifeboat_shim_has_dump(device: *mut c_void) -> bool;
    /// Gives the kernel a dump of a `struct device`, in memory of `vmalloc`, which it takes over. Sleeps.
    pub(super) fn lifeboat_shim_hand_dump_over(device: *mut c_void, data: *mut c_void, bytes: usize);
}

// Functions of the kernel that `bindings` does not list.
extern "C" {
    /// The object of a handle with a reference, or null.
    pub(super) fn drm_syncobj_find(file: *mut c_void, handle: u32) -> *mut c_void;
    /// Stores the fence of a point with a reference.
    pub(super) fn drm_syncobj_find_fence(
        file: *mut c_void,
        handle: u32,
        point: u64,
        flags: u64,
        fence: *mut *mut dma_fence,
    ) -> c_int;
    /// Makes a fence the only one of an object.
    pub(super) fn drm_syncobj_replace_fence(syncobj: *mut c_void, fence: *mut dma_fence);
    /// Adds a fence to the timeline of an object, which takes the chain over.
    pub(super) fn drm_syncobj_add_point(syncobj: *mut c_void, chain: *mut c_void, fence: *mut dma_fence, point: u64);
    /// The fence of a descriptor with a reference, or null.
    pub(super) fn sync_file_get_fence(descriptor: c_int) -> *mut dma_fence;
}

#[cfg(CONFIG_LOCKDEP)]
extern "C" {
    pub(super) fn lifeboat_shim_section_begins();
    pub(super) fn lifeboat_shim_section_ends();
    pub(super) fn lifeboat_shim_ownership_begins();
    pub(super) fn lifeboat_shim_ownership_ends();
    pub(super) fn lifeboat_shim_gate_drains();
    pub(super) fn lifeboat_shim_assert_inside();
    pub(super) fn lifeboat_shim_teach_order();
    pub(super) fn lifeboat_shim_watch_waits();
    pub(super) fn lifeboat_shim_unwatch_waits();
    pub(super) fn lifeboat_shim_mistake_fence();
    pub(super) fn lifeboat_shim_mistake_reservation();
    pub(super) fn lifeboat_shim_mistake_modeset();
    pub(super) fn lifeboat_shim_mistake_user_memory();
}
