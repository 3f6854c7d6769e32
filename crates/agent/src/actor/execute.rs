//! Execution of a plan: its operations in their order, by hands that are given.
//!
//! The hands are the machine ([`Machine`](super::machine::Machine)), or a recorder that writes nothing
//! ([`Recorder`](super::record::Recorder)). The executor does not know which.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::hook::Program;
use super::outcome::{Ending, Outcome};
use super::plan::{Operation, Plan};

/// Hands that carry operations out.
pub trait Hands {
    /// Writes the text to the file at `path` below `/sys`, by one `write`.
    ///
    /// # Errors
    /// Errors of the system.
    fn write(&mut self, path: &str, text: &str) -> std::io::Result<()>;

    /// Waits until the condition holds, `limit` at most, and tells whether it does.
    fn wait(&mut self, until: &Condition, limit: Duration) -> bool;

    /// Tells whether any of the conditions holds, so that a write is needless.
    fn is_needless(&mut self, unless: &[Condition]) -> bool;

    /// Tells whether the condition holds now.
    fn holds(&mut self, condition: &Condition) -> bool;

    /// Returns in words how it is instead of the condition.
    fn found(&mut self, condition: &Condition) -> String;

    /// Runs a program.
    fn run(&mut self, program: &Program) -> Outcome;
}

/// Progress of an execution. Operations are numbered from 0, those that put things back after those of the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// An operation begins.
    Begins(usize),
    /// An operation was needless.
    Needless(usize),
    /// An operation did what it was to do.
    Done(usize),
    /// An operation failed.
    Failed {
        /// Number of the operation.
        operation: usize,
        /// Error number of the system, if the system gave one.
        errno: Option<i32>,
        /// Error in words.
        error: String,
    },
    /// The plan has ended.
    Ended(Ending),
}

/// Error that stops a plan before its first operation: nobody would learn what it did.
#[derive(Debug, thiserror::Error)]
#[error("the progress cannot be reported: {0}")]
pub struct Unheard(pub std::io::Error);

/// Carries a plan out and reports its progress.
///
/// A report is made before each operation begins. If the very first one cannot be made, nothing is done. Later ones that
/// fail change nothing: a plan that was begun is carried through, because a device without its driver is worse than
/// a report that nobody reads.
///
/// # Errors
/// [`Unheard`]: nothing was done.
pub fn execute(
    plan: &Plan,
    hands: &mut dyn Hands,
    report: &mut dyn FnMut(&Progress) -> std::io::Result<()>,
) -> Result<Ending, Unheard> {
    report(&Progress::Begins(0)).map_err(Unheard)?;
    let mut tell = |progress: Progress| {
        let _ = report(&progress);
    };
    let mut failure = None;
    let mut changed = false;
    for (number, operation) in plan.operations.iter().enumerate() {
        if number > 0 {
            tell(Progress::Begins(number));
        }
        match carry_out(operation, hands) {
            Ok(done) => {
                changed |= done;
                tell(if done { Progress::Done(number) } else { Progress::Needless(number) });
            }
            Err(Failure { outcome, errno }) => {
                let outcome = match outcome {
                    Outcome::Failed(error) if !changed && matches!(operation, Operation::Write { .. }) => {
                        Outcome::Refused(error)
                    }
                    other => other,
                };
                tell(Progress::Failed { operation: number, errno, error: outcome.reason().to_owned() });
                failure = Some(outcome);
                break;
            }
        }
    }
    let mut errors = Vec::new();
    for (number, operation) in (plan.operations.len()..).zip(&plan.restores) {
        tell(Progress::Begins(number));
        match carry_out(operation, hands) {
            Ok(true) => tell(Progress::Done(number)),
            Ok(false) => tell(Progress::Needless(number)),
            Err(Failure { outcome, errno }) => {
                let error = outcome.reason().to_owned();
                tell(Progress::Failed { operation: number, errno, error: error.clone() });
                errors.push((operation, error));
            }
        }
    }
    let ending = judge(plan, hands, failure, &errors);
    tell(Progress::Ended(ending.clone()));
    Ok(ending)
}

/// Reads every setting back. A device whose own driver is not bound as it was is no success.
fn judge(plan: &Plan, hands: &mut dyn Hands, failure: Option<Outcome>, errors: &[(&Operation, String)]) -> Ending {
    let mut unrestored = Vec::new();
    let mut essential = None;
    for setting in plan.settings.iter().filter(|&setting| !hands.holds(setting)).collect::<Vec<_>>() {
        let why = errors.iter().find(|(operation, _)| restores(operation, setting)).map(|(_, error)| error.as_str());
        let mut text = format!("{} {}; expected: {setting}", name(setting), hands.found(setting));
        if let Some(why) = why {
            text = format!("{text} ({why})");
        }
        if matches!(setting, Condition::Driver { function, .. } if *function == plan.device) {
            essential = Some(text.clone());
        }
        unrestored.push(text);
    }
    let outcome = match (failure, essential) {
        (Some(failure), _) => failure,
        (None, Some(text)) => Outcome::Failed(text),
        (None, None) => Outcome::Succeeded,
    };
    Ending { outcome, unrestored }
}

/// Tells whether the operation is the write that puts the setting back.
fn restores(operation: &Operation, setting: &Condition) -> bool {
    matches!(operation, Operation::Write { unless, path, .. }
        if unless.contains(setting) && !path.ends_with("/driver/unbind"))
}

fn name(setting: &Condition) -> String {
    let function = setting.function();
    match setting {
        Condition::Present(_) | Condition::Gone(_) => function.to_string(),
        Condition::Driver { .. } => format!("driver of {function}"),
        Condition::Override { .. } => format!("driver_override of {function}"),
        Condition::Setting { file, .. } => format!("{file} of {function}"),
    }
}

/// Operation that failed.
struct Failure {
    outcome: Outcome,
    errno: Option<i32>,
}

/// Carries one operation out, and tells whether there was anything to do.
fn carry_out(operation: &Operation, hands: &mut dyn Hands) -> Result<bool, Failure> {
    match operation {
        Operation::Write { path, text, unless } => {
            if hands.is_needless(unless) {
                return Ok(false);
            }
            hands.write(path, text).map(|()| true).map_err(|error| Failure {
                outcome: Outcome::Failed(format!("write {text:?} to /sys/{path}: {error}")),
                errno: error.raw_os_error(),
            })
        }
        Operation::Wait { until, limit } => {
            if hands.wait(until, *limit) {
                return Ok(true);
            }
            let found = hands.found(until);
            let outcome =
                Outcome::Failed(format!("{} {found} after {} s; expected: {until}", name(until), limit.as_secs_f32()));
            Err(Failure { outcome, errno: None })
        }
        Operation::Run(program) => match hands.run(program) {
            Outcome::Succeeded => Ok(true),
            outcome => Err(Failure { outcome, errno: None }),
        },
    }
}
