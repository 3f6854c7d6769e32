// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The kernel's keeper of dumps, `devcoredump`.
//!
//! It has one dump of each device at most, shows it in sysfs, and frees it when somebody has read it and says so, or after
//! five minutes. It refers to nothing of this module (`dev_coredumpm` would: the module could not be unloaded meanwhile).

use kernel::{device::Device, prelude::*};

use super::shim;

/// `Device` is a transparent wrapper of an `Opaque<device>`, made for interior mutability.
fn raw(device: &Device) -> *mut core::ffi::c_void {
    core::ptr::from_ref(device).cast_mut().cast()
}

/// Whether the kernel has a dump of this device already. It would drop another one without a word.
pub(crate) fn has_dump(device: &Device) -> bool {
    // SAFETY: the device is valid, since it is borrowed.
    unsafe { shim::lifeboat_shim_has_dump(raw(device)) }
}

/// Hands a dump over. The device must be in sysfs: bound, or about to be unbound. May wait for memory.
pub(crate) fn hand_over(device: &Device, text: VVec<u8>) {
    let (text, bytes, _) = text.into_raw_parts();
    // SAFETY: the device is valid, since it is borrowed. The text was allocated by `vmalloc`, as the kernel frees it, and belongs
    // to nobody else.
    unsafe { shim::lifeboat_shim_hand_dump_over(raw(device), text.cast(), bytes) };
}
