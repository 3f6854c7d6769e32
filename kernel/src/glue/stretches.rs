// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Which stretches of a range are free: the kernel's `drm_mm`, whose operations take a time that grows with the
//! logarithm of the number of stretches, however users cut it up (SCHED-13). The shortest hole that fits is taken.

use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
    types::Opaque,
};

/// A range that is handed out in stretches.
#[pin_data(PinnedDrop)]
pub(crate) struct Stretches {
    #[pin]
    lock: Mutex<()>,
    #[pin]
    mm: Opaque<bindings::drm_mm>,
}

// SAFETY: `drm_mm` is used under the lock, by any thread.
unsafe impl Send for Stretches {}
// SAFETY: as above.
unsafe impl Sync for Stretches {}

/// A stretch that is taken, until this is dropped.
pub(crate) struct Taken {
    node: KBox<Opaque<bindings::drm_mm_node>>,
    whole: Arc<Stretches>,
}

// SAFETY: a node is changed by `drm_mm` alone, under the lock of `whole`; its start and size do not change.
unsafe impl Send for Taken {}
// SAFETY: as above.
unsafe impl Sync for Taken {}

impl Stretches {
    /// A range of `bytes`, at least 1, of which nothing is taken.
    pub(crate) fn new(start: u64, bytes: u64) -> Result<Arc<Self>> {
        if bytes == 0 {
            return Err(EINVAL);
        }
        Arc::pin_init(
            try_pin_init!(Self {
                lock <- new_mutex!((), "lifeboat::stretches"),
                // SAFETY: the slot is memory for a `drm_mm`, and `drm_mm_init` initializes all of it.
                mm <- Opaque::ffi_init(|slot| unsafe { bindings::drm_mm_init(slot, start, bytes) }),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes so many bytes that follow one another. ENOSPC if there are no such.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Taken> {
        let node = KBox::new(Opaque::new(bindings::drm_mm_node::default()), GFP_KERNEL)?;
        let _lock = self.lock.lock();
        // SAFETY: the lock is held; the node is new, and its box does not move it.
        to_result(unsafe {
            bindings::drm_mm_insert_node_in_range(
                self.mm.get(),
                node.get(),
                bytes,
                0,
                0,
                0,
                u64::MAX,
                bindings::drm_mm_insert_mode_DRM_MM_INSERT_BEST,
            )
        })?;
        Ok(Taken { node, whole: self.clone() })
    }
}

impl Taken {
    pub(crate) fn start(&self) -> u64 {
        // SAFETY: the node was initialized by `take`, and its start does not change.
        unsafe { (*self.node.get()).start }
    }

    pub(crate) fn bytes(&self) -> u64 {
        // SAFETY: as above, for its size.
        unsafe { (*self.node.get()).size }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _lock = self.whole.lock.lock();
        // SAFETY: the node is in the `drm_mm` of `whole`, whose lock is held.
        unsafe { bindings::drm_mm_remove_node(self.node.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Stretches {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: it was initialized by `new`; every node refers to `self`, so none is left.
        unsafe { bindings::drm_mm_takedown(self.mm.get()) };
    }
}
