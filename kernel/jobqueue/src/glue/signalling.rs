// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Sections on whose end fences depend: lockdep reports what must not happen in them, as a wait for
//! memory that waits for a fence in turn.

use core::marker::PhantomData;

use super::shim;

/// Such a section, until it is dropped. Belongs to its thread.
pub(crate) struct Signalling {
    cookie: bool,
    _of_this_thread: PhantomData<*mut ()>,
}

impl Signalling {
    pub(crate) fn begin() -> Self {
        // SAFETY: needs nothing; the mark is taken away in `drop`, on the same thread, as this type is
        // not `Send`.
        Self { cookie: unsafe { shim::begin_signalling() }, _of_this_thread: PhantomData }
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        // SAFETY: the cookie is that of `begin`.
        unsafe { shim::end_signalling(self.cookie) };
    }
}
