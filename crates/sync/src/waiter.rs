//! A wait for a [turnstile](crate::turnstile) that keeps no thread: what both futures have in common.

use std::panic::Location;
use std::task::Waker;

/// A wait, as its future holds it.
///
/// It counts among those who wait from its beginning until it is over. So its future must end it, or the last section leaves
/// to it what is to be done then.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: u64,
    /// Place in the source where the wait began, for the lint.
    pub(crate) begun: &'static Location<'static>,
    pub(crate) polled: bool,
    pub(crate) over: bool,
}

/// Waiters and how to wake them.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    begun: u64,
    wakers: Vec<(u64, Waker)>,
}

/// Wakers to be called, all of them: also if one panics.
pub(crate) struct Wake(Vec<(u64, Waker)>);

impl Wakers {
    pub(crate) fn begin(&mut self, begun: &'static Location<'static>) -> Waiter {
        self.begun += 1;
        Waiter { id: self.begun, begun, polled: false, over: false }
    }

    /// Keeps the waker of a waiter, which has none here.
    pub(crate) fn keep(&mut self, waiter: &Waiter, waker: Waker) {
        self.wakers.push((waiter.id, waker));
    }

    /// Gives back the waker of a waiter, if it has one here. To be dropped without a lock, since that runs an executor's code.
    #[must_use = "the waker, to be dropped without a lock"]
    pub(crate) fn remove(&mut self, waiter: &Waiter) -> Option<Waker> {
        let at = self.wakers.iter().position(|(id, _)| *id == waiter.id)?;
        Some(self.wakers.swap_remove(at).1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Takes all wakers, to be called without a lock. Takes no memory: whoever leaves a section may be where there is none.
    pub(crate) fn take(&mut self) -> Wake {
        Wake(std::mem::take(&mut self.wakers))
    }
}

impl Wake {
    pub(crate) fn wake(mut self) {
        self.wake_each();
    }

    fn wake_each(&mut self) {
        while let Some((_, waker)) = self.0.pop() {
            waker.wake();
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.wake_each();
    }
}
