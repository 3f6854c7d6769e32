//! Limits of waits, as users give them: any duration at all.

use std::time::{Duration, Instant};

/// Later than anyone will wait.
const FAR: Duration = Duration::from_hours(24 * 365 * 30);

/// The moment `limit` from now; for a limit beyond the end of the clock, one that nobody will live to see.
pub fn deadline_after(limit: Duration) -> Instant {
    later(Instant::now(), limit)
}

/// The moment `by` after `from`, with the same care.
pub fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from + FAR)
}
