//! What waits for a fence that has signalled: callbacks and wakers.
//!
//! They are run for one fence after the other, never for one inside another's: a callback that signals the next fence
//! of a chain, as those of fences made of others do, costs no stack, however long the chain is.

use std::cell::RefCell;
use std::collections::VecDeque;

use lifeboat_sync::lint;

use super::{Others, Outcome};
use crate::panics::contained;
use crate::primitive::thread_local;

type Owed = VecDeque<(Box<Others>, Outcome)>;

thread_local! {
    /// What callbacks of this thread have made due. `None` while it runs none.
    #[allow(clippy::missing_const_for_thread_local)] // a model checker's cannot be
    static OWED: RefCell<Option<Owed>> = RefCell::new(None);
}

/// Runs them, on this thread and with no lock held: now, or when the callback that this thread is running has returned.
pub(super) fn run(others: Box<Others>, outcome: Outcome) {
    let mut next = Some((others, outcome));
    let deferred = OWED.try_with(|owed| match &mut *owed.borrow_mut() {
        Some(owed) => owed.extend(next.take()),
        none => *none = Some(Owed::new()),
    });
    while let Some((others, outcome)) = next {
        run_now(*others, outcome);
        // A thread that is ending has nothing to remember it by: there the callbacks nest.
        next = deferred.is_ok().then(|| OWED.with(|owed| take_next(&mut owed.borrow_mut()))).flatten();
    }
}

/// The next that is due; if there is none, the thread is done with callbacks.
fn take_next(owed: &mut Option<Owed>) -> Option<(Box<Others>, Outcome)> {
    let next = owed.as_mut().and_then(VecDeque::pop_front);
    if next.is_none() {
        *owed = None;
    }
    next
}

fn run_now(others: Others, outcome: Outcome) {
    let Others { callbacks, wakers, .. } = others;
    // Whoever waits for this fence waits for what the callbacks do.
    let _signalling = lint::signalling();
    for callback in callbacks {
        contained("a fence callback", || callback(outcome));
    }
    for waker in wakers {
        contained("a waker", || waker.wake());
    }
}
