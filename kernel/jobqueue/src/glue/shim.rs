// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The functions of `shim.c`, under the names that the rest of the glue calls them by.

use kernel::bindings::dma_fence;

unsafe extern "C" {
    /// Takes a reference of the module that the shim is linked into. `false` if it is being unloaded.
    #[link_name = "lifeboat_jobqueue_shim_module_get"]
    pub(super) fn module_get() -> bool;

    /// Gives a reference of that module back.
    #[link_name = "lifeboat_jobqueue_shim_module_put"]
    pub(super) fn module_put();

    /// Takes a reference of a fence.
    #[link_name = "lifeboat_jobqueue_shim_fence_get"]
    pub(super) fn fence_get(fence: *mut dma_fence);

    /// Gives a reference of a fence back.
    #[link_name = "lifeboat_jobqueue_shim_fence_put"]
    pub(super) fn fence_put(fence: *mut dma_fence);

    /// 0 while a fence has not signalled, 1 once it has without an error, or the negative error.
    #[link_name = "lifeboat_jobqueue_shim_fence_status"]
    pub(super) fn fence_status(fence: *mut dma_fence) -> kernel::ffi::c_int;

    /// Begins a section on whose end fences depend.
    #[link_name = "lifeboat_jobqueue_shim_begin_signalling"]
    pub(super) fn begin_signalling() -> bool;

    /// Ends it.
    #[link_name = "lifeboat_jobqueue_shim_end_signalling"]
    pub(super) fn end_signalling(cookie: bool);
}
