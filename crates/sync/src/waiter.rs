//! Waits that occupy no thread. The futures of gates and of revocables share this part; the
//! [turnstile](crate::turnstile) has the protocol.

use std::panic::Location;
use std::task::Waker;

/// State of a wait, which its future owns.
///
/// A wait counts as a waiter from its beginning until it is over. The future must end the wait,
/// because meanwhile the last section leaves `finish` to the waiter.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: u64,
    /// Place in the source where the wait began, for the lint.
    pub(crate) begun: &'static Location<'static>,
    pub(crate) polled: bool,
    pub(crate) over: bool,
}

/// Wakers of the waiting futures.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    begun: u64,
    wakers: Vec<(u64, Waker)>,
}

/// Wakers to be called. All of them are called, even if one panics.
pub(crate) struct Wake(Vec<(u64, Waker)>);

impl Wakers {
    pub(crate) fn begin(&mut self, begun: &'static Location<'static>) -> Waiter {
        self.begun += 1;
        Waiter { id: self.begun, begun, polled: false, over: false }
    }

    /// Stores the waker of a waiter that has no waker here.
    pub(crate) fn keep(&mut self, waiter: &Waiter, waker: Waker) {
        self.wakers.push((waiter.id, waker));
    }

    /// Removes and returns the waker of a waiter, if it has a waker here. The caller must drop the
    /// waker without a lock, because the drop runs code of an executor.
    #[must_use = "the waker, to be dropped without a lock"]
    pub(crate) fn remove(&mut self, waiter: &Waiter) -> Option<Waker> {
        let at = self.wakers.iter().position(|(id, _)| *id == waiter.id)?;
        Some(self.wakers.swap_remove(at).1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Takes all wakers, to be called without a lock. Allocates no memory, because a section may
    /// end where no memory can be allocated.
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
