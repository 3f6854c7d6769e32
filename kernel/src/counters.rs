// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Counts of what a binding has done, shown in debugfs.

use core::fmt;

use kernel::sync::atomic::{Atomic, Relaxed};
use lifeboat_core::fence::FenceError;

/// A number. Nothing is decided by counters, so their accesses need no order.
pub(crate) struct Counter(Atomic<u64>);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The numbers under `counters` in debugfs, by the same names.
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                Self { $($name: Counter(Atomic::new(0)),)* }
            }
        }

        impl fmt::Display for Counters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{} {}", stringify!($name), self.$name.get())?;)*
                Ok(())
            }
        }
    };
}

counters! {
    /// Jobs given to the scheduler.
    jobs_submitted,
    /// Jobs whose work was done.
    jobs_completed,
    /// Jobs that ended because the device was lost or unbound.
    jobs_retired,
    /// Jobs that hung or faulted, or were lost with one that did.
    jobs_faulted,
    /// Result bytes that were compared with what they should be.
    verified_bytes,
    /// Result bytes that were wrong.
    mismatches,
    /// Messages from the device.
    interrupts,
    /// Messages that announced nothing.
    spurious_interrupts,
    /// Resets of single rings.
    ring_resets,
    /// Resets of the whole device while it was bound.
    device_resets,
    /// Jobs that were refused because those before them hung or faulted too often.
    jobs_refused,
    /// Looks at the device's health.
    health_polls,
    /// Looks that found it not well.
    health_failures,
    /// The heartbeat at the last look, in milliseconds.
    heartbeat,
}

impl Counters {
    /// Counts the end of a job.
    pub(crate) fn ended(&self, outcome: Result<(), FenceError>) {
        let counter = match outcome {
            Ok(()) => &self.jobs_completed,
            Err(FenceError::Lost) => &self.jobs_retired,
            Err(FenceError::Guilty | FenceError::Innocent | FenceError::Canceled | FenceError::TimedOut) => {
                &self.jobs_faulted
            }
        };
        counter.add(1);
    }
}
