// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A section of the gate that stays open until it is told to end: what the end of the device waits for. By a file in debugfs, for
//! tests of what users meet between the announcement of a loss and the end of the nodes.

use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
    time::{delay::fsleep, Delta},
};

use crate::clock::Clock;
use crate::device::Device;

/// The longest that a section stays open, in microseconds, whoever forgets it.
const LONGEST_US: u64 = 10_000_000;

/// Between two looks whether it is to end.
const LOOK_EVERY: Delta = Delta::from_millis(1);

/// Whether a section lingers.
pub(crate) struct Linger(Atomic<bool>);

impl Linger {
    pub(crate) fn new() -> Self {
        Self(Atomic::new(false))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Ends the section.
    pub(crate) fn end(&self) {
        self.0.store(false, Relaxed);
    }
}

/// Opens a section, and returns when it has ended. ENODEV if the gate is shut.
pub(crate) fn linger(device: &Device) -> Result {
    let _section = device.gate.section()?;
    let began = Clock::start();
    device.linger.0.store(true, Relaxed);
    while device.linger.is_on() && began.elapsed_us() < LONGEST_US {
        fsleep(LOOK_EVERY);
    }
    device.linger.end();
    Ok(())
}
