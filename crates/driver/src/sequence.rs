//! Procedures that wait for hardware, as steps that a shell drives.
//!
//! A driver never waits. A procedure that has to (bring-up, resets, shutdown) is a [`Sequence`]:
//! each step is a few accesses to registers in one section, and says what is to come before the
//! next. Everything else is the shell's: it opens the sections, waits between them, carries out the
//! [duties](Duty) that only it can, and stops when the device is gone. So a process and a kernel
//! run the same procedure, and no section is longer than a step.
//!
//! How long is waited is [`Pace`]'s to say, the same for all shells.

use core::time::Duration;

use lifeboat_core::polling::Polling;
use lifeboat_core::Timestamp;

use crate::{DriverError, Io};

/// A procedure in steps.
///
/// After an error, or after [`Step::Done`], no step is made any more.
pub trait Sequence {
    /// Result of the whole procedure.
    type Output;

    /// Makes the next step. Must not block or wait.
    ///
    /// # Errors
    /// Each [`DriverError`]: the procedure has failed.
    fn step(&mut self, io: &Io<'_>) -> Result<Step<Self::Output>, DriverError>;

    /// The error that the procedure ends with if the hardware has not answered within the limit of
    /// its last [`Step::Again`].
    fn overdue(&self) -> DriverError;
}

/// What comes after a step. Exhaustive on purpose, as [`Turn`]: a shell must carry out each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<T> {
    /// The next step, at once and in a section of its own.
    Next,
    /// The same step again, after a pause: the hardware takes time. Steps that say this in a row
    /// belong to one wait.
    Again {
        /// The pause.
        after: Duration,
        /// Limit of the wait as a whole, from its first step on. After it one more step is made.
        within: Duration,
    },
    /// The next step, after the shell has done something.
    First(Duty),
    /// Nothing. The procedure has succeeded.
    Done(T),
}

/// What only a shell can do, at a moment that only the driver knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duty {
    /// Let the device start transfers: bus mastering on. Asked in bring-up, when whatever ran on
    /// the device before has been stopped.
    BusMaster,
    /// Connect the interrupt handlers. Asked in bring-up, before the driver unmasks interrupts.
    Interrupts,
    /// Give back to the device what users have set up, such as address tables and what is
    /// displayed. Asked when the device has been reset and works again, before its rings do; in
    /// bring-up, too, when there may be nothing yet.
    Restore,
}

/// What a shell does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn<T> {
    /// Makes the next step.
    Step,
    /// Pauses, and makes the next step.
    Pause(Duration),
    /// Does that, and makes the next step.
    Do(Duty),
    /// Ends; the procedure has succeeded.
    Done(T),
    /// Ends with [`Sequence::overdue`].
    Overdue,
}

/// Steps that a sequence may make, repeated ones not counted: hundreds of times as many as any has. A sequence
/// that makes more never ends (DRV-3).
const MOST_STEPS: u32 = 100_000;
/// Time that a sequence may take, whatever limits it asks for. The longest that the devices we know
/// may take for a step is two minutes (the field `CAP.TO` of NVM Express).
const MOST_TIME: Duration = Duration::from_secs(600);

/// How a sequence gets on: decides when a wait is over.
///
/// A limit is [`Polling`]'s: it does not depend on how busy the machine is, and a last step is made
/// after it (HEALTH-5).
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The wait that goes on.
    wait: Option<Polling>,
    /// When the sequence has begun; before its first step, `None`.
    first: Option<Timestamp>,
    /// When the step that goes on has begun.
    began: Timestamp,
    /// Whether that is the last one of its wait.
    last: bool,
    steps: u32,
}

impl Pace {
    /// The pace of a sequence that begins.
    #[must_use]
    pub const fn new() -> Self {
        Self { wait: None, first: None, began: Timestamp::new(Duration::ZERO), last: false, steps: 0 }
    }

    /// A step begins at `now`.
    pub fn begin(&mut self, now: Timestamp) {
        self.began = now;
        self.first.get_or_insert(now);
        self.last = self.wait.as_mut().is_some_and(|wait| wait.begin_look(now));
    }

    /// The step has ended at `now`. Says what comes next.
    pub fn end<T>(&mut self, step: Step<T>, now: Timestamp) -> Turn<T> {
        let Step::Again { after, within } = step else {
            self.wait = None;
            return match step {
                Step::Done(output) => Turn::Done(output),
                _ if self.counts() > MOST_STEPS || self.has_taken(now) >= MOST_TIME => Turn::Overdue,
                Step::First(duty) => Turn::Do(duty),
                Step::Next | Step::Again { .. } => Turn::Step,
            };
        };
        let left = MOST_TIME.saturating_sub(self.has_taken(now));
        if self.last || left.is_zero() {
            return Turn::Overdue;
        }
        let began = self.began;
        self.wait.get_or_insert_with(|| Polling::new(within, after, began)).look_done(now);
        Turn::Pause(after.min(within).min(left))
    }

    fn has_taken(&self, now: Timestamp) -> Duration {
        let first = self.first.unwrap_or(now);
        now.since_beginning().saturating_sub(first.since_beginning())
    }

    fn counts(&mut self) -> u32 {
        self.steps = self.steps.saturating_add(1);
        self.steps
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const AGAIN: Step<u8> = Step::Again { after: MS, within: Duration::from_millis(10) };

    /// Drives what `step` says, with steps that take no time; gives how it ended, the steps, and
    /// the time.
    fn drive(mut step: impl FnMut(u32) -> Step<u8>) -> (Turn<u8>, u32, Duration) {
        let (mut pace, mut now) = (Pace::new(), Timestamp::new(Duration::from_secs(7)));
        let began = now;
        for number in 0.. {
            pace.begin(now);
            match pace.end(step(number), now) {
                Turn::Step | Turn::Do(_) => {}
                Turn::Pause(pause) => now = now.plus(pause),
                end => return (end, number + 1, now.since_beginning().saturating_sub(began.since_beginning())),
            }
        }
        unreachable!()
    }

    #[test]
    fn drv_1_a_wait_ends_after_its_limit_and_one_more_step() {
        assert_eq!(drive(|_| AGAIN), (Turn::Overdue, 11, 10 * MS));
        // Also when the last step finds what was waited for.
        assert_eq!(drive(|step| if step < 10 { AGAIN } else { Step::Done(5) }), (Turn::Done(5), 11, 10 * MS));
    }

    #[test]
    fn drv_1_each_wait_has_its_own_limit() {
        let (end, steps, took) = drive(|step| match step {
            0..=8 | 10..=18 => AGAIN,
            9 => Step::Next,
            19 => Step::First(Duty::BusMaster),
            _ => Step::Done(1),
        });
        assert_eq!((end, steps, took), (Turn::Done(1), 21, 18 * MS));
    }

    #[test]
    fn a_sequence_that_only_makes_steps_ends() {
        let (end, steps, _) = drive(|_| Step::Next);
        assert_eq!((end, steps), (Turn::Overdue, MOST_STEPS + 1));
    }

    #[test]
    fn a_sequence_that_waits_for_ever_ends() {
        let (after, within) = (Duration::from_secs(1), Duration::MAX);
        let (end, _, took) = drive(|_| Step::Again { after, within });
        assert_eq!((end, took), (Turn::Overdue, MOST_TIME));
        // Also one wait after the other.
        let (end, _, took) =
            drive(|step| if step % 2 == 0 { Step::Again { after, within: 2 * after } } else { Step::Next });
        assert_eq!((end, took), (Turn::Overdue, MOST_TIME));
    }
}
