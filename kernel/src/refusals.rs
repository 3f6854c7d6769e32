// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Refuses to start jobs, as a driver does whose device lacks something that a job asks for, or answers wrongly. By a file in
//! debugfs, to prove what becomes of such jobs (SCHED-10): no program can have the driver refuse one.

use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Full, Relaxed},
};
use lifeboat_driver::DriverError;

/// The jobs that are refused next.
pub(crate) struct Refusals {
    /// Jobs that are refused for a reason of their own.
    jobs: Atomic<u32>,
    /// Whether the next job meets an error of the device.
    device: Atomic<bool>,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        Self { jobs: Atomic::new(0), device: Atomic::new(false) }
    }

    /// Sets what is refused: a number of jobs, or `device`. EINVAL for anything else.
    pub(crate) fn set(&self, text: &[u8]) -> Result {
        if text == b"device" {
            self.device.store(true, Relaxed);
            return Ok(());
        }
        let jobs = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(EINVAL)?;
        self.jobs.store(jobs, Relaxed);
        Ok(())
    }

    /// The driver's answer to the next job, instead of starting it.
    pub(crate) fn next(&self) -> Option<DriverError> {
        if self.device.xchg(false, Full) {
            return Some(DriverError::NotAlive);
        }
        let left = self.jobs.load(Relaxed);
        // The worker alone comes here, so nobody else takes one.
        (left > 0 && self.jobs.cmpxchg(left, left - 1, Full).is_ok()).then_some(DriverError::NoSuchThing)
    }
}
