//! Memory of a device: the sum of its records.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::StepKind;
use crate::record::{End, Left, Outcome, Record};
use crate::sign::Advice;
use crate::time::Timestamp;

/// Number of recoveries that are remembered: the most that a budget can count.
pub const MOST_ATTEMPTS: usize = 100;

/// Step that was begun and has not been heard of since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flight {
    /// Number of the flight.
    pub number: u64,
    /// Index of the step in the ladder.
    pub step: usize,
    /// Kind of the step.
    pub kind: StepKind,
    /// Number of the try, from 1.
    pub attempt: u32,
    /// Time of the intention.
    pub at: Timestamp,
    /// Time that the step may take.
    pub deadline: Duration,
}

/// Open incident.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incident {
    /// Number of the incident.
    pub number: u64,
    /// Time of its first record.
    pub opened: Timestamp,
    /// Advice of its signs.
    pub advice: Advice,
    /// Whether evidence was asked for and the answer recorded.
    pub evidence: bool,
    /// Whether a step was begun: the incident has used a recovery of the budget.
    pub acted: bool,
    /// Index of the step that is next or was last.
    pub step: usize,
    /// Number of tries of that step so far.
    pub tries: u32,
    /// Step that an operator has approved. Each try needs an approval of its own.
    pub approved: Option<usize>,
}

/// Memory of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Operator that forbids all steps, if one does.
    pub held: Option<String>,
    /// Open incident.
    pub incident: Option<Incident>,
    /// Reason for which the device is left alone, if it is.
    pub left: Option<Left>,
    /// Begins of the last [`MOST_ATTEMPTS`] recoveries, oldest first.
    pub climbs: Vec<Timestamp>,
    /// Step that has not been heard of. It may outlive its incident.
    pub flight: Option<Flight>,
    /// Whether a step has ended and the device was not verified since.
    pub unverified: bool,
    /// Number of incidents so far.
    pub incidents: u64,
    /// Number of flights so far.
    pub flights: u64,
}

impl Memory {
    /// Takes a record in. Records that do not fit the memory change as much as they can: a journal is read as it is.
    pub fn apply(&mut self, record: &Record, at: Timestamp) {
        match record {
            Record::Opened { incident, sign } => {
                self.incidents = *incident;
                let advice = sign.kind.advice();
                self.incident = Some(Incident {
                    number: *incident,
                    opened: at,
                    advice,
                    evidence: false,
                    acted: false,
                    step: 0,
                    tries: 0,
                    approved: None,
                });
            }
            Record::Held { by } => self.held = Some(by.clone()),
            Record::Released { .. } => self.held = None,
            Record::Cleared { .. } => {
                self.left = None;
                self.unverified = false;
                self.climbs.clear();
            }
            Record::Ended { flight, outcome } => self.ended(*flight, outcome),
            &Record::Intended { flight, step, kind, attempt, deadline } => {
                self.flights = flight;
                self.flight = Some(Flight { number: flight, step, kind, attempt, at, deadline });
                self.climb(step, attempt, at);
            }
            Record::Closed(end) => {
                self.incident = None;
                self.left = if let End::Left(left) = end { Some(left.clone()) } else { None };
            }
            Record::Advised(advice) => self.with_incident(|incident| incident.advice = *advice),
            Record::Evidence { .. } => self.with_incident(|incident| incident.evidence = true),
            Record::Skipped { step, .. } => self.with_incident(|incident| incident.begin(step.saturating_add(1))),
            Record::Approved { step, .. } => self.with_incident(|incident| incident.approved = Some(*step)),
            Record::Verified(_) => self.unverified = false,
            Record::Tripped(_) | Record::Reset { .. } => {}
        }
    }

    fn with_incident(&mut self, change: impl FnOnce(&mut Incident)) {
        if let Some(incident) = &mut self.incident {
            change(incident);
        }
    }

    fn climb(&mut self, step: usize, attempt: u32, at: Timestamp) {
        let Some(incident) = &mut self.incident else { return };
        if !core::mem::replace(&mut incident.acted, true) {
            self.climbs.push(at);
            let surplus = self.climbs.len().saturating_sub(MOST_ATTEMPTS);
            self.climbs.drain(..surplus);
        }
        incident.step = step;
        // The try counts from its intention on: it is not begun again unchecked after a restart.
        incident.tries = attempt;
        incident.approved = None;
    }

    fn ended(&mut self, flight: u64, outcome: &Outcome) {
        if self.flight.is_some_and(|open| open.number == flight) {
            self.flight = None;
        }
        match outcome {
            Outcome::Refused(_) => self.with_incident(|incident| incident.begin(incident.step.saturating_add(1))),
            Outcome::Undone(_) => self.with_incident(|incident| incident.tries = incident.tries.saturating_sub(1)),
            Outcome::Succeeded | Outcome::Failed(_) | Outcome::Ambiguous(_) => self.unverified = true,
        }
    }

    /// Returns the number of recoveries that began within `per` before `now`.
    pub fn climbs_within(&self, per: Duration, now: Timestamp) -> usize {
        self.climbs.iter().filter(|begin| now.since(**begin) < per).count()
    }
}

impl Incident {
    /// Goes on to a step that has not been tried.
    const fn begin(&mut self, step: usize) {
        self.step = step;
        self.tries = 0;
    }
}
