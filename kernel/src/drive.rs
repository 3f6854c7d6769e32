// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Drives a driver's sequences: each step in a section of its own, and the waiting outside of them.

use kernel::{
    alloc::AllocError,
    prelude::*,
    time::{delay::fsleep, Delta},
};
use lifeboat_driver::{DriverError, Duty, Pace, Sequence, Turn};
use lifeboat_pci::BusError;

use crate::clock::{nanoseconds, Clock};
use crate::errno::errno;
use crate::link::Link;

/// Why a sequence, or all of a probe, was not carried through.
pub(crate) enum Stopped {
    /// By the driver or its device.
    Driver(DriverError),
    /// By the kernel, which refused what the sequence needs.
    Kernel(Error),
}

impl Stopped {
    /// The error that probe returns for it.
    pub(crate) fn errno(&self) -> Error {
        match self {
            Self::Driver(error) => errno(*error),
            Self::Kernel(error) => *error,
        }
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<AllocError> for Stopped {
    fn from(error: AllocError) -> Self {
        Self::Kernel(error.into())
    }
}

impl From<DriverError> for Stopped {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

/// Carries a sequence through; `duty` does what the sequence asks of the shell. Ends early if the
/// device is gone; and with [`CUT_SHORT`] before its next step once the end of the binding
/// [begins](Link::begin_end), so that an unplug waits for one step and one pause, and not for
/// hardware that may never answer.
pub(crate) fn drive<T, E: From<DriverError>>(
    link: &Link,
    sequence: impl Sequence<Output = T>,
    duty: impl FnMut(Duty) -> Result<(), E>,
) -> Result<T, E> {
    carry(link, sequence, duty, || link.is_ending())
}

/// As [`drive`], for the end of the binding itself, and for sequences that ask for nothing.
pub(crate) fn drive_at_the_end<T>(link: &Link, sequence: impl Sequence<Output = T>) -> Result<T, DriverError> {
    carry(link, sequence, |_| Ok(()), || false)
}

/// Error of a sequence that the end of the binding cut short: as of one that finds the registers
/// cut off.
pub(crate) const CUT_SHORT: DriverError = DriverError::Bus(BusError::Unmapped);

fn carry<T, E: From<DriverError>>(
    link: &Link,
    mut sequence: impl Sequence<Output = T>,
    mut duty: impl FnMut(Duty) -> Result<(), E>,
    is_over: impl Fn() -> bool,
) -> Result<T, E> {
    let clock = Clock::start();
    let mut pace = Pace::new();
    loop {
        if is_over() {
            return Err(CUT_SHORT.into());
        }
        pace.begin(clock.now());
        let step = link.io(|io| sequence.step(io))?;
        match pace.end(step, clock.now()) {
            Turn::Step => {}
            Turn::Pause(pause) => fsleep(Delta::from_nanos(i64::try_from(nanoseconds(pause)).unwrap_or(i64::MAX))),
            Turn::Do(asked) => duty(asked)?,
            Turn::Done(output) => return Ok(output),
            Turn::Overdue => return Err(sequence.overdue().into()),
        }
    }
}
