//! The signalling side.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use lifeboat_core::fence::FenceError;

use super::{Fence, Outcome, State, Timeline};
use crate::ledger::Entry;

/// The duty to signal. Dropped, it signals [`FenceError::Canceled`].
#[must_use = "dropping it signals ECANCELED"]
pub struct Unsignalled {
    fence: Fence,
    // Counted as long as the promise is open; a signalled fence holds nothing back.
    _entry: Entry,
}

impl Unsignalled {
    pub(super) fn new(fence: Fence, entry: Entry) -> Self {
        Self { fence, _entry: entry }
    }

    /// Gives it the next number of its timeline.
    pub(crate) fn number(&self) {
        if let Some(seqno) = self.fence.0.timeline.as_ref().map(Timeline::next) {
            self.fence.0.seqno.store(seqno, Relaxed);
        }
    }

    /// Keeps the promise: it is done.
    pub fn signal(self) {
        self.end(Ok(()));
    }

    /// Says that it was not done, and why.
    pub fn fail(self, error: FenceError) {
        self.end(Err(error));
    }

    /// One or the other.
    pub fn end(self, outcome: Outcome) {
        self.fence.0.signal(outcome);
        // The drop that follows finds the fence signalled.
    }

    /// When somebody would like it to signal, if anybody does: a hint, for example to raise a clock.
    pub fn deadline(&self) -> Option<Instant> {
        match &*self.fence.0.state.lock() {
            State::Pending(pending) => pending.deadline,
            State::Signalled(_) => None,
        }
    }
}

impl Drop for Unsignalled {
    fn drop(&mut self) {
        self.fence.0.signal(Err(FenceError::Canceled));
    }
}

impl fmt::Debug for Unsignalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsignalled").field(&self.fence).finish()
    }
}
