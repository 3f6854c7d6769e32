//! Stages of a device: the answer of the shell that is awaited, or the reason to wait.

use serde::{Deserialize, Serialize};

use crate::event::Ticket;
use crate::time::Timestamp;

/// Reason to wait before the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The machine has booted a short time ago.
    BootGrace,
    /// The kernel recovers the device by itself.
    KernelRecovers,
    /// An operator forbids all steps.
    Held,
    /// The last recovery was a short time ago.
    Backoff,
    /// An operator must approve the step.
    Approval,
    /// The journal takes no records: nothing is done that could not be remembered.
    Journal,
    /// The breaker of the machine has tripped.
    Breaker,
    /// Another device is being recovered.
    Turn,
    /// The lock of the fleet was refused.
    FleetLock,
    /// Holders were asked to leave.
    Holders,
    /// The device or its surroundings could not be read.
    Unreadable,
}

/// Stage of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// There is no incident.
    #[default]
    Fine,
    /// The shell has not begun yet, or looks for the process of a flight.
    Resuming,
    /// Evidence is being saved.
    Evidence {
        /// Number of the question.
        ticket: Ticket,
        /// Time at which the incident goes on without it.
        until: Timestamp,
    },
    /// The next step must wait.
    Waiting {
        /// Reason.
        why: Wait,
        /// Time at which the reason is over or judged again, if time alone ends it.
        until: Option<Timestamp>,
        /// Time of the next look whether the device works again.
        look: Timestamp,
    },
    /// The lock of the fleet is being taken.
    Locking {
        /// Number of the question.
        ticket: Ticket,
        /// Time at which the request counts as refused.
        until: Timestamp,
    },
    /// The device is being surveyed for its next step.
    Surveying {
        /// Number of the question.
        ticket: Ticket,
        /// Index of the step in the ladder.
        step: usize,
        /// Time at which the device counts as unreadable.
        until: Timestamp,
    },
    /// A step is being carried out.
    Stepping {
        /// Time at which the step is reported as stuck.
        until: Timestamp,
    },
    /// The device is being verified.
    Verifying {
        /// Number of the question.
        ticket: Ticket,
        /// Time at which the device counts as unreadable.
        until: Timestamp,
        /// Whether the device has worked for the time that the policy asks for.
        last: bool,
    },
    /// The device works again, and must go on working.
    Proving {
        /// Time of the last verification.
        until: Timestamp,
    },
    /// The incident has ended, and the device was left alone.
    Left {
        /// Time of the next look whether the device works again.
        look: Timestamp,
    },
}

impl Stage {
    /// Returns the time at which the shell must report [`Event::Tick`](crate::event::Event::Tick), if nothing happens before.
    pub fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Fine | Self::Resuming => None,
            Self::Waiting { until, look, .. } => Some(until.map_or(look, |until| until.min(look))),
            Self::Evidence { until, .. }
            | Self::Locking { until, .. }
            | Self::Surveying { until, .. }
            | Self::Stepping { until }
            | Self::Verifying { until, .. }
            | Self::Proving { until } => Some(until),
            Self::Left { look } => Some(look),
        }
    }
}
