//! The waiters of a fence, in the order of their registration: callbacks, wakers, combined fences.
//!
//! One ordered container has them all. To register is to append, to withdraw is to look up a key:
//! both take O(log n) steps. The memory of a waiter is freed when it is withdrawn.

use std::collections::BTreeMap;
use std::task::Waker;

use super::Outcome;

/// What a waiter does when its fence has signalled.
pub(super) trait Work: Send {
    /// Called at most once. A waiter that is withdrawn is dropped instead.
    fn run(&mut self, outcome: Outcome);
}

/// A waiter, with room for a link, so that a thread can queue it without memory (see `calls`).
pub(super) struct Node<W: ?Sized> {
    /// The next in the queue of a thread.
    pub(super) next: Option<Waiter>,
    /// How the fence has signalled. A queued waiter without it is only dropped.
    pub(super) due: Option<Outcome>,
    pub(super) work: W,
}

pub(super) type Waiter = Box<Node<dyn Work>>;

impl<W: Work> Node<W> {
    pub(super) fn boxed(work: W) -> Box<Self> {
        Box::new(Self { next: None, due: None, work })
    }
}

impl Work for Option<Waker> {
    fn run(&mut self, _outcome: Outcome) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}

/// The place of a waiter among those of its fence. Its holder withdraws the waiter once and forgets
/// the key, so that no key is ever stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        #[cfg(test)]
        steps::count();
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Default)]
pub(super) struct Waiters {
    in_order: BTreeMap<Key, Waiter>,
    last: u64,
}

impl Waiters {
    pub(super) fn add(&mut self, waiter: Waiter) -> Key {
        self.last += 1;
        let key = Key(self.last);
        self.in_order.insert(key, waiter);
        key
    }

    /// Registers a waiter in a given place, or in a new one. Gives the place, and the waiter that
    /// was there: to be dropped when no lock is held, since its drop runs code of a user.
    pub(super) fn register(&mut self, key: Option<Key>, waiter: Waiter) -> (Key, Option<Waiter>) {
        match key {
            Some(key) => (key, self.in_order.insert(key, waiter)),
            None => (self.add(waiter), None),
        }
    }

    /// Gives back the waiter of a place: to be dropped when no lock is held.
    pub(super) fn withdraw(&mut self, key: Key) -> Option<Waiter> {
        let waiter = self.in_order.remove(&key);
        if self.in_order.is_empty() {
            // A map that is empty keeps some memory.
            self.in_order = BTreeMap::new();
        }
        waiter
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// All of them, due with this outcome.
    pub(super) fn into_due(self, outcome: Outcome) -> impl Iterator<Item = Waiter> {
        self.in_order.into_values().map(move |mut waiter| {
            waiter.due = Some(outcome);
            waiter
        })
    }
}

/// Counts comparisons of keys by this thread: a measure of work that depends on no clock.
#[cfg(test)]
pub(super) mod steps {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    pub(in crate::fence) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    pub(in crate::fence) fn of(f: impl FnOnce()) -> u64 {
        let before = STEPS.get();
        f();
        STEPS.get() - before
    }
}

#[cfg(test)]
mod tests {
    use std::future::IntoFuture;
    use std::pin::Pin;
    use std::task::Context;

    use super::*;
    use crate::fence::{Fence, Signalled, Timeline, Unsignalled};
    use crate::ledger::Ledger;

    fn pair() -> (Fence, Unsignalled) {
        Timeline::new(&Ledger::default(), "test", "waiters").fence()
    }

    fn poll(future: &mut Signalled) {
        assert!(Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    /// Asserts that eight times as many waiters take about eight times as many steps: O(log n) for
    /// each.
    fn assert_scales(steps: impl Fn(usize) -> u64) {
        const FEW: usize = 1000;
        let (few, many) = (steps(FEW), steps(8 * FEW));
        assert!(few > 0, "nothing was counted");
        assert!(many <= 12 * few, "{few} steps for {FEW} waiters, {many} for eight times as many");
    }

    #[test]
    fn sched_13_tasks_on_one_fence_cost_as_much_each_however_many_there_are() {
        assert_scales(|tasks| {
            let (fence, promise) = pair();
            let mut futures: Vec<_> = (0..tasks).map(|_| (&fence).into_future()).collect();
            steps::of(|| {
                // Twice, as by an executor that polls without need.
                for _ in 0..2 {
                    futures.iter_mut().for_each(poll);
                }
                // The newest first, then the oldest first: neither is a special case.
                futures.truncate(tasks / 2);
                futures.drain(..tasks / 4);
                promise.signal();
                drop(futures);
            })
        });
    }

    #[test]
    fn sched_13_callbacks_on_one_fence_cost_as_much_each_however_many_there_are() {
        assert_scales(|callbacks| {
            let (fence, promise) = pair();
            steps::of(|| {
                let mut handles: Vec<_> = (0..callbacks).map(|_| fence.on_signal(drop)).collect();
                for callback in handles.drain(..callbacks / 2) {
                    assert!(callback.withdraw());
                }
                promise.signal();
            })
        });
    }

    #[test]
    fn sched_13_combinations_on_one_fence_cost_as_much_each_however_many_there_are() {
        assert_scales(|combinations| {
            let ((fence, _promise), (other, _other)) = (pair(), pair());
            steps::of(|| {
                let mut kept: Vec<_> = (0..combinations).map(|_| fence.merge(&other)).collect();
                for _ in 0..combinations {
                    // Known at once.
                    Fence::any([fence.clone(), Fence::signalled(Ok(()))]);
                }
                kept.truncate(combinations / 2);
            })
        });
    }

    #[test]
    fn what_waits_is_told_in_the_order_in_which_it_asked() {
        let (fence, promise) = pair();
        let (sender, order) = std::sync::mpsc::channel();
        let handles: Vec<_> = (0..100)
            .map(|number| {
                let sender = sender.clone();
                fence.on_signal(move |_| sender.send(number).unwrap())
            })
            .collect();
        for (_, handle) in handles.into_iter().enumerate().filter(|(number, _)| number % 3 == 0) {
            assert!(handle.withdraw());
        }
        promise.signal();
        let expected: Vec<_> = (0..100).filter(|number| number % 3 != 0).collect();
        assert_eq!(order.try_iter().collect::<Vec<_>>(), expected);
    }
}
