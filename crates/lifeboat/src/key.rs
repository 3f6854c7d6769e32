//! Keys of ordered containers.
//!
//! In debug builds they count how often they are compared, so that a test can count what an operation
//! costs instead of timing it (SCHED-13).

use std::cmp::Ordering;

/// A key, ordered as what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<T>(pub T);

impl<T: Ord> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        #[cfg(debug_assertions)]
        COMPARISONS.set(COMPARISONS.get() + 1);
        self.0.cmp(&other.0)
    }
}

impl<T: Ord> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(debug_assertions)]
thread_local! {
    static COMPARISONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many comparisons of keys there were on this thread so far. Debug builds have this alone.
#[cfg(debug_assertions)]
pub fn comparisons() -> u64 {
    COMPARISONS.get()
}
