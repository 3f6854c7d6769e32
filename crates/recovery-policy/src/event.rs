//! Events that a device is told of, and actions that it asks for.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::memory::Flight;
use crate::policy::{HostPolicy, Policy};
use crate::record::{Outcome, Record, Trip};
use crate::sign::Sign;
use crate::stage::Wait;
use crate::survey::{Health, Holder, Survey};
use crate::time::Timestamp;

/// Number of a question to the shell. An answer carries the number of its question; the answer to an older question
/// changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// Event of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// A sensor has seen a sign.
    Sign(Sign),
    /// Something about the device has changed: a driver was bound, a node appeared, events were lost.
    Changed,
    /// Time has passed, or something that others hold up may be free.
    Tick,
    /// The shell has replayed the journal and begins.
    Resumed,
    /// Answer to [`Action::FindChild`]: whether the process that carries the flight out still runs.
    Child {
        /// Number of the flight.
        flight: u64,
        /// Whether the process runs.
        runs: bool,
    },
    /// Answer to [`Action::SaveEvidence`].
    EvidenceSaved {
        /// Number of the question.
        ticket: Ticket,
        /// Reason for which nothing was saved, if so.
        missing: Option<String>,
    },
    /// Answer to [`Action::Lock`]: whether the fleet's lock is owned.
    Locked {
        /// Number of the question.
        ticket: Ticket,
        /// Whether the lock is owned.
        owned: bool,
    },
    /// Answer to [`Action::Survey`].
    Surveyed {
        /// Number of the question.
        ticket: Ticket,
        /// The survey.
        survey: Survey,
    },
    /// The holders that were pressed to leave have left.
    HoldersLeft,
    /// A step has ended, however late.
    Ended {
        /// Number of the flight.
        flight: u64,
        /// Outcome of the step.
        outcome: Outcome,
    },
    /// Answer to [`Action::Verify`].
    Verified {
        /// Number of the question.
        ticket: Ticket,
        /// Health of the device.
        health: Health,
    },
    /// A command of an operator.
    Command {
        /// Name of the operator.
        by: String,
        /// The command.
        command: Command,
    },
}

/// Command of an operator about a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Forbid all steps. Nothing but [`Command::Release`] permits them again.
    Hold,
    /// Permit steps again.
    Release,
    /// Forget the incident, the mark and the budget.
    Clear,
    /// Approve the step that waits for it.
    Approve,
}

/// Reason for which a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denied {
    /// A step is under way: it cannot be taken back.
    UnderWay,
    /// No step waits for an approval.
    NothingToApprove,
    /// The device is not held.
    NotHeld,
    /// There is no such device.
    NoDevice,
}

/// Action that a device asks for. The shell carries actions out in their order. A [`Action::Record`] must be durable before
/// the next action is begun.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Append the record to the journal.
    Record(Record),
    /// Find out whether the process of a flight still runs, by its number and its start. After a reboot it does not.
    FindChild(Flight),
    /// Save evidence of the incident.
    SaveEvidence {
        /// Number of the question.
        ticket: Ticket,
        /// Number of the incident.
        incident: u64,
    },
    /// Take the lock of the fleet.
    Lock {
        /// Number of the question.
        ticket: Ticket,
    },
    /// Give the lock of the fleet back.
    Unlock,
    /// Survey the device for a step.
    Survey {
        /// Number of the question.
        ticket: Ticket,
        /// Index of the step in the ladder.
        step: usize,
    },
    /// Tell the holders that the device is about to go.
    Tell(Vec<Holder>),
    /// End the holders: by SIGTERM, or by force with SIGKILL.
    End {
        /// Holders to end.
        holders: Vec<Holder>,
        /// Whether SIGKILL is sent.
        force: bool,
    },
    /// Carry a step out, in a process of its own.
    Step(Flight),
    /// Verify that the device works.
    Verify {
        /// Number of the question.
        ticket: Ticket,
    },
    /// Stop all recoveries of the machine. The [`Host`](crate::host::Host) does so; a shell never sees this.
    Trip(Trip),
}

/// Surroundings of a device at the time of an event.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Rules for the device.
    pub policy: &'a Policy,
    /// Rules for the machine.
    pub host: &'a HostPolicy,
    /// Time of the event.
    pub now: Timestamp,
    /// Time at which the machine booted.
    pub boot: Timestamp,
    /// Whether another device is being recovered.
    pub busy: bool,
    /// Reason for which the machine permits no step now: its breaker or its journal.
    pub forbidden: Option<Wait>,
    /// Whether as many other devices were recovered lately as the breaker permits.
    pub crowded: bool,
}
