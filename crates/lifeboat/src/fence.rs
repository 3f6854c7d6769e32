//! Fences: a promise that something ends, kept exactly once (FENCE-1).
//!
//! There are two sides. [`Unsignalled`] is the promise: it exists once, and signalling consumes it, so a second signal
//! does not compile. Dropping it instead signals ECANCELED. [`Fence`] is the knowledge of it: cloned and waited on by
//! anyone, for as long as they like; it refers to no device, scheduler or module (FENCE-3).
//!
//! ```compile_fail
//! fn twice(fence: lifeboat::Unsignalled) {
//!     fence.signal(Ok(()));
//!     fence.signal(Ok(()));
//! }
//! ```

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::fence::FenceError;
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::{self, Condvar, Mutex};

use crate::ledger::{Entry, Kind, Ledger};
use crate::{WaitError, locks};

type Outcome = Result<(), FenceError>;
type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// Knows whether and how something ended. Cheap to clone.
#[derive(Clone)]
pub struct Fence(Arc<Shared>);

/// The duty to signal. Dropped, it signals [`FenceError::Canceled`].
#[must_use = "dropping it signals ECANCELED"]
pub struct Unsignalled {
    shared: Arc<Shared>,
    // Counted as long as the promise is open; a signalled fence holds nothing back.
    _entry: Entry,
}

struct Shared {
    state: Mutex<State>,
    signalled: Condvar,
}

enum State {
    Pending(Vec<Callback>),
    Signalled(Outcome),
}

/// Both sides of a new fence.
pub(crate) fn pair(ledger: &Ledger) -> (Fence, Unsignalled) {
    let shared =
        Arc::new(Shared { state: Mutex::new(&locks::FENCE, State::Pending(Vec::new())), signalled: Condvar::new() });
    (Fence(shared.clone()), Unsignalled { shared, _entry: ledger.enlist(Kind::PendingFence) })
}

impl Fence {
    /// A fence that has already signalled.
    pub(crate) fn signalled(outcome: Outcome) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(&locks::FENCE, State::Signalled(outcome)),
            signalled: Condvar::new(),
        }))
    }

    /// How it ended, or `None` while it has not.
    pub fn status(&self) -> Option<Outcome> {
        match *self.0.state.lock() {
            State::Pending(_) => None,
            State::Signalled(outcome) => Some(outcome),
        }
    }

    /// Waits until it signals, for at most `limit`; a limit of zero only asks.
    ///
    /// To be called outside of sections: the unplug that ends the wait may be waiting for the section. The
    /// [lint](lifeboat_sync::lint) reports it.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`], or [`WaitError::Failed`] with the reason the work was not done.
    #[track_caller]
    pub fn wait(&self, limit: Duration) -> Result<(), WaitError> {
        if !limit.is_zero() {
            lint::fence_wait();
        }
        let deadline = deadline_after(limit);
        let mut state = self.0.state.lock();
        loop {
            if let State::Signalled(outcome) = *state {
                return Ok(outcome?);
            }
            if self.0.signalled.wait_until(&mut state, deadline).timed_out() {
                return match *state {
                    State::Signalled(outcome) => Ok(outcome?),
                    State::Pending(_) => Err(WaitError::TimedOut),
                };
            }
        }
    }

    /// Calls `callback` once, when the fence signals, on the signalling thread and with no lock held; at once if it has
    /// signalled. It must not block. A panic of it is reported and contained.
    pub fn on_signal(&self, callback: impl FnOnce(Outcome) + Send + 'static) {
        let mut state = self.0.state.lock();
        match &mut *state {
            State::Pending(callbacks) => callbacks.push(Box::new(callback)),
            State::Signalled(outcome) => {
                let outcome = *outcome;
                drop(state);
                callback(outcome);
            }
        }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fence").field(&self.status()).finish()
    }
}

impl fmt::Debug for Unsignalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsignalled")
    }
}

impl Unsignalled {
    /// Keeps the promise.
    pub fn signal(self, outcome: Outcome) {
        self.shared.signal(outcome);
        // The drop that follows finds the fence signalled.
    }
}

impl Drop for Unsignalled {
    fn drop(&mut self) {
        self.shared.signal(Err(FenceError::Canceled));
    }
}

impl Shared {
    /// The first outcome counts.
    fn signal(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        let State::Pending(callbacks) = &mut *state else { return };
        let callbacks = std::mem::take(callbacks);
        *state = State::Signalled(outcome);
        drop(state);
        self.signalled.notify_all();
        // Whoever waits for this fence waits for what the callbacks do.
        let _signalling = lint::signalling();
        for callback in callbacks {
            // A user's panic must not take the other callbacks, the device's worker or an unplug with it.
            if catch_unwind(AssertUnwindSafe(|| callback(outcome))).is_err() {
                tracing::error!("a fence callback panicked; the fence has signalled all the same");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn fence_1_dropping_the_promise_cancels() {
        let ledger = Ledger::default();
        let (fence, unsignalled) = pair(&ledger);
        assert_eq!(fence.status(), None);
        assert_eq!(fence.wait(Duration::ZERO), Err(WaitError::TimedOut));
        assert_eq!(ledger.counts().get(&Kind::PendingFence), Some(&1));
        drop(unsignalled);
        assert_eq!(fence.wait(LONG), Err(WaitError::Failed(FenceError::Canceled)));
        assert!(ledger.counts().is_empty());
    }

    #[test]
    fn fence_1_the_drop_after_a_signal_changes_nothing() {
        let (fence, unsignalled) = pair(&Ledger::default());
        unsignalled.signal(Ok(()));
        assert_eq!(fence.status(), Some(Ok(())));
    }

    #[test]
    fn waiters_and_callbacks_learn_of_it_also_late() {
        let (fence, unsignalled) = pair(&Ledger::default());
        let (sender, receiver) = mpsc::channel();
        let early = sender.clone();
        fence.on_signal(move |outcome| early.send(outcome).unwrap());
        let waiter = std::thread::spawn({
            let fence = fence.clone();
            move || fence.wait(LONG)
        });
        unsignalled.signal(Err(FenceError::Lost));
        assert_eq!(waiter.join().unwrap(), Err(WaitError::Failed(FenceError::Lost)));
        fence.on_signal(move |outcome| sender.send(outcome).unwrap());
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [Err(FenceError::Lost); 2]);
    }

    #[test]
    fn a_panicking_callback_takes_nothing_with_it() {
        let (fence, unsignalled) = pair(&Ledger::default());
        let (sender, receiver) = mpsc::channel();
        fence.on_signal(|_| panic!("on purpose"));
        fence.on_signal(move |outcome| sender.send(outcome).unwrap());
        unsignalled.signal(Ok(()));
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), Ok(()));
        assert_eq!(fence.wait(Duration::MAX), Ok(()));
    }

    #[test]
    fn a_callback_may_use_the_fence() {
        let (fence, unsignalled) = pair(&Ledger::default());
        let (sender, receiver) = mpsc::channel();
        let inner = fence.clone();
        fence.on_signal(move |_| sender.send(inner.status()).unwrap());
        unsignalled.signal(Ok(()));
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), Some(Ok(())));
    }
}
