// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Being told that a fence has signalled.

use core::cell::UnsafeCell;

use kernel::{
    bindings,
    sync::{
        atomic::{Acquire, Atomic, Full, Release},
        Arc,
    },
    types::Opaque,
};

use super::Fence;

/// An object that is told of the signal of a fence.
pub(crate) trait Notify: Send + Sync + 'static {
    /// The object's callback.
    fn callback(&self) -> &Callback<Self>
    where
        Self: Sized;

    /// The fence has signalled. Called once, in whatever context the signaller is, a hard interrupt
    /// perhaps, and with the fence's lock held: it may queue work, and little else.
    fn signalled(this: Arc<Self>)
    where
        Self: Sized;
}

/// A callback on one fence, part of the object that is told.
#[repr(C)]
pub(crate) struct Callback<T> {
    /// First, so that its address is that of the whole.
    raw: Opaque<bindings::dma_fence_cb>,
    /// A count of the owner, from the registration to the call or the withdrawal.
    owner: UnsafeCell<*const T>,
    state: Atomic<u32>,
    fence: Fence,
}

/// Values of `state`.
const NEW: u32 = 0;
const BEGINNING: u32 = 1;
const REGISTERED: u32 = 2;

// SAFETY: the cell is written by the one call of `begin` that finds `NEW`, and read after the kernel's
// lock of the fence has said that the registration is over, which comes after that.
unsafe impl<T: Send + Sync> Sync for Callback<T> {}
// SAFETY: as above; a count of a `T` may be given back by any thread.
unsafe impl<T: Send + Sync> Send for Callback<T> {}

impl<T: Notify> Callback<T> {
    /// A callback on this fence. Nothing is called before [`Callback::begin`].
    pub(crate) fn new(fence: Fence) -> Self {
        let owner = UnsafeCell::new(core::ptr::null());
        Self { raw: Opaque::uninit(), owner, state: Atomic::new(NEW), fence }
    }

    /// The fence.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Has the owner be told when its fence signals. `false` if it has signalled already, or if this
    /// was called before; then nothing is called.
    pub(crate) fn begin(owner: &Arc<T>) -> bool {
        let this = owner.callback();
        if this.state.cmpxchg(NEW, BEGINNING, Full).is_err() {
            return false;
        }
        let count = Arc::into_raw(owner.clone());
        // SAFETY: nobody else reads or writes the cell in this state.
        unsafe { *this.owner.get() = count };
        // SAFETY: the fence is valid, and the callback's memory stays where it is until it is called
        // or withdrawn: it is part of an object in an `Arc`, a count of which it owns.
        let error = unsafe { bindings::dma_fence_add_callback(this.fence.as_ptr(), this.raw.get(), Some(call::<T>)) };
        this.state.store(REGISTERED, Release);
        if error != 0 {
            // SAFETY: the kernel has not registered it, so the count is still nobody's.
            drop(unsafe { Arc::from_raw(count) });
        }
        error == 0
    }

    /// When this returns, the fence does not call, and will not. Must not be called by a callback of
    /// the fence.
    pub(crate) fn withdraw(&self) {
        if self.state.load(Acquire) != REGISTERED {
            return;
        }
        // SAFETY: the fence is valid, and the callback was initialized by `begin`.
        if unsafe { bindings::dma_fence_remove_callback(self.fence.as_ptr(), self.raw.get()) } {
            // SAFETY: the kernel says that it was registered and now is not, so the count of `begin`
            // is nobody's.
            drop(unsafe { Arc::from_raw(*self.owner.get()) });
        }
    }
}

unsafe extern "C" fn call<T: Notify>(_fence: *mut bindings::dma_fence, raw: *mut bindings::dma_fence_cb) {
    // SAFETY: registered by `begin` alone: `raw` is the first field of a `Callback<T>`, and the count
    // in it is this call's.
    let owner = unsafe { Arc::from_raw(*(*raw.cast::<Callback<T>>()).owner.get()) };
    T::signalled(owner);
}
