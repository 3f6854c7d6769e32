// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Buffers whose reservations are locked, so that a job's fence can be added to them.

use kernel::{bindings, error::to_result, ffi::c_int, prelude::*, sync::aref::ARef, types::Opaque};
use lifeboat_jobqueue::Fence;

use super::gem::{Content, Gem};

/// Buffers that a job may use. While this lives, nobody else adds fences to them.
pub(crate) struct Reserved<T: Content> {
    /// Each with another reservation, and whether the job may write to it.
    objects: KVec<(ARef<Gem<T>>, bool)>,
    /// The same, as the kernel takes them.
    raw: KVec<*mut bindings::drm_gem_object>,
    /// Stays where it is while the locks are held.
    acquired: KBox<Opaque<bindings::ww_acquire_ctx>>,
}

impl<T: Content> Reserved<T> {
    /// Locks the reservations of these, with room for one more fence in each. ERESTARTSYS after a
    /// signal, ENOMEM.
    pub(crate) fn lock(all: KVec<(ARef<Gem<T>>, bool)>) -> Result<Self> {
        let mut objects: KVec<(ARef<Gem<T>>, bool)> = KVec::with_capacity(all.len(), GFP_KERNEL)?;
        let mut raw = KVec::with_capacity(all.len(), GFP_KERNEL)?;
        for (object, writable) in all {
            // A buffer may be mapped several times, and may share its reservation with another. There
            // are no more than a table has segments.
            let known = objects.iter_mut().find(|(known, _)| known.reservation() == object.reservation());
            if let Some((_, known)) = known {
                *known |= writable;
            } else {
                raw.push(object.raw(), GFP_KERNEL)?;
                objects.push((object, writable), GFP_KERNEL)?;
            }
        }
        let acquired = KBox::new(Opaque::zeroed(), GFP_KERNEL)?;
        let count = c_int::try_from(raw.len())?;
        // SAFETY: the objects live, no reservation is named twice, and the context is initialized by
        // this call and stays where it is until the locks are released in `drop`.
        to_result(unsafe { bindings::drm_gem_lock_reservations(raw.as_mut_ptr(), count, acquired.get()) })?;
        // From here on the locks are released if anything fails.
        let this = Self { objects, raw, acquired };
        for (object, _) in &this.objects {
            // SAFETY: the reservation lives and is locked.
            to_result(unsafe { bindings::dma_resv_reserve_fences(object.reservation(), 1) })?;
        }
        Ok(this)
    }

    /// Adds a job's fence to all. Cannot fail, and allocates nothing; call it once.
    pub(crate) fn add(self, fence: &Fence) {
        for (object, writable) in &self.objects {
            let usage = if *writable {
                bindings::dma_resv_usage_DMA_RESV_USAGE_WRITE
            } else {
                bindings::dma_resv_usage_DMA_RESV_USAGE_READ
            };
            // SAFETY: the reservation lives, is locked, and has room for one.
            unsafe { bindings::dma_resv_add_fence(object.reservation(), fence.as_ptr(), usage) };
        }
    }
}

impl<T: Content> Drop for Reserved<T> {
    fn drop(&mut self) {
        // All objects are locked: `lock` fails as a whole.
        let count = self.raw.len() as c_int;
        // SAFETY: `lock` has locked these, with this context.
        unsafe { bindings::drm_gem_unlock_reservations(self.raw.as_mut_ptr(), count, self.acquired.get()) };
    }
}
