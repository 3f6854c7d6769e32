//! Verdicts: a verification of the device, and what follows from it.

use alloc::string::String;

use super::Turn;
use crate::event::{Action, Ticket};
use crate::record::{End, Left, Record};
use crate::sign::Advice;
use crate::stage::{Stage, Wait};
use crate::survey::Health;

/// Pause between two looks at a device that cannot be read.
const AGAIN: core::time::Duration = core::time::Duration::from_secs(10);

impl Turn<'_, '_> {
    /// Asks for a verification. `last` says that the device has worked for as long as the policy asks for.
    pub(super) fn verify(&mut self, last: bool) {
        let (ticket, until) = (self.ask(), self.ground.now.plus(self.ground.policy.verify.deadline));
        self.device.stage = Stage::Verifying { ticket, until, last };
        self.actions.push(Action::Verify { ticket });
    }

    pub(super) fn verified(&mut self, ticket: Ticket, health: Health) {
        let Stage::Verifying { ticket: open, last, .. } = self.device.stage else { return };
        if open != ticket {
            return;
        }
        match health {
            Health::Works => self.works(last),
            Health::Sick(_) => self.is_sick(health),
            Health::Unreadable(why) => self.could_not_read(why),
        }
    }

    fn works(&mut self, last: bool) {
        self.device.unreadable = None;
        let alive_for = self.ground.policy.verify.alive_for;
        let Some(incident) = &self.device.memory.incident else {
            if self.device.memory.flight.is_some() {
                // A write that does not return may still change the device.
                return self.stay_left();
            }
            // Somebody else has brought a device back that was left alone, and its mark ends.
            self.record(Record::Verified(Health::Works));
            return self.close(End::Healed);
        };
        let acted = incident.acted;
        self.record(Record::Verified(Health::Works));
        if !acted {
            self.close(End::Healed);
        } else if last || alive_for.is_zero() {
            self.close(End::Recovered);
        } else {
            self.device.stage = Stage::Proving { until: self.ground.now.plus(alive_for) };
        }
    }

    fn is_sick(&mut self, health: Health) {
        self.device.unreadable = None;
        let unverified = self.device.memory.unverified;
        let Some(incident) = &self.device.memory.incident else {
            if unverified {
                self.record(Record::Verified(health));
            }
            return self.stay_left();
        };
        self.device.found_sick = true;
        let believed = incident.advice == Advice::Nothing;
        if believed || unverified {
            self.record(Record::Verified(health));
        }
        if believed {
            // The driver said that nothing is needed. The device says otherwise.
            self.record(Record::Advised(Advice::Any));
        }
        self.proceed();
    }

    fn stay_left(&mut self) {
        self.device.stage = Stage::Left { look: self.ground.now.plus(self.ground.policy.recheck) };
    }

    /// Takes no action on what cannot be read: looks again for a while, then leaves the device alone.
    pub(super) fn could_not_read(&mut self, why: String) {
        let now = self.ground.now;
        if self.device.memory.incident.is_none() {
            return self.stay_left();
        }
        let since = *self.device.unreadable.get_or_insert(now);
        if now.since(since) >= self.ground.policy.verify.deadline {
            self.leave(Left::Unreadable(why));
        } else {
            self.wait(Wait::Unreadable, Some(now.plus(AGAIN)));
        }
    }
}
