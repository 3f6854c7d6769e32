//! Points in time. The machine reads no clock: time is an argument.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Point in time, in milliseconds since the Unix epoch.
///
/// Budgets hold across reboots, so this is wall time. The shell reads the wall clock once when it
/// starts and counts on with a clock that nobody can set (`CLOCK_BOOTTIME`). After a restart it
/// begins no earlier than the newest record of its journal. So time never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Creates the point in time `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the point in time `after` later. Saturates at the largest point.
    #[must_use]
    pub fn plus(self, after: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(after.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the time from `earlier` to this point: zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
