//! Fences: a promise that something ends, kept exactly once (FENCE-1).
//!
//! There are two sides. [`Unsignalled`] is the promise: it exists once, and signalling consumes it, so a second signal
//! does not compile. Dropping it instead signals ECANCELED. [`Fence`] is the knowledge of it: cloned and waited on by
//! anyone, for as long as they like; it refers to no device, scheduler or module (FENCE-3).
//!
//! ```compile_fail
//! fn twice(fence: lifeboat::Unsignalled) {
//!     fence.signal();
//!     fence.signal();
//! }
//! ```
//!
//! A fence can be waited for in four ways: by a thread ([`Fence::wait`]), by a callback ([`Fence::on_signal`]), by an
//! asynchronous task (`fence.await`), and by a descriptor that a poll loop watches ([`Fence::eventfd`]). [`Fence::all`]
//! and [`Fence::any`] make one of several.
//!
//! What a fence is called is data, given when its [`Timeline`] is made, and its deadline is a hint that the signalling
//! side reads. So no question about a fence runs code of the driver, neither before nor after it has signalled;
//! callbacks run once, when it signals, and are gone then. The kernel needs `dma_fence_ops` to detach from a module for
//! that.

mod array;
mod eventfd;
mod future;
mod timeline;
mod unsignalled;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use lifeboat_core::fence::FenceError;
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::{self, Condvar, Mutex};

use crate::{WaitError, locks};

pub use future::Signalled;
pub use timeline::Timeline;
pub use unsignalled::Unsignalled;

/// How something ended.
pub type Outcome = Result<(), FenceError>;
type Callback = Box<dyn FnOnce(Outcome) + Send>;

/// Knows whether and how something ended. Cheap to clone.
#[derive(Clone)]
pub struct Fence(Arc<Shared>);

struct Shared {
    /// `None` for what belongs to no timeline: fences made of others, and those that were never pending.
    timeline: Option<Timeline>,
    /// Zero until it has its place on the timeline.
    seqno: AtomicU64,
    state: Mutex<State>,
    signalled: Condvar,
}

enum State {
    Pending(Pending),
    Signalled(Outcome),
}

#[derive(Default)]
struct Pending {
    callbacks: Vec<Callback>,
    wakers: future::Wakers,
    /// When somebody would like it to have signalled.
    deadline: Option<Instant>,
}

impl Fence {
    fn pending(timeline: Option<Timeline>) -> Self {
        Self::new(timeline, State::Pending(Pending::default()))
    }

    /// A fence that has already signalled.
    pub(crate) fn signalled(outcome: Outcome) -> Self {
        Self::new(None, State::Signalled(outcome))
    }

    fn new(timeline: Option<Timeline>, state: State) -> Self {
        let state = Mutex::new(&locks::FENCE, state);
        Self(Arc::new(Shared { timeline, seqno: AtomicU64::new(0), state, signalled: Condvar::new() }))
    }

    /// How it ended, or `None` while it is pending.
    pub fn status(&self) -> Option<Outcome> {
        match *self.0.state.lock() {
            State::Pending(_) => None,
            State::Signalled(outcome) => Some(outcome),
        }
    }

    /// Why what it stands for was not done; `None` while it is pending, and if it was done.
    pub fn error(&self) -> Option<FenceError> {
        self.status()?.err()
    }

    /// Whose it is, as `driver/timeline`.
    pub fn name(&self) -> String {
        self.0.timeline.as_ref().map_or_else(|| "lifeboat/none".to_owned(), Timeline::name)
    }

    /// Its place on its timeline, from 1; `None` if it has none.
    pub fn seqno(&self) -> Option<u64> {
        Some(self.0.seqno.load(Relaxed)).filter(|seqno| *seqno > 0)
    }

    /// Whether two fences are on one timeline, and so have comparable [numbers](Fence::seqno).
    pub fn same_timeline(&self, other: &Self) -> bool {
        matches!((&self.0.timeline, &other.0.timeline), (Some(one), Some(other)) if one.is(other))
    }

    /// Says when it should have signalled, to whoever can make haste ([`Unsignalled::deadline`]). The earliest counts.
    /// A hint: nothing happens at that moment, and fences made of others do not pass it on.
    pub fn set_deadline(&self, deadline: Instant) {
        if let State::Pending(pending) = &mut *self.0.state.lock() {
            pending.deadline = Some(pending.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
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
        if limit.is_zero() {
            return Ok(self.status().ok_or(WaitError::TimedOut)??);
        }
        lint::fence_wait();
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
    /// signalled. It must not block. A panic of it is reported and contained. It cannot be withdrawn: it is kept until
    /// the fence signals.
    pub fn on_signal(&self, callback: impl FnOnce(Outcome) + Send + 'static) {
        let mut state = self.0.state.lock();
        match &mut *state {
            State::Pending(pending) => pending.callbacks.push(Box::new(callback)),
            State::Signalled(outcome) => {
                let outcome = *outcome;
                drop(state);
                contained(|| callback(outcome));
            }
        }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fence");
        debug.field("name", &self.name()).field("seqno", &self.seqno()).field("status", &self.status()).finish()
    }
}

impl Shared {
    /// The first outcome counts; who comes later finds it signalled.
    fn signal(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        let State::Pending(pending) = &mut *state else { return };
        let Pending { callbacks, wakers, .. } = std::mem::take(pending);
        *state = State::Signalled(outcome);
        drop(state);
        self.signalled.notify_all();
        // Whoever waits for this fence waits for what the callbacks do.
        let _signalling = lint::signalling();
        for callback in callbacks {
            contained(|| callback(outcome));
        }
        for waker in wakers {
            contained(|| waker.wake());
        }
    }
}

/// A user's panic must not take the other callbacks, the device's worker or an unplug with it.
fn contained(f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        tracing::error!("a fence callback panicked; the fence has signalled all the same");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::ledger::{Kind, Ledger};

    fn pair(ledger: &Ledger) -> (Fence, Unsignalled) {
        Timeline::new(ledger, "test", "fences").fence()
    }

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
        unsignalled.signal();
        assert_eq!(fence.status(), Some(Ok(())));
    }

    #[test]
    fn a_fence_knows_its_place_and_its_haste() {
        let timeline = Timeline::new(&Ledger::default(), "driver", "ring 0");
        let ((first, promise), (second, _other)) = (timeline.fence(), timeline.fence());
        assert_eq!((first.name().as_str(), first.seqno(), second.seqno()), ("driver/ring 0", Some(1), Some(2)));
        assert!(first.same_timeline(&second) && !first.same_timeline(&Fence::signalled(Ok(()))));
        let now = Instant::now();
        first.set_deadline(now + LONG);
        first.set_deadline(now);
        first.set_deadline(now + LONG);
        assert_eq!(promise.deadline(), Some(now));
        promise.fail(FenceError::Guilty);
        assert_eq!((first.error(), second.error()), (Some(FenceError::Guilty), None));
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
        unsignalled.fail(FenceError::Lost);
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
        unsignalled.signal();
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), Ok(()));
        assert_eq!(fence.wait(Duration::MAX), Ok(()));
    }

    #[test]
    fn a_late_callback_that_panics_does_not_reach_its_caller() {
        let fence = Fence::signalled(Ok(()));
        fence.on_signal(|_| panic!("on purpose"));
        assert_eq!(fence.wait(Duration::ZERO), Ok(()));
    }

    #[test]
    fn a_callback_may_use_the_fence() {
        let (fence, unsignalled) = pair(&Ledger::default());
        let (sender, receiver) = mpsc::channel();
        let inner = fence.clone();
        fence.on_signal(move |_| sender.send(inner.status()).unwrap());
        unsignalled.signal();
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), Some(Ok(())));
    }
}
