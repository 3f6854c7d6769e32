//! Whether the current thread carries out work of a scheduler. A thread that does waits for no other one that does: it
//! might be itself, or one that waits for it in turn.

use std::cell::Cell;

use crate::primitive::thread_local;

thread_local! {
    /// How deep. Without a destructor: also there while others' are being run.
    #[allow(clippy::missing_const_for_thread_local)] // a model checker's cannot be
    static DEPTH: Cell<usize> = Cell::new(0);
}

/// As long as it lives, this thread has work of some scheduler in hand.
pub(super) struct InHand(());

impl InHand {
    pub(super) fn begin() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self(())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Whether this thread has work of any scheduler in hand.
pub(super) fn has_work_in_hand() -> bool {
    DEPTH.with(Cell::get) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_known_until_it_is_dropped() {
        assert!(!has_work_in_hand());
        let (outer, inner) = (InHand::begin(), InHand::begin());
        drop(inner);
        assert!(has_work_in_hand());
        assert!(!std::thread::spawn(has_work_in_hand).join().unwrap());
        drop(outer);
        assert!(!has_work_in_hand());
    }
}
