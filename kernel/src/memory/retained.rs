// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What a job keeps alive of buffers that are unmapped while it may run.
//!
//! The device reads a context's address table when a command begins, so a job can use any buffer that was mapped at some
//! moment between its submission and its end. A mapped buffer is held by the context's table, and the table by the job. That
//! leaves the buffers that are unmapped meanwhile: memory that a running command still uses must not be given to somebody
//! else (SCHED-2).
//!
//! These are links of a chain in time, as in `crates/drm/src/retained.rs`. Each unmapping ends the current link: the buffer
//! and the next link are put into it. A job holds the link that was current when it was submitted, and through it all later
//! ones, and so every buffer unmapped since.

use core::ops::Deref;

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{aref::ARef, Arc, SpinLock},
};

use super::Object;

/// A buffer whose contents are kept.
pub(super) struct Used(ARef<Object>);

impl Used {
    pub(super) fn new(object: ARef<Object>) -> Self {
        object.begin_use();
        Self(object)
    }

    pub(super) fn object(&self) -> ARef<Object> {
        self.0.clone()
    }
}

impl Deref for Used {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.0
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.0.end_use();
    }
}

/// Holds the time between two unmappings of a context, and all later ones.
pub(crate) struct Retained(Option<Arc<Link>>);

/// The time between two unmappings.
#[pin_data]
struct Link {
    #[pin]
    end: SpinLock<Option<End>>,
}

struct End {
    /// Held for those who hold this link or an earlier one.
    _unmapped: Used,
    next: Retained,
}

impl Retained {
    pub(super) fn new() -> Result<Self> {
        let link = pin_init!(Link { end <- new_spinlock!(None, "lifeboat::retained") });
        Ok(Self(Some(Arc::pin_init(link, GFP_KERNEL)?)))
    }

    /// Ends the current link by an unmapping; `next` becomes the current one. The previous one is the caller's to drop,
    /// with no lock held: the buffer may go with it.
    #[must_use]
    pub(super) fn end(current: &mut Self, unmapped: Used, next: Self) -> Self {
        // Only the current link is ended, and only here, under the lock that `current` is behind.
        if let Some(link) = &current.0 {
            *link.end.lock() = Some(End { _unmapped: unmapped, next: next.clone() });
        }
        core::mem::replace(current, next)
    }
}

impl Clone for Retained {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for Retained {
    /// Link by link: the chain can be longer than the stack is deep.
    fn drop(&mut self) {
        let mut link = self.0.take();
        while let Some(last) = link.and_then(Arc::into_unique_or_drop) {
            let end = last.end.lock().take();
            link = end.and_then(|mut end| end.next.0.take());
        }
    }
}
