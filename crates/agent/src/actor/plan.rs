//! Plan of a step: the exact operations in their order. A plan is data: `simulate` prints it, and the executor carries
//! out this list and nothing else.

use std::fmt;
use std::time::Duration;

use lifeboat_recovery_policy::policy::StepKind;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::hook::Program;
use crate::address::Address;

/// Longest time that a function may take to be ready after a reset (`PCI_RESET_WAIT` of the kernel), for each method.
pub(super) const RESET: Duration = Duration::from_mins(1);
/// Time that any other write is given. Drivers with firmware to load or queues to drain take several seconds.
const WRITE: Duration = Duration::from_secs(30);

/// Operation of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Write a text to a file of sysfs, by one `write`.
    Write {
        /// Path below `/sys`.
        path: String,
        /// Text to write.
        text: String,
        /// Conditions, any of which makes the write needless.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unless: Vec<Condition>,
    },
    /// Wait until a condition holds.
    Wait {
        /// The condition.
        until: Condition,
        /// Longest time to wait.
        limit: Duration,
    },
    /// Run a program of the vendor or of the operator.
    Run(Program),
}

/// Plan of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Kind of the step.
    pub step: StepKind,
    /// Device that the step is for.
    pub device: Address,
    /// Every function that the plan touches, the device among them, in ascending order.
    pub functions: Vec<Address>,
    /// Bridge below which functions may vanish and appear, if any do.
    pub realm: Option<Address>,
    /// Operations of the step. After the first one that fails, the rest are left out.
    pub operations: Vec<Operation>,
    /// Operations that put things back. They follow in any case, and each of them whatever became of the others.
    pub restores: Vec<Operation>,
    /// Settings as they were, read at the end: the result names each one that does not hold.
    pub settings: Vec<Condition>,
    /// Dangers that an operator should know of.
    pub cautions: Vec<String>,
}

impl Operation {
    /// Returns the longest time that the operation takes if the kernel does not hang.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Write { path, .. } if path.ends_with("/reset") || path.ends_with("/reset_subordinate") => RESET,
            Self::Write { .. } => WRITE,
            Self::Wait { limit, .. } => *limit,
            Self::Run(program) => program.patience(),
        }
    }
}

impl Plan {
    /// Returns all operations in their order: those of the step, and those that put things back.
    pub fn all(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().chain(&self.restores)
    }

    /// Returns the longest time that the plan takes if the kernel does not hang. A deadline below it would report
    /// a step as stuck that is merely slow.
    pub fn patience(&self) -> Duration {
        self.all().map(Operation::patience).sum()
    }

    /// Tells whether a program of others runs as part of the plan.
    pub fn runs_program(&self) -> bool {
        self.all().any(|operation| matches!(operation, Operation::Run(_)))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, text, unless } => {
                write!(f, "write {text:?} to /sys/{path}")?;
                for (index, condition) in unless.iter().enumerate() {
                    write!(f, "{} {condition}", if index == 0 { ", unless" } else { " or" })?;
                }
                Ok(())
            }
            Self::Wait { until, limit } => write!(f, "wait at most {} s until {until}", limit.as_secs_f32()),
            Self::Run(program) => write!(f, "{program}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {}", self.step.name(), self.device)?;
        let mut number = 0;
        let mut list = |f: &mut fmt::Formatter<'_>, operations: &[Operation]| {
            operations.iter().try_for_each(|operation| {
                number += 1;
                writeln!(f, "{number:4}. {operation}")
            })
        };
        list(f, &self.operations)?;
        if !self.restores.is_empty() {
            writeln!(f, "  then, whatever became of these:")?;
            list(f, &self.restores)?;
        }
        if !self.settings.is_empty() {
            writeln!(f, "  and report which of these do not hold:")?;
            self.settings.iter().try_for_each(|setting| writeln!(f, "      {setting}"))?;
        }
        self.cautions.iter().try_for_each(|caution| writeln!(f, "  caution: {caution}"))
    }
}
