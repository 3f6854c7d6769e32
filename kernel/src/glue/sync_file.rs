// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Fences as file descriptors.

use core::ptr::NonNull;

use kernel::{bindings, fs::file::FileDescriptorReservation, fs::File, prelude::*, sync::aref::ARef};
use lifeboat_jobqueue::Fence;

use super::shim;

/// A file for a fence, with a descriptor that leads nowhere yet.
pub(crate) struct SyncFile {
    file: ARef<File>,
    descriptor: FileDescriptorReservation,
}

impl SyncFile {
    /// ENOMEM, EMFILE.
    pub(crate) fn new(fence: &Fence) -> Result<Self> {
        let descriptor = FileDescriptorReservation::get_unused_fd_flags(bindings::O_CLOEXEC)?;
        // SAFETY: the fence's reference is held; the file takes one of its own.
        let file = unsafe { shim::lifeboat_shim_sync_file_create(fence.as_ptr()) };
        let file = NonNull::new(file.cast::<File>()).ok_or(ENOMEM)?;
        // SAFETY: the file is new, so its only reference is ours, and no thread is in an `fdget_pos` of
        // it. `File` is a transparent wrapper of a `struct file`.
        let file = unsafe { ARef::from_raw(file) };
        Ok(Self { file, descriptor })
    }

    /// The descriptor's number.
    pub(crate) fn descriptor(&self) -> u32 {
        self.descriptor.reserved_fd()
    }

    /// Has the descriptor lead to the file. Cannot fail.
    pub(crate) fn install(self) {
        self.descriptor.fd_install(self.file);
    }

    /// The fence of somebody's file. EINVAL if the descriptor is not that of one.
    pub(crate) fn fence(descriptor: i32) -> Result<Fence> {
        // SAFETY: needs nothing. A reference is returned.
        let fence = NonNull::new(unsafe { shim::sync_file_get_fence(descriptor) }).ok_or(EINVAL)?;
        // SAFETY: the reference is ours.
        Ok(unsafe { Fence::from_raw(fence) })
    }
}
