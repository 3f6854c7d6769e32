//! Which schedulers' work the current thread has in hand: so that a wait for all that is in hand is not one for oneself.

use std::cell::Cell;

use crate::primitive::thread_local;

/// How deep schedulers nest on one thread: a callback of the first delivers for the second, and so on. Beyond it a
/// thread is taken to have everybody's work in hand, so that it waits for nobody.
const DEPTH: usize = 8;

#[derive(Clone, Copy)]
struct Stack {
    schedulers: [u64; DEPTH],
    depth: usize,
}

thread_local! {
    /// Without a destructor: also there while others' are being run.
    #[allow(clippy::missing_const_for_thread_local)] // a model checker's cannot be
    static STACK: Cell<Stack> = Cell::new(Stack { schedulers: [0; DEPTH], depth: 0 });
}

/// As long as it lives, this thread has work of a scheduler in hand.
pub(super) struct InHand(());

impl InHand {
    /// `scheduler`: a number that no other one of the process has.
    pub(super) fn of(scheduler: u64) -> Self {
        STACK.with(|cell| {
            let mut stack = cell.get();
            if let Some(place) = stack.schedulers.get_mut(stack.depth) {
                *place = scheduler;
            }
            stack.depth += 1;
            cell.set(stack);
        });
        Self(())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        STACK.with(|cell| {
            let mut stack = cell.get();
            stack.depth -= 1;
            cell.set(stack);
        });
    }
}

/// Whether this thread has work of a scheduler in hand.
pub(super) fn is_in_hand(scheduler: u64) -> bool {
    STACK.with(|cell| {
        let stack = cell.get();
        stack.depth > DEPTH || stack.schedulers[..stack.depth].contains(&scheduler)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_known_until_it_is_dropped_and_too_much_is_everybodys() {
        assert!(!is_in_hand(7));
        let outer = InHand::of(7);
        let inner = InHand::of(8);
        assert!(is_in_hand(7) && is_in_hand(8) && !is_in_hand(9));
        drop(inner);
        assert!(is_in_hand(7) && !is_in_hand(8));
        let more: Vec<_> = (0..DEPTH).map(|_| InHand::of(8)).collect();
        assert!(is_in_hand(9));
        drop(more);
        assert!(!is_in_hand(9));
        drop(outer);
        assert!(!is_in_hand(7));
    }
}
