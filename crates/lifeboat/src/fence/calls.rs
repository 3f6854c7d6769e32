//! What a thread owes to those who wait: callbacks and wakers that are due, and things of theirs that are to be dropped.
//!
//! One thing is done after the other, never one inside another. A callback that signals the next fence of a chain, as
//! those of fences made of others do, costs no stack, however long the chain is; nor does a drop that leads to the next
//! drop. That holds for a thread's whole life, also while its thread-locals are destroyed.

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use lifeboat_sync::lint;

use super::waiters::Waiter;
use crate::panics::contained;
use crate::primitive::thread_local;

/// A queue of what has memory of its own already, so that it takes none.
#[derive(Default)]
struct Owed {
    oldest_first: Option<Waiter>,
    newest_first: Option<Waiter>,
}

thread_local! {
    /// What this thread owes; `None` while it is not at it. It has no destructor, so that it is there as long as the
    /// thread is. It needs none: the thread is at it until nothing is left.
    static OWED: RefCell<ManuallyDrop<Option<Owed>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Does what is owed, on this thread and with no lock held: now, or if this thread is at such a thing, when that has
/// returned. What is not due is dropped.
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
        Ok(true) => Delivery.go_on(),
        Ok(false) => {}
        // A model checker's thread that has ended: nothing remembers it.
        Err(_) => waiters.for_each(settle),
    }
}

/// The time in which a thread does what it owes.
struct Delivery;

impl Delivery {
    fn go_on(&self) {
        while let Some(waiter) = take_next() {
            settle(waiter);
        }
    }
}

impl Drop for Delivery {
    /// Finds nothing left, unless something of ours panicked: others must not pay for that, nor this thread's later
    /// callbacks.
    fn drop(&mut self) {
        self.go_on();
    }
}

/// The next; if there is none, the thread is done.
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
            contained("what waits for a fence", move || waiter.work.run(outcome));
        }
        None => contained("the drop of what waited for a fence", || drop(waiter)),
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
