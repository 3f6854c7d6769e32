// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Time as the core counts it.

use core::time::Duration;

use kernel::time::{msecs_to_jiffies, Instant, Jiffies, Monotonic};
use lifeboat_core::Timestamp;

/// A clock that counts from its start.
#[derive(Clone, Copy)]
pub struct Clock(Instant<Monotonic>);

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time as the core takes it.
    pub fn now(&self) -> Timestamp {
        Timestamp::new(self.elapsed())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns())
    }

    /// The time since the start, in microseconds.
    pub fn elapsed_us(&self) -> u64 {
        self.elapsed_ns() / 1000
    }

    fn elapsed_ns(&self) -> u64 {
        // A monotonic clock gives nothing negative.
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(0)
    }
}

/// A time to wait, rounded up to what the kernel's timers count in. `as_millis` would not do: its
/// result has 128 bits, and the kernel cannot divide those.
pub fn jiffies(wait: Duration) -> Jiffies {
    let ms = wait.as_secs().saturating_mul(1000).saturating_add(wait.subsec_nanos().div_ceil(1_000_000).into());
    msecs_to_jiffies(u32::try_from(ms).unwrap_or(u32::MAX).max(1))
}

/// A time in nanoseconds; not by `as_nanos`, whose result has 128 bits.
pub fn nanoseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into())
}
