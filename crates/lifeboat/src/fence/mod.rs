//! Fences: a promise that something ends, kept exactly once (FENCE-1).
//!
//! There are two sides. [`Unsignalled`] is the promise: it exists once, and signalling consumes it, so a second signal
//! does not compile. Dropping it instead signals ECANCELED. [`Fence`] is the knowledge of it: cloned and waited on by
//! anyone, for as long as they like; it refers to no device, scheduler or module (FENCE-3).
//!
//! A fence can be waited for in four ways: by a thread ([`Fence::wait`]), by a callback ([`Fence::on_signal`]), by an
//! asynchronous task (`fence.await`), and by a descriptor that a poll loop watches ([`Fence::eventfd`]). [`Fence::all`]
//! and [`Fence::any`] make one of several.
//!
//! A fence may outlive much that waits for it. Every wait can be withdrawn, and then leaves nothing
//! behind (SCHED-13): a callback by [`Callback::withdraw`], a future or a descriptor when it is
//! dropped, a combined fence when its result is known, or when nobody has it and nobody waits for it
//! any more. A combined fence refers to its members, and they refer to it weakly; a callback
//! registered on it keeps it.
//!
//! Callbacks do not nest, nor do drops that lead to one another: each thread has a queue (`calls`).
//!
//! What a fence is called is data, given when its [`Timeline`] is made, and its deadline is a hint that the signalling
//! side reads. So no question about a fence runs code of the driver, neither before nor after it has signalled;
//! callbacks run once, when it signals, and are gone then. The kernel needs `dma_fence_ops` to detach from a module for
//! that.

mod array;
mod callback;
mod calls;
mod eventfd;
mod future;
mod origin;
mod outcome;
mod timeline;
mod unsignalled;
mod waiters;

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lifeboat_core::fence::FenceError;
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::{self, Condvar, Mutex};

use crate::primitive::atomic::AtomicU64;
use crate::{WaitError, locks, spin};
use array::Combination;
use outcome::OnceOutcome;
use waiters::{Key, Waiter, Waiters};

pub use callback::Callback;
pub(crate) use calls::is_delivering;
pub use eventfd::Eventfd;
pub use future::Signalled;
pub(crate) use origin::Origin;
pub use timeline::Timeline;
pub use unsignalled::Unsignalled;

/// How something ended.
pub type Outcome = Result<(), FenceError>;

/// Knows whether and how something ended. Cheap to clone.
#[derive(Clone)]
pub struct Fence(Arc<FenceInner>);

struct FenceInner {
    /// `None` for what belongs to no timeline: fences made of others, and those that were never pending.
    timeline: Option<Timeline>,
    /// Zero until it has its place on the timeline.
    seqno: AtomicU64,
    /// Set once, by a scheduler that commits a job.
    origin: OnceLock<Origin>,
    /// Set under the lock; looked at without it.
    outcome: OnceOutcome,
    waiting: Mutex<Waiting>,
    signalled: Condvar,
}

/// Who is to be told. Of most fences it is one thread or nobody, so that all else is somewhere else.
#[derive(Default)]
struct Waiting {
    /// Threads that sleep: nobody is notified if there are none.
    threads: usize,
    others: Option<Box<Others>>,
}

#[derive(Default)]
struct Others {
    waiters: Waiters,
    /// When somebody would like it to have signalled.
    deadline: Option<Instant>,
    /// The members, if this is a combined fence.
    made_of: Option<Combination>,
}

impl Fence {
    fn pending(timeline: Option<Timeline>) -> Self {
        Self(Arc::new(FenceInner {
            timeline,
            seqno: AtomicU64::new(0),
            origin: OnceLock::new(),
            outcome: OnceOutcome::default(),
            waiting: Mutex::new(&locks::FENCE, Waiting::default()),
            signalled: Condvar::new(),
        }))
    }

    /// A fence that has already signalled.
    pub fn signalled(outcome: Outcome) -> Self {
        let fence = Self::pending(None);
        fence.0.outcome.set(outcome);
        fence
    }

    /// How it ended, or `None` while it is pending.
    pub fn status(&self) -> Option<Outcome> {
        self.0.outcome.get()
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
        let mut waiting = self.0.waiting.lock();
        if self.status().is_none() {
            let earliest = &mut waiting.others().deadline;
            *earliest = Some(earliest.map_or(deadline, |earlier| earlier.min(deadline)));
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
        if spin::briefly(|| self.status().is_some()) {
            return Ok(self.status().ok_or(WaitError::TimedOut)??);
        }
        let deadline = deadline_after(limit);
        let mut waiting = self.0.waiting.lock();
        let mut timed_out = false;
        loop {
            if let Some(outcome) = self.status() {
                return Ok(outcome?);
            }
            if timed_out {
                return Err(WaitError::TimedOut);
            }
            waiting.threads += 1;
            timed_out = self.0.signalled.wait_until(&mut waiting, deadline).timed_out();
            waiting.threads -= 1;
        }
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Fence");
        debug.field("name", &self.name()).field("seqno", &self.seqno()).field("status", &self.status()).finish()
    }
}

impl FenceInner {
    /// The first outcome counts; who comes later finds it signalled.
    fn signal(&self, outcome: Outcome) {
        // A promise that was kept looks here once more when it is dropped.
        if self.outcome.get().is_some() {
            return;
        }
        let mut waiting = self.waiting.lock();
        if self.outcome.get().is_some() {
            return;
        }
        self.outcome.set(outcome);
        let (sleep, others) = (waiting.threads > 0, waiting.others.take());
        drop(waiting);
        if sleep {
            self.signalled.notify_all();
        }
        if let Some(others) = others {
            let Others { waiters, made_of, .. } = *others;
            let members = made_of.and_then(Combination::into_members);
            calls::owe(members.into_iter().chain(waiters.into_due(outcome)));
        }
    }

    /// Registers a waiter. If the fence has signalled, gives the waiter back, due.
    fn add(&self, mut waiter: Waiter) -> Result<Key, Waiter> {
        let mut waiting = self.waiting.lock();
        match self.outcome.get() {
            None => Ok(waiting.others().waiters.add(waiter)),
            Some(outcome) => {
                drop(waiting);
                waiter.due = Some(outcome);
                Err(waiter)
            }
        }
    }

    /// Takes a waiter back; `None` if the fence has signalled. Frees its place.
    fn withdraw(&self, key: Key) -> Option<Waiter> {
        let mut waiting = self.waiting.lock();
        let others = waiting.others.as_mut()?;
        let waiter = others.waiters.withdraw(key);
        if others.waiters.is_empty() && others.deadline.is_none() && others.made_of.is_none() {
            waiting.others = None;
        }
        waiter
    }
}

impl Drop for FenceInner {
    /// Withdraws a combined fence from its members: nobody has it, and nobody waits for it.
    fn drop(&mut self) {
        let made_of = self.waiting.get_mut().others.as_mut().and_then(|others| others.made_of.take());
        if let Some(members) = made_of.and_then(Combination::into_members) {
            calls::owe([members]);
        }
    }
}

impl Waiting {
    fn others(&mut self) -> &mut Others {
        self.others.get_or_insert_default()
    }
}

/// Signalling consumes the promise:
///
/// ```
/// fn once(fence: lifeboat::Unsignalled) {
///     fence.signal();
/// }
/// ```
/// ```compile_fail,E0382
/// fn twice(fence: lifeboat::Unsignalled) {
///     fence.signal();
///     fence.signal();
/// }
/// ```
/// ```compile_fail,E0382
/// fn signal_and_fail(fence: lifeboat::Unsignalled) {
///     fence.signal();
///     fence.fail(lifeboat::core::fence::FenceError::Lost);
/// }
/// ```
#[cfg(doctest)]
mod fence_1_a_second_signal_does_not_compile {}

/// And there is one of it only:
///
/// ```
/// fn shared(fence: &lifeboat::Fence) -> lifeboat::Fence {
///     fence.clone()
/// }
/// ```
/// ```compile_fail,E0599
/// fn signalled_elsewhere(fence: lifeboat::Unsignalled) -> [lifeboat::Unsignalled; 2] {
///     [fence.clone(), fence]
/// }
/// ```
#[cfg(doctest)]
mod fence_1_a_promise_cannot_be_copied {}

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
        assert_eq!(ledger.counts().get(&Kind::PENDING_FENCE), Some(&1));
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

    /// There is one of it for each job.
    #[test]
    fn a_fence_is_small() {
        assert!(size_of::<FenceInner>() <= 96, "{} bytes", size_of::<FenceInner>());
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
