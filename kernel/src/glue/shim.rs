// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The C functions of `kernel/shim`: inline functions of the kernel that `bindings` lack.

#![allow(improper_ctypes)] // locks inside the kernel's structures are empty types without lockdep

use kernel::{bindings, ffi::{c_long, c_ulong}};

unsafe extern "C" {
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
    pub(super) fn lifeboat_shim_page_frame(page: *mut bindings::page) -> c_ulong;
    /// Not of the shim: `bindings` lack it.
    pub(super) fn drm_timeout_abs_to_jiffies(nanoseconds: i64) -> c_long;
    pub(super) fn lifeboat_shim_is_being_killed() -> bool;
}
