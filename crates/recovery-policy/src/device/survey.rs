//! Survey: the last word before a step. Whatever speaks against the step is found here, and a step begins nowhere else.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Pressure, Turn};
use crate::event::{Action, Ticket};
use crate::memory::Flight;
use crate::policy::{Mode, Step};
use crate::record::{Left, Record};
use crate::stage::{Stage, Wait};
use crate::survey::{Health, Holder, Holders, Protection, Survey};

impl Turn<'_, '_> {
    pub(super) fn surveyed(&mut self, ticket: Ticket, survey: Survey) {
        let Stage::Surveying { ticket: open, step: index, .. } = self.device.stage else { return };
        let Some(step) = self.ground.policy.steps.get(index).filter(|_| open == ticket) else { return };
        if let Some(why) = self.forbidden() {
            return self.wait(why, None);
        }
        if survey.kernel_recovers {
            let until = self.ground.now.plus(self.ground.policy.kernel);
            self.device.kernel = Some(until);
            return self.wait(Wait::KernelRecovers, Some(until));
        }
        match survey.health {
            Health::Works if !self.device.found_sick => {
                self.device.keeps_turn = true;
                return self.verify(false);
            }
            Health::Unreadable(why) => return self.could_not_read(why),
            Health::Works | Health::Sick(_) => {}
        }
        if let Some(why) = survey.domain_unreadable.or_else(|| survey.holders.unreadable.clone()) {
            return self.could_not_read(why);
        }
        self.device.unreadable = None;
        if let Some(why) = survey.unavailable {
            return self.skip(index, why);
        }
        let waived = &self.ground.policy.waived;
        let protections: Vec<Protection> =
            survey.protections.into_iter().filter(|protection| !waived.contains(protection)).collect();
        if !protections.is_empty() {
            return self.leave(Left::Protected(protections));
        }
        if !survey.domain_in_use.is_empty() {
            return self.leave(Left::DomainInUse(survey.domain_in_use));
        }
        if self.ground.host.mode == Mode::Observe {
            return self.leave(Left::Observing(step.kind));
        }
        if survey.holders.found.is_empty() {
            self.begin(index, step);
        } else {
            self.press(survey.holders);
        }
    }

    /// Begins the step. Its intention is in the journal before.
    fn begin(&mut self, index: usize, step: &Step) {
        let Some(incident) = &self.device.memory.incident else { return };
        let attempt = if index == incident.step { incident.tries + 1 } else { 1 };
        let number = self.device.memory.flights + 1;
        let (kind, deadline) = (step.kind, step.deadline);
        self.record(Record::Intended { flight: number, step: index, kind, attempt, deadline });
        (self.device.pressure, self.device.found_sick) = (Pressure::None, false);
        self.device.stage = Stage::Stepping { until: self.ground.now.plus(step.deadline) };
        let flight = Flight { number, step: index, kind, attempt, at: self.ground.now, deadline };
        self.actions.push(Action::Step(flight));
    }

    /// Asks holders to leave: first they are told, then ended as far as the policy permits.
    fn press(&mut self, holders: Holders) {
        let (rules, now) = (&self.ground.policy.holders, self.ground.now);
        let spared = holders.found.iter().any(|holder| holder.spared.is_some());
        let (pressure, due) = match self.device.pressure {
            Pressure::None => {
                let until = now.plus(rules.wait);
                self.device.pressure = Pressure::Told { until };
                if rules.notify {
                    self.actions.push(Action::Tell(holders.found));
                }
                return self.wait(Wait::Holders, Some(until));
            }
            told @ (Pressure::Told { until } | Pressure::Terminated { until } | Pressure::Killed { until }) => {
                (told, until)
            }
        };
        if now < due {
            return self.wait(Wait::Holders, Some(due));
        }
        let next = match pressure {
            Pressure::Told { .. } => {
                rules.term.map(|time| (Pressure::Terminated { until: now.plus(time) }, now.plus(time)))
            }
            Pressure::Terminated { .. } => {
                rules.kill.map(|time| (Pressure::Killed { until: now.plus(time) }, now.plus(time)))
            }
            Pressure::None | Pressure::Killed { .. } => None,
        };
        match next {
            Some((pressure, until)) if !spared => {
                let force = matches!(pressure, Pressure::Killed { .. });
                self.device.pressure = pressure;
                self.actions.push(Action::End { holders: holders.found, force });
                self.wait(Wait::Holders, Some(until));
            }
            _ => self.leave(Left::HeldBy(holders.found.iter().map(name).collect())),
        }
    }
}

fn name(holder: &Holder) -> String {
    match holder.pid {
        Some(pid) => format!("{} (process {pid})", holder.name),
        None => holder.name.clone(),
    }
}
