// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The only way to the registers.
//!
//! A register section is an RCU read section of the kernel's `Devres`, so the mapping outlives it, and it is counted,
//! so that a cut knows when the last one has ended. The kernel's grace period would say so too, but only after it has
//! heard of every CPU: up to some ten milliseconds, which the unplug of a dead device does not have. The count is one
//! word, and usually 0.

use core::time::Duration;

use kernel::{
    device::Bound,
    pci::{self, DevresBar},
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full, Release},
    time::{delay::fsleep, Delta},
};
use lifeboat_driver::{DriverError, Io};
use lifeboat_lb1::{regs, Lb1};
use lifeboat_pci::BusError;

use crate::clock::Clock;
use crate::glue::{Window, BARS};

const SIZE: usize = regs::REGISTER_BAR_SIZE as usize;

/// How long the last section may take. They do not block: a few register accesses, each at most some ten microseconds.
const SECTION_LIMIT: Duration = Duration::from_secs(1);
/// How long to wait between two looks at the count.
const SECTION_POLL: Delta = Delta::from_micros(20);

/// The registers of one binding. They can be reached only inside a section, which must not block, and until the cut.
pub(crate) struct Link {
    bar: DevresBar<SIZE>,
    /// Sizes of all BARs, in bytes.
    sizes: [u64; BARS],
    /// Sections that are open, or about to find that they may not.
    open: Atomic<i32>,
    cut: Atomic<bool>,
}

impl Link {
    /// Maps BAR0 for as long as the binding lasts.
    pub(crate) fn new(function: &pci::Device<Bound>) -> Result<Self> {
        let bar = function.iomap_region_sized::<SIZE>(regs::REGISTER_BAR.into(), c"lifeboat")?.into_devres()?;
        let mut sizes = [0; BARS];
        for (number, size) in (0..).zip(&mut sizes) {
            // A BAR that the kernel found no room for has no length. This driver does without VRAM.
            *size = match function.resource_len(number)? {
                0 => u64::MAX,
                bytes => bytes,
            };
        }
        Ok(Self { bar, sizes, open: Atomic::new(0), cut: Atomic::new(false) })
    }

    /// Runs code of the driver in a register section. `BusError::Unmapped` after the cut.
    pub(crate) fn io<T>(&self, code: impl FnOnce(&Io<'_>) -> Result<T, DriverError>) -> Result<T, DriverError> {
        self.window(|window| code(&Io::new(window)))
    }

    /// Runs `access` on the registers of an LB1, as [`Link::io`].
    pub(crate) fn registers<T>(
        &self,
        access: impl FnOnce(&Lb1<'_, Window<'_, '_>>) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        self.window(|window| access(&Lb1::new(window)))
    }

    fn window<T>(&self, access: impl FnOnce(&Window<'_, '_>) -> Result<T, DriverError>) -> Result<T, DriverError> {
        // Counted before the flag is read; `cut` sets the flag before it reads the count. One of them sees the other.
        self.open.fetch_add(1, Full);
        let result = if self.cut.load(Acquire) {
            None
        } else {
            self.bar.try_access_with(|bar| access(&Window::new(bar, &self.sizes)))
        };
        self.open.fetch_sub(1, Release);
        result.unwrap_or(Err(DriverError::Bus(BusError::Unmapped)))
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
