// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The only way to the registers.
//!
//! A register section is an RCU read section of the kernel's `Devres`, so the mapping outlives it, and it is counted,
//! so that a cut knows when the last one has ended. The kernel's grace period would say so too, but only after it has
//! heard of every CPU: up to some ten milliseconds, which the unplug of a dead device does not have. The count is one
//! word, and usually 0.

use core::time::Duration;

use kernel::{
    sync::{
        atomic::{Acquire, Atomic, Full, Release},
        Arc,
    },
    time::{delay::fsleep, Delta},
};
use lifeboat_driver::{DriverError, Io};
use lifeboat_pci::BusError;

use crate::bars::Bars;
use crate::clock::Clock;
use crate::glue::lint;

/// Limit for the last section to end. Sections do not block: a few register accesses, each at most
/// some ten microseconds.
const SECTION_LIMIT: Duration = Duration::from_secs(1);
/// Pause between two looks at the count.
const SECTION_POLL: Delta = Delta::from_micros(20);

/// The registers of one binding. They can be reached only inside a section, which must not block, and until the cut.
pub(crate) struct Link {
    bars: Arc<Bars>,
    /// Sections that are open, or about to find that they may not.
    open: Atomic<i32>,
    /// The end of the binding has begun: what takes long ends early.
    ending: Atomic<bool>,
    cut: Atomic<bool>,
}

impl Link {
    pub(crate) fn new(bars: Arc<Bars>) -> Self {
        Self { bars, open: Atomic::new(0), ending: Atomic::new(false), cut: Atomic::new(false) }
    }

    /// Runs code of the driver in a register section. `BusError::Unmapped` after the cut.
    pub(crate) fn io<T>(&self, code: impl FnOnce(&Io<'_>) -> Result<T, DriverError>) -> Result<T, DriverError> {
        lint::assert_inside();
        // The section is counted before the flag is read, and `cut` sets the flag before it reads
        // the count: one of the two sees the other.
        self.open.fetch_add(1, Full);
        let result = if self.cut.load(Acquire) {
            Err(DriverError::Bus(BusError::Unmapped))
        } else {
            code(&Io::new(&self.bars.section()))
        };
        self.open.fetch_sub(1, Release);
        result
    }

    /// The end of the binding begins. Sections open as before, until the cut.
    pub(crate) fn begin_end(&self) {
        self.ending.store(true, Release);
    }

    /// Whether the end of the binding has begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Acquire)
    }

    /// Ends all access. When this returns `true` no section is open and none will be; `false` if one has not ended.
    pub(crate) fn cut(&self) -> bool {
        self.cut.xchg(true, Full);
        let clock = Clock::start();
        while self.open.load(Acquire) != 0 {
            if clock.elapsed() > SECTION_LIMIT {
                return false;
            }
            fsleep(SECTION_POLL);
        }
        true
    }
}
