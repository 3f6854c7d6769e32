//! Drives a driver's [`Sequence`]s: makes each step in a section of its own, and waits outside of
//! them.

use std::time::Instant;

use lifeboat_core::Timestamp;
use lifeboat_driver::{DriverError, Duty, Pace, Sequence, Turn};
use lifeboat_sync::lint;

use crate::link::Sections;

/// Carries a sequence through; `duty` does what it asks of the shell. Ends early if the device is
/// gone (GATE-9). Its sections are known by the place of the call.
///
/// # Errors
/// Those of the sequence and of `duty`.
#[track_caller]
pub(crate) fn drive<T, E: From<DriverError>>(
    link: &impl Sections,
    mut sequence: impl Sequence<Output = T>,
    duty: impl FnMut(Duty) -> Result<(), E>,
) -> Result<T, E> {
    lint::might_block("waiting for a device");
    let result = steps(link, &mut sequence, duty);
    // The drop is code of the driver, too. If it fails, the link has told the bus side.
    let _ = link.code(|| drop(sequence));
    result
}

#[track_caller]
fn steps<T, E: From<DriverError>>(
    link: &impl Sections,
    sequence: &mut impl Sequence<Output = T>,
    mut duty: impl FnMut(Duty) -> Result<(), E>,
) -> Result<T, E> {
    let began = Instant::now();
    let now = || Timestamp::new(began.elapsed());
    let mut pace = Pace::new();
    loop {
        pace.begin(now());
        let step = link.io(|io| sequence.step(io))?;
        match pace.end(step, now()) {
            Turn::Step => {}
            Turn::Pause(pause) => std::thread::sleep(pause),
            Turn::Do(asked) => duty(asked)?,
            Turn::Done(output) => return Ok(output),
            // In a section, where a panic of the driver is contained and reported.
            Turn::Overdue => return Ok(link.io(|_| Err(sequence.overdue()))?),
        }
    }
}

/// The duties of a sequence that has none, or none that this shell has anything to do for.
#[allow(clippy::unnecessary_wraps)] // it stands where duties may fail
pub(crate) fn nothing(_: Duty) -> Result<(), DriverError> {
    Ok(())
}
