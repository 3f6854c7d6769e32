// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A shrinker: what memory reclaim calls for memory that can be given up.

use core::ptr::NonNull;

use kernel::{bindings, ffi::c_ulong, prelude::*, sync::Arc};

/// Memory that can be given up. The functions are called while memory is short, from within any allocation: they allocate
/// nothing, and wait for no lock under which somebody does.
pub(crate) trait Shrink: Send + Sync + 'static {
    /// Pages that can be given up, about.
    fn count(&self) -> usize;

    /// Gives up about so many pages. How many there were.
    fn shrink(&self, pages: usize) -> usize;
}

/// A registration. Dropped, no function runs and none will.
pub(crate) struct Shrinker<T: Shrink> {
    raw: NonNull<bindings::shrinker>,
    _memory: Arc<T>,
}

// SAFETY: shrinkers may be registered and freed by any thread.
unsafe impl<T: Shrink> Send for Shrinker<T> {}
// SAFETY: a shared reference offers nothing.
unsafe impl<T: Shrink> Sync for Shrinker<T> {}

impl<T: Shrink> Shrinker<T> {
    pub(crate) fn new(name: &'static CStr, memory: Arc<T>) -> Result<Self> {
        // SAFETY: the format takes the one string that is passed.
        let raw = unsafe { bindings::shrinker_alloc(0, c"%s".as_char_ptr(), name.as_char_ptr()) };
        let raw = NonNull::new(raw).ok_or(ENOMEM)?;
        // SAFETY: the shrinker is not registered yet. It is freed before the memory that it points to.
        unsafe {
            (*raw.as_ptr()).count_objects = Some(Self::count);
            (*raw.as_ptr()).scan_objects = Some(Self::scan);
            (*raw.as_ptr()).private_data = Arc::as_ptr(&memory).cast_mut().cast();
            bindings::shrinker_register(raw.as_ptr());
        }
        Ok(Self { raw, _memory: memory })
    }

    unsafe extern "C" fn count(shrinker: *mut bindings::shrinker, _: *mut bindings::shrink_control) -> c_ulong {
        // SAFETY: `new` put it there, and it lives as long as the shrinker.
        let memory = unsafe { &*(*shrinker).private_data.cast::<T>() };
        memory.count() as _
    }

    unsafe extern "C" fn scan(shrinker: *mut bindings::shrinker, control: *mut bindings::shrink_control) -> c_ulong {
        // SAFETY: as above; the kernel's control lives during the call.
        let (memory, pages) = unsafe { (&*(*shrinker).private_data.cast::<T>(), (*control).nr_to_scan) };
        match memory.shrink(pages as _) {
            0 => STOP,
            given_up => given_up as _,
        }
    }
}

/// `SHRINK_STOP`: nothing more can be given up just now.
const STOP: c_ulong = c_ulong::MAX;

impl<T: Shrink> Drop for Shrinker<T> {
    fn drop(&mut self) {
        // SAFETY: `new` registered it. It waits for functions that run.
        unsafe { bindings::shrinker_free(self.raw.as_ptr()) };
    }
}
