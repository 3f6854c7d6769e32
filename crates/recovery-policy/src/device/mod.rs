//! State machine of one device: from a sign that something is wrong to a device that works, or that is left alone.
//!
//! ```text
//! sign → evidence → gates → survey → holders leave → survey → step → verify → works → must go on working → end
//!                     ↑                                          │ sick
//!                     └──────────────────────────────────────────┘ the next try, or the next step
//! ```
//!
//! Two rules hold everywhere. A step is begun by the answer to a survey alone (`survey`), so the state of the device and of
//! its surroundings is never older than that; and after every step the device is verified before anything else is done, however
//! the step ended. A device that turns out to work ends the incident at any time.
//!
//! All events are answered in all stages. An answer to a question that is no longer open is dropped.

mod commands;
mod gates;
mod signs;
mod survey;
mod verdict;

use alloc::vec::Vec;

use crate::event::{Action, Denied, Event, Ground, Ticket};
use crate::memory::Memory;
use crate::record::{End, Left, Outcome, Record, Trip};
use crate::sightings::Sightings;
use crate::stage::{Stage, Wait};
use crate::time::Timestamp;

/// Pressure on holders so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Pressure {
    #[default]
    None,
    Told {
        until: Timestamp,
    },
    Terminated {
        until: Timestamp,
    },
    Killed {
        until: Timestamp,
    },
}

/// State of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Device {
    memory: Memory,
    stage: Stage,
    sightings: Sightings,
    /// Number of the last question.
    ticket: Ticket,
    /// Time until which the kernel's own recovery is waited for.
    kernel: Option<Timestamp>,
    pressure: Pressure,
    /// Time since which the device or its surroundings cannot be read.
    unreadable: Option<Timestamp>,
    /// Whether a verification has just found the device sick. A survey that sees nothing wrong does not change that: it
    /// looks at less, and the two would ask for each other for ever.
    found_sick: bool,
    /// Whether the verification was asked for by a survey: then the device keeps its turn. Without that, two devices that
    /// survey and verification disagree about would pass the turn to and fro for ever.
    keeps_turn: bool,
    /// Time at which the approval of a step was asked for, and the step.
    asked: Option<(usize, Timestamp)>,
    /// Whether the lock of the fleet is owned.
    locked: bool,
    /// Number of signs that belonged to the open incident or to the one that was left.
    echoes: u64,
}

impl Device {
    /// Creates the device with the memory that its records left. It does nothing before [`Event::Resumed`].
    pub fn new(memory: Memory) -> Self {
        Self { memory, stage: Stage::Resuming, ..Self::default() }
    }

    /// Returns the memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns the stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns the number of signs that belonged to the last incident and began no other one.
    pub fn echoes(&self) -> u64 {
        self.echoes
    }

    /// Returns the time at which the shell must report [`Event::Tick`], if nothing happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let stage = self.stage.deadline();
        match (stage, self.kernel) {
            (Some(stage), Some(kernel)) => Some(stage.min(kernel)),
            (stage, kernel) => stage.or(kernel),
        }
    }

    /// Tells whether the device is being recovered, so that no other one may be.
    pub fn is_recovering(&self) -> bool {
        let acted = self.memory.incident.as_ref().is_some_and(|incident| incident.acted);
        let verifies = acted || self.keeps_turn;
        match self.stage {
            Stage::Locking { .. } | Stage::Surveying { .. } | Stage::Stepping { .. } | Stage::Proving { .. } => true,
            Stage::Verifying { .. } => verifies,
            Stage::Waiting { why: Wait::Unreadable, .. } => acted,
            // The process of the step may still run.
            Stage::Resuming => self.memory.flight.is_some(),
            _ => false,
        }
    }

    /// Takes an event in, and pushes the actions that follow.
    ///
    /// # Errors
    /// [`Denied`], for commands alone.
    pub fn handle(&mut self, event: Event, ground: &Ground<'_>, actions: &mut Vec<Action>) -> Result<(), Denied> {
        let mut turn = Turn { device: self, ground, actions };
        match event {
            Event::Sign(sign) => turn.sign(&sign),
            Event::Changed => turn.changed(),
            Event::Tick => turn.tick(),
            Event::Resumed => turn.resumed(),
            Event::Child { flight, runs } => turn.child(flight, runs),
            Event::EvidenceSaved { ticket, missing } => turn.evidence_saved(ticket, missing),
            Event::Locked { ticket, owned } => turn.lock_answered(ticket, owned),
            Event::Surveyed { ticket, survey } => turn.surveyed(ticket, survey),
            Event::HoldersLeft => turn.holders_left(),
            Event::Ended { flight, outcome } => turn.ended(flight, outcome),
            Event::Verified { ticket, health } => turn.verified(ticket, health),
            Event::Command { by, command } => return turn.command(by, command),
        }
        Ok(())
    }
}

/// A device during one event.
struct Turn<'a, 'g> {
    device: &'a mut Device,
    ground: &'a Ground<'g>,
    actions: &'a mut Vec<Action>,
}

impl Turn<'_, '_> {
    /// Takes a record into the memory, and asks for it to be kept.
    fn record(&mut self, record: Record) {
        self.device.memory.apply(&record, self.ground.now);
        self.actions.push(Action::Record(record));
    }

    /// Numbers the next question.
    fn ask(&mut self) -> Ticket {
        self.device.ticket.0 += 1;
        self.device.ticket
    }

    fn wait(&mut self, why: Wait, until: Option<Timestamp>) {
        (self.device.found_sick, self.device.keeps_turn) = (false, false);
        let short = matches!(why, Wait::FleetLock | Wait::Holders | Wait::Unreadable | Wait::KernelRecovers);
        if !short {
            // Others of the fleet need not wait with the device.
            self.unlock();
        }
        let look = match self.device.stage {
            // A reason that is judged again and again must not put the next look off.
            Stage::Waiting { why: before, look, .. } if before == why => look,
            _ => self.ground.now.plus(self.ground.policy.recheck),
        };
        self.device.stage = Stage::Waiting { why, until, look };
    }

    fn unlock(&mut self) {
        if core::mem::take(&mut self.device.locked) {
            self.actions.push(Action::Unlock);
        }
    }

    /// Ends the incident.
    fn close(&mut self, end: End) {
        let left = matches!(end, End::Left(_));
        self.record(Record::Closed(end));
        self.unlock();
        let device = &mut *self.device;
        (device.pressure, device.unreadable, device.asked) = (Pressure::None, None, None);
        (device.found_sick, device.keeps_turn) = (false, false);
        device.stage =
            if left { Stage::Left { look: self.ground.now.plus(self.ground.policy.recheck) } } else { Stage::Fine };
    }

    fn leave(&mut self, left: Left) {
        self.close(End::Left(left));
    }

    fn tick(&mut self) {
        let now = self.ground.now;
        if self.device.kernel.is_some_and(|until| until <= now) {
            self.kernel_is_late();
        }
        let due = self.device.stage.deadline().is_some_and(|deadline| deadline <= now);
        match self.device.stage {
            // Something that others hold up may be free before any deadline.
            Stage::Waiting { why: Wait::Journal | Wait::Breaker | Wait::Turn, look, .. } if now < look => {
                self.proceed();
            }
            _ if !due => {}
            Stage::Waiting { until: Some(until), .. } if until <= now => self.proceed(),
            Stage::Waiting { .. } | Stage::Left { .. } => self.verify(false),
            Stage::Evidence { ticket, .. } => self.evidence_saved(ticket, Some("it took too long".into())),
            Stage::Locking { ticket, .. } => self.lock_answered(ticket, false),
            Stage::Surveying { .. } => self.could_not_read("the survey gave no answer in time".into()),
            Stage::Verifying { .. } => self.could_not_read("the verification gave no answer in time".into()),
            Stage::Stepping { .. } => self.stuck(),
            Stage::Proving { .. } => self.verify(true),
            Stage::Fine | Stage::Resuming => {}
        }
    }

    /// Begins after a restart. A step that was under way may still be; one that is over was not heard of.
    fn resumed(&mut self) {
        if self.device.stage != Stage::Resuming {
            return;
        }
        let memory = &self.device.memory;
        if let Some(flight) = memory.flight {
            self.actions.push(Action::FindChild(flight));
        } else if memory.incident.as_ref().is_some_and(|incident| incident.acted) || memory.left.is_some() {
            self.verify(false);
        } else if memory.incident.is_some() {
            self.proceed();
        } else {
            self.device.stage = Stage::Fine;
        }
    }

    fn child(&mut self, flight: u64, runs: bool) {
        let Some(open) = self.device.memory.flight.filter(|open| open.number == flight) else { return };
        if self.device.stage != Stage::Resuming {
            return;
        }
        if !runs {
            self.ended(flight, Outcome::Ambiguous("the daemon was restarted and the step is over".into()));
        } else if self.device.memory.incident.is_some() {
            self.device.stage = Stage::Stepping { until: open.at.plus(open.deadline) };
        } else {
            // The step was stuck before the restart, and is still.
            self.device.stage = Stage::Left { look: self.ground.now.plus(self.ground.policy.recheck) };
        }
    }

    fn evidence_saved(&mut self, ticket: Ticket, missing: Option<alloc::string::String>) {
        if matches!(self.device.stage, Stage::Evidence { ticket: open, .. } if open == ticket) {
            self.record(Record::Evidence { missing });
            self.proceed();
        }
    }

    fn lock_answered(&mut self, ticket: Ticket, owned: bool) {
        if !matches!(self.device.stage, Stage::Locking { ticket: open, .. } if open == ticket) {
            return;
        }
        self.device.locked = owned;
        if owned {
            self.proceed();
        } else {
            self.wait(Wait::FleetLock, Some(self.ground.now.plus(self.ground.host.fleet_lock_retry)));
        }
    }

    fn holders_left(&mut self) {
        if matches!(self.device.stage, Stage::Waiting { why: Wait::Holders, .. }) {
            self.proceed();
        }
    }

    /// Takes the end of a step in. The device is verified next, whatever the outcome: a step that was cut off by its own effect
    /// may have helped.
    fn ended(&mut self, flight: u64, outcome: Outcome) {
        if self.device.memory.flight.is_none_or(|open| open.number != flight) {
            return;
        }
        let unwritten = matches!(outcome, Outcome::Refused(_) | Outcome::Undone(_));
        self.record(Record::Ended { flight, outcome });
        // Without an incident, the step had been given up as stuck.
        if unwritten && self.device.memory.incident.is_some() {
            self.proceed();
        } else {
            self.verify(false);
        }
    }

    /// Gives a step up that does not return. It stays in the memory, so that nothing else is written to the device.
    fn stuck(&mut self) {
        let Some(flight) = self.device.memory.flight else { return };
        self.leave(Left::Stuck(flight.kind));
        self.actions.push(Action::Trip(Trip::Stuck));
    }
}
