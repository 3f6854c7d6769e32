//! The signalling side.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use lifeboat_core::fence::FenceError;

use super::{Fence, FenceInner, Outcome, Timeline};

/// The duty to signal. Dropped, it signals [`FenceError::Canceled`].
#[must_use = "dropping it signals ECANCELED"]
pub struct Unsignalled {
    /// It has a timeline.
    fence: Fence,
}

impl Unsignalled {
    pub(super) fn new(timeline: &Timeline) -> (Fence, Self) {
        timeline.count_pending();
        let fence = Fence::pending(Some(timeline.clone()));
        (fence.clone(), Self { fence })
    }

    pub(super) fn shared(&self) -> &FenceInner {
        &self.fence.0
    }

    /// Gives it the next number of its timeline.
    pub(crate) fn number(&self) {
        if let Some(seqno) = self.fence.0.timeline.as_ref().map(Timeline::next) {
            self.fence.0.seqno.store(seqno, Relaxed);
        }
    }

    /// What its fence is called by.
    pub(crate) fn timeline(&self) -> Option<&Timeline> {
        self.fence.0.timeline.as_ref()
    }

    /// Its fence's place on the timeline, from 1; `None` if it has none yet.
    pub(crate) fn seqno(&self) -> Option<u64> {
        self.fence.seqno()
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
        self.fence.0.waiting.lock().others.as_ref()?.deadline
    }
}

impl Drop for Unsignalled {
    fn drop(&mut self) {
        self.fence.0.signal(Err(FenceError::Canceled));
        // Counted as long as the promise is open; a signalled fence holds nothing back.
        if let Some(timeline) = &self.fence.0.timeline {
            timeline.discount_pending();
        }
    }
}

impl fmt::Debug for Unsignalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsignalled").field(&self.fence).finish()
    }
}
