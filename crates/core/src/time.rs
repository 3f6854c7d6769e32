//! Points in time. The state machines read no clock: time is an argument.

use core::time::Duration;

/// Point in time, counted from a fixed beginning that the shell chooses: its own start, or the
/// boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// Creates the point in time `since` after the beginning.
    pub const fn new(since: Duration) -> Self {
        Self(since)
    }

    /// Returns the time from the beginning to this point.
    pub const fn since_beginning(self) -> Duration {
        self.0
    }

    /// Returns the point in time `after` later. Saturates at the largest duration.
    #[must_use]
    pub const fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(after))
    }
}
