//! The queue of a thread: callbacks and wakers that are due, and withdrawn ones that are to be
//! dropped.
//!
//! The thread takes one after the other and never begins one inside another. So a callback that
//! signals the next fence of a chain costs no stack, however long the chain is; combined fences are
//! such chains. Nor does a drop cost stack that leads to the next drop. This holds for the whole
//! life of a thread, also while its thread-locals are destroyed.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use lifeboat_sync::lint;

use super::waiters::Waiter;
use crate::panics::contained;
use crate::primitive::thread_local;

/// A queue whose entries have room for a link, so that it needs no memory: the end of a job must
/// not wait for some.
#[derive(Default)]
struct Owed {
    oldest_first: Option<Waiter>,
    newest_first: Option<Waiter>,
}

thread_local! {
    /// The queue of this thread; `None` while the thread is not delivering. The type has no
    /// destructor, so that the queue exists as long as the thread does. Nothing leaks: delivery
    /// ends when the queue is empty.
    static OWED: RefCell<ManuallyDrop<Option<Owed>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Runs waiters that are due and drops the others, on this thread. To be called with no lock held.
/// If this thread is delivering already, this only queues them.
pub(super) fn owe(waiters: impl IntoIterator<Item = Waiter>) {
    let mut waiters = waiters.into_iter();
    let begins = OWED.try_with(|owed| {
        let mut owed = owed.borrow_mut();
        let begins = owed.is_none();
        let queue = owed.get_or_insert_default();
        waiters.by_ref().for_each(|waiter| queue.push(waiter));
        begins
    });
    match begins {
        Ok(true) => {
            let _goes_on = Delivery;
            Delivery::go_on();
        }
        Ok(false) => {}
        // Only in a model: its thread-locals are gone when the thread ends.
        Err(_) => waiters.for_each(settle),
    }
}

/// Whether this thread is in a callback, a waker, or the drop of one.
pub(crate) fn is_delivering() -> bool {
    OWED.try_with(|owed| owed.try_borrow().is_ok_and(|owed| owed.is_some())).unwrap_or(true)
}

/// The time in which a thread works through its queue.
struct Delivery;

impl Delivery {
    fn go_on() {
        while let Some(waiter) = take_next() {
            settle(waiter);
        }
    }
}

impl Drop for Delivery {
    /// Finds nothing left, unless code of this crate panicked. Then the other waiters are told all
    /// the same, and the thread can deliver later.
    fn drop(&mut self) {
        Self::go_on();
    }
}

/// The next waiter; if there is none, delivery ends.
fn take_next() -> Option<Waiter> {
    let next = |owed: &mut Option<Owed>| {
        let next = owed.as_mut()?.pop();
        if next.is_none() {
            *owed = None;
        }
        next
    };
    OWED.try_with(|owed| next(&mut owed.borrow_mut())).ok().flatten()
}

fn settle(mut waiter: Waiter) {
    match waiter.due.take() {
        Some(outcome) => {
            // Whoever waits for this fence waits for what the callbacks do.
            let _signalling = lint::signalling();
            contained("a callback or waker of a fence", move || waiter.work.run(outcome));
        }
        None => contained("the drop of a withdrawn callback or waker", || drop(waiter)),
    }
}

impl Owed {
    fn push(&mut self, mut waiter: Waiter) {
        waiter.next = self.newest_first.take();
        self.newest_first = Some(waiter);
    }

    /// The oldest.
    fn pop(&mut self) -> Option<Waiter> {
        if self.oldest_first.is_none() {
            while let Some(mut waiter) = self.newest_first.take() {
                self.newest_first = waiter.next.take();
                waiter.next = self.oldest_first.take();
                self.oldest_first = Some(waiter);
            }
        }
        let mut oldest = self.oldest_first.take()?;
        self.oldest_first = oldest.next.take();
        Some(oldest)
    }
}
