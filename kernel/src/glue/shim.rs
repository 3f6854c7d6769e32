// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Functions of `shim/`, which are C: the kernel has what they call as inlines or macros only.

use core::ffi::c_void;

use kernel::ffi::c_char;

extern "C" {
    /// Prints to a `struct drm_printer`.
    pub(super) fn lifeboat_shim_print(printer: *mut c_void, text: *const c_char);
    /// Wakes pollers of every open file of a `struct drm_device`. Sleeps.
    pub(super) fn lifeboat_shim_wake_files(drm: *mut c_void);
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
    pub(super) fn lifeboat_shim_mistake_fence();
    pub(super) fn lifeboat_shim_mistake_reservation();
    pub(super) fn lifeboat_shim_mistake_modeset();
}
