//! Records: everything about a device that must survive a restart of the daemon.
//!
//! A record is durable before the action that follows it is carried out. The [`Memory`](crate::memory::Memory) of a device is the
//! sum of its records, so a restarted daemon knows what the last one knew.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::StepKind;
use crate::sign::{Advice, Sign};
use crate::survey::{Health, Protection};
use crate::time::Timestamp;

/// Name of a device that stays the same when its nodes and its index change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(pub String);

/// Outcome of a step, as whoever carried it out reports it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every write of the step was accepted.
    Succeeded,
    /// A write of the step was answered with an error.
    Failed(String),
    /// Nothing was written, and why.
    Refused(String),
    /// Nothing was written, because the daemon was ended or could not keep a record before. The try does not count.
    Undone(String),
    /// Nobody knows how far the step came.
    Ambiguous(String),
}

impl Outcome {
    /// Returns the reason; empty for a step that succeeded.
    pub fn reason(&self) -> &str {
        match self {
            Self::Succeeded => "",
            Self::Failed(why) | Self::Refused(why) | Self::Undone(why) | Self::Ambiguous(why) => why,
        }
    }
}

/// Reason to leave a device alone until it works again or an operator clears it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// The daemon only observes. The step would have been next.
    Observing(StepKind),
    /// The recoveries of the budget are used up.
    Quarantined,
    /// No step of the ladder helped.
    Exhausted,
    /// No step of the ladder fits the signs, and nothing is guessed.
    NoStep(Advice),
    /// The device, or another one that the step affects, has duties.
    Protected(Vec<Protection>),
    /// Other devices that the step affects are in use.
    DomainInUse(Vec<String>),
    /// Nobody can tell which devices the step affects, or who holds the device, or how it is.
    Unreadable(String),
    /// Holders stayed that must not be ended.
    HeldBy(Vec<String>),
    /// No operator approved the step in time.
    NotApproved(StepKind),
    /// A write of the step does not return.
    Stuck(StepKind),
}

/// End of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The device worked again before any step.
    Healed,
    /// The device works again after a step.
    Recovered,
    /// The device was left alone.
    Left(Left),
    /// An operator has cleared the device.
    Cleared,
}

/// Reason to stop all recoveries of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trip {
    /// More devices than the policy allows needed a recovery within its time.
    Devices,
    /// A write to the device of the record does not return: it may hold locks that other recoveries need.
    Stuck,
}

/// Record about a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// An incident begins with a sign. Incidents of a device are numbered from 1.
    Opened {
        /// Number of the incident.
        incident: u64,
        /// Sign that counted.
        sign: Sign,
    },
    /// A later sign of the incident advises something else.
    Advised(Advice),
    /// Evidence has been saved, or could not be and why.
    Evidence {
        /// Reason for which nothing was saved, if so.
        missing: Option<String>,
    },
    /// A step is about to be carried out.
    Intended {
        /// Number of the flight; flights of a device are numbered from 1.
        flight: u64,
        /// Index of the step in the ladder.
        step: usize,
        /// Kind of the step.
        kind: StepKind,
        /// Number of the try, from 1.
        attempt: u32,
        /// Time that the step may take.
        deadline: Duration,
    },
    /// The step has ended.
    Ended {
        /// Number of the flight.
        flight: u64,
        /// Outcome of the step.
        outcome: Outcome,
    },
    /// A step cannot be carried out on this machine, and why.
    Skipped {
        /// Index of the step in the ladder.
        step: usize,
        /// Reason.
        why: String,
    },
    /// The device was verified.
    Verified(Health),
    /// The incident has ended.
    Closed(End),
    /// An operator forbids all steps.
    Held {
        /// Name of the operator.
        by: String,
    },
    /// An operator permits steps again.
    Released {
        /// Name of the operator.
        by: String,
    },
    /// An operator has cleared the device: its marks and its budget.
    Cleared {
        /// Name of the operator.
        by: String,
    },
    /// An operator has approved the step of the open incident.
    Approved {
        /// Name of the operator.
        by: String,
        /// Index of the step in the ladder.
        step: usize,
    },
    /// The breaker of the machine has tripped.
    Tripped(Trip),
    /// An operator has closed the breaker again.
    Reset {
        /// Name of the operator.
        by: String,
    },
}

/// Entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Time of the record.
    pub at: Timestamp,
    /// Device of the record; `None` for records about the machine alone.
    pub device: Option<DeviceId>,
    /// The record.
    pub record: Record,
}
