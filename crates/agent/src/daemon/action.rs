//! Actions: what the machine of the policy wants, and the answers that it gets.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Event};
use lifeboat_recovery_policy::memory::Flight;
use lifeboat_recovery_policy::record::{DeviceId, Outcome, Record};
use lifeboat_recovery_policy::survey::Holder;

use super::kept::Kept;
use super::questions::Answer;
use super::{Daemon, report};
use crate::actor::child::confine::Wish;
use crate::actor::child::outstanding::Adopted;
use crate::actor::holders::{self, Urge};
use crate::actor::plan::Plan;
use crate::actor::targets::Target;

impl Daemon {
    /// Carries out everything that the machine wants. A record is on the disk before the action after it begins; without it, the
    /// actions that follow are dropped, and the machine asks again when the journal takes records.
    pub(super) fn carry_out(&mut self) {
        while let Some(wanted) = self.host.poll_action() {
            match (wanted.action, wanted.device) {
                (Action::Record(record), device) => self.keep_record(device, record),
                (action, Some(device)) => self.act(&device, action),
                (_, None) => {}
            }
        }
    }

    fn keep_record(&mut self, device: Option<DeviceId>, record: Record) {
        let entry = self.entry(device, record);
        self.keep(Kept::Policy(entry.clone()));
        report::entry(&entry);
    }

    fn act(&mut self, device: &DeviceId, action: Action) {
        match action {
            Action::SaveEvidence { ticket, incident } => self.ask_evidence(device, ticket, incident),
            Action::Survey { ticket, step } => {
                let step = self.host.device(device).and_then(|(_, policy)| policy.steps.get(step).cloned());
                if let Some(step) = step {
                    self.ask_survey(device, ticket, &step);
                }
            }
            Action::Verify { ticket } => self.ask_verification(device, ticket),
            Action::Step(flight) => self.begin(device, flight),
            Action::FindChild(flight) => self.find_child(device, flight),
            Action::Tell(holders) => report::tell(device, &holders),
            Action::End { holders, force } => self.end(device, &holders, force),
            // No policy of this version takes a lock of the fleet, and the host keeps trips to itself.
            Action::Lock { .. } | Action::Unlock | Action::Record(_) | Action::Trip(_) => {}
        }
    }

    /// Plans a step. Its intention must be on the disk, or nothing is done.
    fn begin(&mut self, device: &DeviceId, flight: Flight) {
        let kept = self.sum.checkpoint.memories.get(device).and_then(|memory| memory.flight);
        if !self.may_act() || self.members.get(device).is_none() {
            self.end_flight(device, flight.number, Outcome::Refused("the daemon only observes".into()));
        } else if kept.is_none_or(|kept| kept.number != flight.number) {
            self.end_flight(device, flight.number, Outcome::Undone("the journal took no record of it".into()));
        } else {
            self.ask_plan(device, flight);
        }
    }

    fn planned(&mut self, device: &DeviceId, flight: Flight, plan: Result<Plan, String>) {
        // A plan that took longer than the step's deadline comes after the step was given up.
        let open = self
            .host
            .device(device)
            .and_then(|(device, _)| device.memory().incident.as_ref().and(device.memory().flight));
        let Some(open) = open.filter(|open| open.number == flight.number) else {
            return self.end_flight(device, flight.number, Outcome::Undone("the plan came too late".into()));
        };
        let started = plan.and_then(|plan| self.launch(device, open, &plan));
        if let Err(why) = started {
            self.end_flight(device, flight.number, Outcome::Refused(why));
        }
    }

    /// Starts the process of a plan: its mark is on the disk before it is given its order.
    fn launch(&mut self, device: &DeviceId, flight: Flight, plan: &Plan) -> Result<(), String> {
        report::plan(device, plan);
        let vacancy = self.outstanding.vacancy(plan).map_err(|busy| busy.to_string())?;
        let ready = vacancy.start(&self.hands, Wish::Preferred, flight.deadline).map_err(|error| error.to_string())?;
        let kept = Kept::Child { device: device.clone(), flight: flight.number, mark: ready.mark().clone() };
        match self.journal.append(&kept) {
            Ok(_) => {
                // A process without a whole order does nothing and says so in its report.
                let given = ready.give();
                let boot = self.journal.start().boot.clone();
                self.sum.apply(kept, &boot);
                given.map(|_| ()).or_else(|error| {
                    report::warning(&format!("{}: the order could not be given: {error}", device.0));
                    Ok(())
                })
            }
            Err(error) => {
                // Dropped without its order, the process ends, and its end is the outcome.
                report::warning(&format!("{}: no order without a record: {error}", device.0));
                Ok(())
            }
        }
    }

    /// Finds the process of a step that an earlier daemon has begun.
    fn find_child(&mut self, device: &DeviceId, flight: Flight) {
        let now = self.clock.now();
        let Some(mark) = self.child_of(device, flight.number) else {
            // Without a mark on the disk, the process was never given its order.
            let undone = Outcome::Undone("the daemon was restarted before the order was given".into());
            return self.end_flight(device, flight.number, undone);
        };
        let left = flight.at.plus(flight.deadline).since(now);
        match self.outstanding.adopt(&self.hands, &mark, left) {
            Ok(Adopted::Ended(mut ending)) => {
                // The process has seen no whole order before the daemon was ended.
                if let Outcome::Refused(why) = ending.outcome {
                    ending.outcome = Outcome::Undone(why);
                }
                self.step_ended(device, ending);
            }
            Ok(Adopted::Running) => self.tell(device, Event::Child { flight: flight.number, runs: true }, now),
            Err(error) => {
                report::warning(&format!("{}: its process cannot be judged: {error}", device.0));
                self.tell(device, Event::Child { flight: flight.number, runs: true }, now);
            }
        }
    }

    /// Ends holders, and says when they have gone.
    fn end(&mut self, device: &DeviceId, found: &[Holder], force: bool) {
        if !self.may_act() {
            return;
        }
        let urge = if force { Urge::Kill } else { Urge::Term };
        let mut signalled = Vec::new();
        for holder in found {
            match holders::signal(&self.hands, holder, urge) {
                Ok(one) => signalled.extend(one),
                Err(error) => report::warning(&error.to_string()),
            }
        }
        let rules = self.members.get(device).map(|member| member.rule.policy.holders.clone()).unwrap_or_default();
        let limit = if force { rules.kill } else { rules.term }.unwrap_or(Duration::ZERO);
        self.ask(device, move || {
            holders::wait(&signalled, limit);
            Answer::HoldersLeft
        });
    }

    pub(super) fn answered(&mut self, device: &DeviceId, answer: Answer) {
        let now = self.clock.now();
        match answer {
            Answer::Surroundings(Ok(target)) => {
                if let Some(member) = self.members.get_mut(device) {
                    member.well = Some(target);
                }
            }
            Answer::Surroundings(Err(why)) => report::warning(&format!("{}: {why}", device.0)),
            Answer::Evidence { ticket, missing, target } => {
                self.keep_before(device, target);
                self.tell(device, Event::EvidenceSaved { ticket, missing }, now);
            }
            Answer::Survey { ticket, survey } => self.tell(device, Event::Surveyed { ticket, survey }, now),
            Answer::Plan { flight, plan } => self.planned(device, flight, plan),
            Answer::Verified { ticket, health } => {
                self.tell(device, Event::Verified { ticket, health }, now);
            }
            Answer::HoldersLeft => self.tell(device, Event::HoldersLeft, now),
        }
        self.carry_out();
    }

    /// Keeps the surroundings of a device as its steps must leave them: those of now if the driver is still bound, else those of the
    /// device while it was well.
    fn keep_before(&mut self, device: &DeviceId, now: Option<Target>) {
        let Some(member) = self.members.get(device) else { return };
        let bound = |target: &Target| target.function(member.address).is_some_and(|function| function.driver.is_some());
        let target = match (now, &member.well) {
            (Some(now), Some(well)) if !bound(&now) => Some(well.clone()),
            (now, well) => now.or_else(|| well.clone()),
        };
        let subject = member.subject.clone();
        if let (Some(target), false) = (target, self.sum.before.contains_key(device)) {
            self.keep(Kept::Before { device: device.clone(), subject, target: Box::new(target) });
        }
    }
}
