//! Rehearsal: everything that the daemon would do about a sign, without a write.
//!
//! The decisions are the machine's own, and the plans are those that the daemon carries out; only the device is said to be sick, and no
//! step helps. So the whole ladder is seen, with the point at which it stops.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Command, Event};
use lifeboat_recovery_policy::host::{Checkpoint, Host};
use lifeboat_recovery_policy::policy::{HostPolicy, Policy, Step, StepKind};
use lifeboat_recovery_policy::record::{DeviceId, End, Outcome, Record};
use lifeboat_recovery_policy::sign::Sign;
use lifeboat_recovery_policy::stage::{Stage, Wait};
use lifeboat_recovery_policy::survey::{Health, Holder, Survey};
use lifeboat_recovery_policy::time::Timestamp;
use serde::Serialize;

use crate::actor::plan::Plan;

/// Actions after which a rehearsal is given up. A ladder has a few steps with a few tries.
const LONGEST: usize = 10_000;

/// Parts of the machine that a rehearsal reads.
pub trait Scene {
    /// Surveys the device for a step.
    fn survey(&mut self, step: &Step) -> Survey;

    /// Plans a step.
    ///
    /// # Errors
    /// The reason for which the machine does not offer the step.
    fn plan(&mut self, step: &Step) -> Result<Plan, String>;
}

/// Line of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The sign does not count, or not yet: nothing would be done.
    Ignored,
    /// Evidence would be saved.
    Evidence,
    /// The daemon would wait.
    Waits {
        /// Reason.
        why: Wait,
        /// Seconds after which it goes on. `None`: only an operator or another event ends the wait.
        seconds: Option<u64>,
    },
    /// State cannot be read, so the daemon would look again for a while and then leave the device alone.
    Unreadable {
        /// Reason.
        why: String,
    },
    /// The lock of the fleet would be taken, or given back.
    FleetLock {
        /// Whether it is taken.
        taken: bool,
    },
    /// The device was surveyed for a step: everything that was found, but for its health.
    Surveyed {
        /// Kind of the step.
        step: StepKind,
        /// Survey.
        survey: Box<Survey>,
    },
    /// Holders would be told that the device is about to go.
    Tell(Vec<Holder>),
    /// Holders would be ended. The rehearsal goes on as if they had left.
    End {
        /// Holders.
        holders: Vec<Holder>,
        /// Whether SIGKILL is sent.
        force: bool,
    },
    /// The step cannot be carried out on this machine.
    Skipped {
        /// Kind of the step.
        step: StepKind,
        /// Reason.
        why: String,
    },
    /// The step would be carried out.
    Step {
        /// Kind of the step.
        step: StepKind,
        /// Number of the try.
        attempt: u32,
        /// Exact operations.
        plan: Box<Plan>,
    },
    /// The device would be verified. The rehearsal goes on as if it was found sick.
    Verify,
    /// The breaker of the machine would trip.
    Trips,
    /// The incident would end.
    Ends(End),
}

/// Rehearses what follows from a sign.
pub fn rehearse(policy: &Policy, host: &HostPolicy, sign: &Sign, now: Timestamp, scene: &mut dyn Scene) -> Vec<Line> {
    let id = DeviceId("rehearsed".into());
    let mut machine = Host::new(host.clone(), Timestamp::default(), Checkpoint::default());
    machine.add(&id, policy.clone());
    machine.resume(now);
    let mut rehearsal = Rehearsal { id, machine, policy, now, lines: Vec::new(), holders_left: false, unread: None };
    let times = policy.signals.threshold(sign).times;
    for _ in 0..times {
        rehearsal.tell(Event::Sign(sign.clone()));
    }
    rehearsal.play(scene);
    if rehearsal.lines.is_empty() {
        rehearsal.lines.push(Line::Ignored);
    }
    rehearsal.lines
}

struct Rehearsal<'a> {
    id: DeviceId,
    machine: Host,
    policy: &'a Policy,
    now: Timestamp,
    lines: Vec<Line>,
    holders_left: bool,
    /// Reason for which the last survey could not be read.
    unread: Option<String>,
}

impl Rehearsal<'_> {
    /// Reports an event. Only commands can be denied, and then nothing changes.
    fn tell(&mut self, event: Event) {
        let _ = self.machine.handle(&self.id, event, self.now);
    }

    fn stage(&self) -> Stage {
        self.machine.device(&self.id).map_or(Stage::Fine, |(device, _)| device.stage())
    }

    fn play(&mut self, scene: &mut dyn Scene) {
        for _ in 0..LONGEST {
            if let Some(wanted) = self.machine.poll_action() {
                self.carry_out(wanted.action, scene);
            } else if let Stage::Waiting { why, until, .. } = self.stage() {
                if !self.wait(why, until) {
                    return;
                }
            } else {
                return;
            }
        }
    }

    /// Waits as long as the machine would, and tells whether it goes on by itself then.
    fn wait(&mut self, why: Wait, until: Option<Timestamp>) -> bool {
        if let Some(unread) = self.unread.take().filter(|_| why == Wait::Unreadable) {
            self.lines.push(Line::Unreadable { why: unread });
            return false;
        }
        let wait = until.map(|until| until.since(self.now));
        self.lines.push(Line::Waits { why, seconds: wait.map(|wait| wait.as_secs()) });
        if why == Wait::Approval {
            self.tell(Event::Command { by: "rehearsal".into(), command: Command::Approve });
            return true;
        }
        let Some(wait) = wait else { return false };
        self.pass(wait);
        true
    }

    /// Lets time pass. Looks at the device on the way are left out: they would find it sick.
    fn pass(&mut self, wait: Duration) {
        let end = self.now.plus(wait);
        while self.now < end {
            self.now = self.machine.next_deadline().map_or(end, |deadline| deadline.clamp(self.now, end));
            self.machine.tick(self.now);
            if self.now == end || !matches!(self.stage(), Stage::Waiting { .. } | Stage::Verifying { .. }) {
                return;
            }
            while let Some(wanted) = self.machine.poll_action() {
                if let Action::Verify { ticket } = wanted.action {
                    self.tell(Event::Verified { ticket, health: sick() });
                }
            }
        }
    }

    fn carry_out(&mut self, action: Action, scene: &mut dyn Scene) {
        match action {
            Action::Record(record) => self.record(record),
            Action::SaveEvidence { ticket, .. } => {
                self.lines.push(Line::Evidence);
                self.tell(Event::EvidenceSaved { ticket, missing: None });
            }
            Action::Lock { ticket } => {
                self.lines.push(Line::FleetLock { taken: true });
                self.tell(Event::Locked { ticket, owned: true });
            }
            Action::Unlock => self.lines.push(Line::FleetLock { taken: false }),
            Action::Survey { ticket, step } => {
                let Some(step) = self.policy.steps.get(step) else { return };
                let mut survey = scene.survey(step);
                if self.holders_left {
                    survey.holders.found.clear();
                }
                self.unread = survey.domain_unreadable.clone().or_else(|| survey.holders.unreadable.clone());
                if survey.unavailable.is_none() {
                    survey.unavailable = scene.plan(step).err();
                }
                self.lines.push(Line::Surveyed { step: step.kind, survey: Box::new(survey.clone()) });
                self.tell(Event::Surveyed { ticket, survey: Survey { health: sick(), ..survey } });
            }
            Action::Tell(holders) => self.lines.push(Line::Tell(holders)),
            Action::End { holders, force } => {
                self.lines.push(Line::End { holders, force });
                self.holders_left = true;
            }
            Action::Step(flight) => {
                let Some(step) = self.policy.steps.get(flight.step) else { return };
                let outcome = match scene.plan(step) {
                    Ok(plan) => {
                        let (step, plan) = (step.kind, Box::new(plan));
                        self.lines.push(Line::Step { step, attempt: flight.attempt, plan });
                        Outcome::Succeeded
                    }
                    Err(why) => Outcome::Refused(why),
                };
                self.tell(Event::Ended { flight: flight.number, outcome });
            }
            Action::Verify { ticket } => {
                self.lines.push(Line::Verify);
                self.tell(Event::Verified { ticket, health: sick() });
            }
            Action::FindChild(flight) => self.tell(Event::Child { flight: flight.number, runs: false }),
            Action::Trip(_) => {}
        }
    }

    fn record(&mut self, record: Record) {
        let step = |index: usize| self.policy.steps.get(index).map(|step| step.kind);
        match record {
            Record::Skipped { step: index, why } => {
                self.lines.extend(step(index).map(|step| Line::Skipped { step, why }));
            }
            Record::Closed(end) => self.lines.push(Line::Ends(end)),
            Record::Tripped(_) => self.lines.push(Line::Trips),
            _ => {}
        }
    }
}

fn sick() -> Health {
    Health::Sick("the rehearsal says so".into())
}

#[cfg(test)]
mod tests;
