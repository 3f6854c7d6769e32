//! What a job keeps alive of buffers that are unmapped while it may run.
//!
//! The device reads a context's address table when a command begins, so a job can use any buffer that was mapped at
//! some moment between its submission and its end, also one that was mapped after it was submitted. A mapped buffer is
//! held by the context, and the context by the job. That leaves the buffers that are unmapped meanwhile: memory that a
//! running command still uses must not be given to somebody else (SCHED-2).
//!
//! These are links of a chain in time. Each unmapping ends the current link: it puts the buffer and the next link
//! into it. A job holds the link that was current when it was submitted, and through it all later ones, and so every
//! buffer unmapped since. When the last job from before an unmapping ends, the front of the chain goes, and the buffer
//! with it.

use std::any::Any;
use std::sync::{Arc, OnceLock};

/// The time between two unmappings of a context.
#[derive(Default)]
pub(crate) struct Retained {
    end: OnceLock<End>,
}

struct End {
    /// Held for those who hold this link or an earlier one.
    _unmapped: Arc<dyn Any + Send + Sync>,
    next: Arc<Retained>,
}

impl Retained {
    /// Ends the current link by an unmapping; what follows becomes the current one.
    pub(crate) fn end(current: &mut Arc<Self>, unmapped: Arc<dyn Any + Send + Sync>) {
        let next = Arc::new(Self::default());
        // Only the current link is ended, and only here, under the lock that `current` is behind.
        let _ = current.end.set(End { _unmapped: unmapped, next: next.clone() });
        *current = next;
    }
}

impl Drop for Retained {
    /// Link by link: the chain can be longer than the stack is deep.
    fn drop(&mut self) {
        let mut end = self.end.take();
        while let Some(End { next, .. }) = end {
            end = Arc::into_inner(next).and_then(|mut retained| retained.end.take());
        }
    }
}
