//! What every client needs: calls that are held to their class, and waits that are held to their outcome.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::{CallError, Fence, Outcome, ResetStatus, WaitError};

use crate::torture::activity::Activity;
use crate::torture::round::{Round, Stage, Standing};
use crate::torture::tortured::{Blamed as _, Tortured};
use crate::torture::verdict::{Verdict, judge};

/// Longer than anything lasts: the watchdog finds what does not end.
const FOREVER: Duration = Duration::from_hours(24);
/// How often something is looked at that tells nobody.
const POLL: Duration = Duration::from_micros(200);
/// Steps that a client makes in a cycle without a break.
const STEPS: u64 = 24;
/// The breaks after them: so that who waits for the device to come back finds a processor.
const BREAK: Duration = Duration::from_micros(500);

/// A client's place in a cycle.
pub struct Desk<'a, S: Tortured> {
    pub(crate) round: &'a Round<S>,
    /// Whose client it is.
    pub(crate) seat: usize,
    stage: &'a Stage<S>,
    activity: &'a Activity,
    steps: Cell<u64>,
}

/// What a fence may end with besides success and loss.
pub(crate) struct Work<'a, C> {
    /// Whose resets it may suffer from.
    pub(crate) context: Option<&'a C>,
    /// Whether it waits for others, which may fail.
    pub(crate) depends: bool,
}

impl<C> Default for Work<'_, C> {
    fn default() -> Self {
        Self { context: None, depends: false }
    }
}

impl<'a, S: Tortured> Desk<'a, S> {
    pub(super) fn new(round: &'a Round<S>, seat: usize, stage: &'a Stage<S>, activity: &'a Activity) -> Self {
        Self { round, seat, stage, activity, steps: Cell::new(0) }
    }

    pub(crate) fn device(&self) -> &'a S::Device {
        &self.round.devices[self.seat]
    }

    /// The same client, at the other device.
    pub(crate) fn neighbour(&self) -> Self {
        Self { seat: 1 - self.seat, steps: Cell::new(0), round: self.round, stage: self.stage, activity: self.activity }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.round.standing(self.seat)
    }

    /// How many steps it has made.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Whether to go on: the cycle is not over.
    pub(crate) fn goes_on(&self) -> bool {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        self.round.step();
        if steps > STEPS {
            thread::sleep(BREAK);
        }
        !self.round.is_over()
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        self.stage.wrong(format!("at device {}: {what}", S::minor(self.device())));
    }

    pub(crate) fn does(&self, what: &'static str) {
        self.activity.does(what);
    }

    /// Makes a call of this name, and judges its answer.
    pub(crate) fn call<T>(&self, name: &'static str, make: impl FnOnce() -> Result<T, CallError>) -> Option<T> {
        self.call_of(name, None, make)
    }

    /// The same, of a context that may be banned.
    pub(crate) fn call_of<T>(
        &self,
        name: &'static str,
        context: Option<&S::Context>,
        make: impl FnOnce() -> Result<T, CallError>,
    ) -> Option<T> {
        let before = self.standing();
        self.activity.does(name);
        let answer = make();
        self.judge(name, before, answer.as_ref().map(drop).map_err(|error| *error), context);
        self.activity.does("goes on");
        answer.ok()
    }

    /// Judges an answer.
    pub(crate) fn judge(
        &self,
        name: &'static str,
        before: Standing,
        answer: Result<(), CallError>,
        context: Option<&S::Context>,
    ) {
        let right = match judge(S::CALLS, name, before, answer) {
            Verdict::Right => true,
            Verdict::Wrong => false,
            Verdict::IfBanned => context.is_some_and(|context| context.reset_stats().banned),
            Verdict::IfLost => {
                self.expect_loss(name);
                true
            }
        };
        if !right {
            let text = answer.map_or_else(|error| format!("{error} ({})", error.errno()), |()| "success".to_owned());
            self.wrong(format!("{name} answered: {text}; before the call the device was {before:?}"));
        }
    }

    /// Somebody has said that the device is lost: then it must become known. The watchdog finds out if not.
    fn expect_loss(&self, whose: &'static str) {
        while S::is_live(self.device()) {
            self.activity.does(whose);
            self.wait_for_loss();
        }
    }

    fn wait_for_loss(&self) {
        self.activity.does("waits for the loss that it was told of to be announced");
        while S::is_live(self.device()) {
            thread::sleep(POLL);
        }
    }

    /// Waits for a fence, however long it takes.
    pub(crate) fn wait(&self, fence: &Fence) -> Outcome {
        self.activity.waits_for("waits for", fence);
        let waited = fence.wait(FOREVER);
        self.activity.does("goes on");
        match waited {
            Ok(()) => Ok(()),
            Err(WaitError::Failed(error)) => Err(error),
            Err(WaitError::TimedOut) => {
                self.wrong(format!("{fence:?} has never signalled"));
                Err(FenceError::Canceled)
            }
        }
    }

    /// Waits for a fence of this device, and judges how it ended.
    pub(crate) fn settle(&self, fence: &Fence, work: Work<'_, S::Context>) -> Outcome {
        let outcome = self.wait(fence);
        self.judge_outcome(fence, outcome, work);
        outcome
    }

    pub(crate) fn judge_outcome(
        &self,
        fence: &Fence,
        outcome: Outcome,
        Work { context, depends }: Work<'_, S::Context>,
    ) {
        let stats = context.map(S::Context::reset_stats);
        let right = match outcome {
            Ok(()) => true,
            Err(FenceError::Lost) => {
                self.expect_loss("has a fence that says ENODEV");
                // Its context can be asked whose fault that was, also if nobody knows.
                stats.is_none_or(|stats| stats.status != ResetStatus::None)
            }
            Err(FenceError::Guilty) => stats.is_some_and(|stats| stats.guilty > 0),
            Err(FenceError::Innocent) => stats.is_some_and(|stats| stats.innocent > 0),
            Err(FenceError::Canceled) => depends || stats.is_some_and(|stats| stats.banned),
            // No job ends so.
            Err(FenceError::TimedOut) => context.is_none() && S::may_time_out(self.round.kind),
        };
        if !right {
            self.wrong(format!(
                "{fence:?} has ended wrongly; its context has {stats:?}, and it waits for others: {depends}"
            ));
        }
        if fence.status() != Some(outcome) {
            self.wrong(format!("{fence:?} has changed its mind; it was {outcome:?}"));
        }
    }
}
