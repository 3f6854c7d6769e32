//! Time as an argument.

use core::time::Duration;

/// A moment, counted from any fixed beginning the shell likes (its start, the boot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The moment `since` after the beginning.
    pub const fn new(since: Duration) -> Self {
        Self(since)
    }

    /// Time from the beginning to this moment.
    pub const fn since_beginning(self) -> Duration {
        self.0
    }

    /// The moment `after` later; the end of time if that lies beyond it.
    #[must_use]
    pub const fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(after))
    }
}
