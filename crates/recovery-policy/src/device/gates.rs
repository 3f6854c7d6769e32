//! Gates before a step: everything that may hold it up, apart from the state of the device and its surroundings.

use super::{Device, Turn};
use crate::event::Action;
use crate::policy::{Budget, Mode, Step};
use crate::record::{Left, Record, Trip};
use crate::sign::Advice;
use crate::stage::{Stage, Wait};
use crate::time::Timestamp;

/// Time that a survey may take: it reads files of sysfs and proc, but of every process.
const SURVEY: core::time::Duration = core::time::Duration::from_secs(30);

/// Reason for which a device may not be recovered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spent {
    /// Time at which the next recovery may begin.
    Until(Timestamp),
    /// The budget is used up.
    All,
}

impl Budget {
    fn spent(&self, device: &Device, now: Timestamp) -> Option<Spent> {
        let climbs = device.memory.climbs_within(self.per, now);
        if climbs >= self.attempts as usize {
            return Some(Spent::All);
        }
        let last = *device.memory.climbs.last()?;
        let pause = self.backoff.get(climbs.checked_sub(1)?).or(self.backoff.last())?;
        let until = last.plus(*pause);
        (now < until).then_some(Spent::Until(until))
    }
}

impl<'g> Turn<'_, 'g> {
    /// Goes on with the open incident: asks for a survey for the next step, or waits, or leaves the device alone.
    pub(super) fn proceed(&mut self) {
        let (policy, now) = (self.ground.policy, self.ground.now);
        let Some(incident) = &self.device.memory.incident else { return };
        let (number, acted, evidence, advice) = (incident.number, incident.acted, incident.evidence, incident.advice);
        let tried = acted || incident.step > 0;
        if let Some(flight) = self.device.memory.flight {
            return self.leave(Left::Stuck(flight.kind));
        }
        if let Some(until) = self.device.kernel {
            return self.wait(Wait::KernelRecovers, Some(until));
        }
        if !evidence {
            let (ticket, until) = (self.ask(), now.plus(policy.evidence));
            self.device.stage = Stage::Evidence { ticket, until };
            return self.actions.push(Action::SaveEvidence { ticket, incident: number });
        }
        if self.device.memory.unverified {
            // Whether the last step helped could not be read. A survey says less than a verification.
            return self.verify(false);
        }
        let graced = self.ground.boot.plus(policy.boot_grace);
        if now < graced && !acted {
            return self.wait(Wait::BootGrace, Some(graced));
        }
        if advice == Advice::Nothing {
            return self.verify(false);
        }
        let Some((index, step)) = self.next_step() else {
            return self.leave(if tried { Left::Exhausted } else { Left::NoStep(advice) });
        };
        if let Some(why) = self.forbidden() {
            return self.wait(why, None);
        }
        if !acted {
            match policy.budget.spent(self.device, now) {
                Some(Spent::All) => return self.leave(Left::Quarantined),
                Some(Spent::Until(until)) => return self.wait(Wait::Backoff, Some(until)),
                None => {}
            }
        }
        if self.ground.host.mode == Mode::Act && !self.may_act(index, step, acted) {
            return;
        }
        let (ticket, until) = (self.ask(), now.plus(SURVEY));
        self.device.stage = Stage::Surveying { ticket, step: index, until };
        self.actions.push(Action::Survey { ticket, step: index });
    }

    /// Returns what forbids any step now, whatever it is.
    pub(super) fn forbidden(&self) -> Option<Wait> {
        if self.device.memory.held.is_some() { Some(Wait::Held) } else { self.ground.forbidden }
    }

    /// Tells whether the step may be begun as far as the machine and the operator are concerned; if not, the device waits.
    fn may_act(&mut self, index: usize, step: &Step, acted: bool) -> bool {
        let (policy, now) = (self.ground.policy, self.ground.now);
        if step.confirm && self.device.memory.incident.as_ref().and_then(|incident| incident.approved) != Some(index) {
            let asked = self.device.asked.filter(|(asked, _)| *asked == index).map_or(now, |(_, at)| at);
            self.device.asked = Some((index, asked));
            let until = asked.plus(policy.approval);
            if until <= now {
                self.leave(Left::NotApproved(step.kind));
            } else {
                self.wait(Wait::Approval, Some(until));
            }
        } else if self.ground.crowded && !acted {
            self.actions.push(Action::Trip(Trip::Devices));
            self.wait(Wait::Breaker, None);
        } else if self.ground.busy {
            self.wait(Wait::Turn, None);
        } else if self.ground.host.fleet_lock && !self.device.locked {
            let (ticket, until) = (self.ask(), now.plus(self.ground.host.fleet_lock_retry));
            self.device.stage = Stage::Locking { ticket, until };
            self.actions.push(Action::Lock { ticket });
        } else {
            return true;
        }
        false
    }

    /// Returns the next step of the ladder that the signs' advice permits: the last one again while it has tries left.
    fn next_step(&self) -> Option<(usize, &'g Step)> {
        let policy = self.ground.policy;
        let incident = self.device.memory.incident.as_ref()?;
        let steps = policy.steps.iter().enumerate().skip(incident.step);
        steps
            .filter(|(index, step)| *index != incident.step || incident.tries < step.tries)
            .find(|(_, step)| step.kind.may_help(incident.advice, policy.unknown))
    }

    /// Goes on without a step that this machine cannot carry out.
    pub(super) fn skip(&mut self, step: usize, why: alloc::string::String) {
        self.record(Record::Skipped { step, why });
        self.proceed();
    }
}
