//! Deadlines for waits whose limit may be any duration.

use std::time::{Duration, Instant};

/// Thirty years: longer than any wait.
const FAR: Duration = Duration::from_hours(24 * 365 * 30);

/// Returns the moment `limit` from now. For a limit beyond the end of the clock, returns a moment
/// in thirty years.
pub fn deadline_after(limit: Duration) -> Instant {
    later(Instant::now(), limit)
}

/// Returns the moment `by` after `from`, or thirty years after `from` if the clock ends before
/// that.
pub fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from + FAR)
}
