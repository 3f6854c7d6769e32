//! What waits for a fence that has signalled: callbacks and wakers.
//!
//! They are run for one fence after the other, never for one inside another's: a callback that signals the next fence
//! of a chain, as those of fences made of others do, costs no stack, however long the chain is.

use std::cell::RefCell;

use lifeboat_sync::lint;

use super::{Others, Outcome};
use crate::panics::contained;
use crate::primitive::thread_local;

/// What is due. A queue of what has memory of its own already, so that it takes none: the end of a job must not wait for some.
#[derive(Default)]
struct Owed {
    oldest_first: Option<Box<Others>>,
    newest_first: Option<Box<Others>>,
}

thread_local! {
    /// What callbacks of this thread have made due. `None` while it runs none.
    #[allow(clippy::missing_const_for_thread_local)] // a model checker's cannot be
    static OWED: RefCell<Option<Owed>> = RefCell::new(None);
}

/// Runs them, on this thread and with no lock held: now, or when the callback that this thread is running has returned.
pub(super) fn run(mut others: Box<Others>, outcome: Outcome) {
    others.due = Some(outcome);
    let mut next = Some(others);
    let deferred = OWED.try_with(|owed| match &mut *owed.borrow_mut() {
        Some(owed) => next.take().into_iter().for_each(|others| owed.push(others)),
        none => *none = Some(Owed::default()),
    });
    while let Some(others) = next {
        run_now(*others);
        // A thread that is ending has nothing to remember it by: there the callbacks nest.
        next = deferred.is_ok().then(|| OWED.with(|owed| take_next(&mut owed.borrow_mut()))).flatten();
    }
}

/// The next that is due; if there is none, the thread is done with callbacks.
fn take_next(owed: &mut Option<Owed>) -> Option<Box<Others>> {
    let next = owed.as_mut().and_then(Owed::pop);
    if next.is_none() {
        *owed = None;
    }
    next
}

impl Owed {
    fn push(&mut self, mut others: Box<Others>) {
        others.next = self.newest_first.take();
        self.newest_first = Some(others);
    }

    /// The oldest.
    fn pop(&mut self) -> Option<Box<Others>> {
        if self.oldest_first.is_none() {
            while let Some(mut others) = self.newest_first.take() {
                self.newest_first = others.next.take();
                others.next = self.oldest_first.take();
                self.oldest_first = Some(others);
            }
        }
        let mut oldest = self.oldest_first.take()?;
        self.oldest_first = oldest.next.take();
        Some(oldest)
    }
}

fn run_now(others: Others) {
    let Others { callbacks, wakers, due: Some(outcome), .. } = others else { return };
    // Whoever waits for this fence waits for what the callbacks do.
    let _signalling = lint::signalling();
    for callback in callbacks {
        contained("a fence callback", || callback(outcome));
    }
    for waker in wakers {
        contained("a waker", || waker.wake());
    }
}
