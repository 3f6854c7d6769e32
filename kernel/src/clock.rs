// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Time as the core counts it.

use core::time::Duration;

use kernel::time::{msecs_to_jiffies, Instant, Jiffies, Monotonic};
use lifeboat_core::Timestamp;

/// A clock that counts from its start.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant<Monotonic>);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::new(self.elapsed())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns())
    }

    pub(crate) fn elapsed_us(&self) -> u64 {
        self.elapsed_ns() / 1000
    }

    fn elapsed_ns(&self) -> u64 {
        // A monotonic clock gives nothing negative.
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(0)
    }
}

/// A time to wait, rounded up to what the kernel's timers count in. `as_millis` would not do: its
/// result has 128 bits, and the kernel cannot divide those.
pub(crate) fn jiffies(wait: Duration) -> Jiffies {
    let ms = wait.as_secs().saturating_mul(1000).saturating_add(wait.subsec_nanos().div_ceil(1_000_000).into());
    msecs_to_jiffies(u32::try_from(ms).unwrap_or(u32::MAX).max(1))
}
