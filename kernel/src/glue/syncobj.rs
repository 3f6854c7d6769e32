// SPDX-License-Identifier: GPL-2.0 OR MIT

//! DRM's synchronization objects: a fence that can be exchanged, or a timeline of them.

use core::{ffi::c_void, ptr::NonNull};

use kernel::{bindings, error::to_result, prelude::*};
use lifeboat_jobqueue::Fence;

use super::{shim, DrmFile};

/// A reference to a synchronization object.
pub(crate) struct Syncobj(NonNull<c_void>);

// SAFETY: a `drm_syncobj` is made to be used and dropped by any thread.
unsafe impl Send for Syncobj {}

/// Memory for one point of a timeline.
pub(crate) struct Point(NonNull<c_void>);

// SAFETY: nobody else refers to it.
unsafe impl Send for Point {}

impl Syncobj {
    /// The object of a handle. ENOENT.
    pub(crate) fn find(file: &DrmFile, handle: u32) -> Result<Self> {
        // SAFETY: the file is open during the call. A reference is returned.
        let found = unsafe { shim::drm_syncobj_find(file.raw().cast(), handle) };
        NonNull::new(found).map(Self).ok_or(ENOENT)
    }

    /// The fence of a handle, or of a point of its timeline. ENOENT if there is no object, or no fence
    /// yet.
    pub(crate) fn fence(file: &DrmFile, handle: u32, point: u64) -> Result<Fence> {
        let mut fence: *mut bindings::dma_fence = core::ptr::null_mut();
        // SAFETY: the file is open during the call. Without flags nothing is waited for. The fence is
        // written on success, with a reference.
        let found = unsafe { shim::drm_syncobj_find_fence(file.raw().cast(), handle, point, 0, &mut fence) };
        to_result(found).map_err(|_| ENOENT)?;
        let fence = NonNull::new(fence).ok_or(ENOENT)?;
        // SAFETY: the reference is ours.
        Ok(unsafe { Fence::from_raw(fence) })
    }

    /// Makes this the object's only fence. Cannot fail.
    pub(crate) fn replace(&self, fence: &Fence) {
        // SAFETY: both references are held. The object takes one of its own to the fence.
        unsafe { shim::drm_syncobj_replace_fence(self.0.as_ptr(), fence.as_ptr()) };
    }

    /// Adds a fence to the timeline, which signals `value` when it and all before it have. Cannot fail.
    pub(crate) fn add(&self, point: Point, fence: &Fence, value: u64) {
        let chain = core::mem::ManuallyDrop::new(point).0;
        // SAFETY: both references are held. The object takes the chain's memory over, and a reference
        // of its own to the fence.
        unsafe { shim::drm_syncobj_add_point(self.0.as_ptr(), chain.as_ptr(), fence.as_ptr(), value) };
    }
}

impl Drop for Syncobj {
    fn drop(&mut self) {
        // SAFETY: the reference is given back here alone.
        unsafe { shim::lifeboat_shim_syncobj_put(self.0.as_ptr()) };
    }
}

impl Point {
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: needs nothing.
        NonNull::new(unsafe { shim::lifeboat_shim_chain_alloc() }).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        // SAFETY: it was not used, so its memory is ours.
        unsafe { shim::lifeboat_shim_chain_free(self.0.as_ptr()) };
    }
}
