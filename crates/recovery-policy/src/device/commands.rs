//! Commands of operators.

use alloc::string::String;

use super::Turn;
use crate::event::{Command, Denied};
use crate::record::{End, Record};
use crate::stage::{Stage, Wait};

impl Turn<'_, '_> {
    pub(super) fn command(&mut self, by: String, command: Command) -> Result<(), Denied> {
        match command {
            Command::Hold => self.record(Record::Held { by }),
            Command::Release => self.release(by)?,
            Command::Clear => self.clear(by)?,
            Command::Approve => self.approve(by)?,
        }
        Ok(())
    }

    fn release(&mut self, by: String) -> Result<(), Denied> {
        if self.device.memory.held.is_none() {
            return Err(Denied::NotHeld);
        }
        self.record(Record::Released { by });
        if matches!(self.device.stage, Stage::Waiting { why: Wait::Held, .. }) {
            self.proceed();
        }
        Ok(())
    }

    /// Forgets the incident. A step that is under way cannot be forgotten: it may still write.
    fn clear(&mut self, by: String) -> Result<(), Denied> {
        if self.device.memory.flight.is_some() || self.device.stage == Stage::Resuming {
            return Err(Denied::UnderWay);
        }
        self.record(Record::Cleared { by });
        if self.device.memory.incident.is_some() {
            self.close(End::Cleared);
        }
        self.device.stage = Stage::Fine;
        Ok(())
    }

    fn approve(&mut self, by: String) -> Result<(), Denied> {
        let waits = matches!(self.device.stage, Stage::Waiting { why: Wait::Approval, .. });
        let Some((step, _)) = self.device.asked.filter(|_| waits) else { return Err(Denied::NothingToApprove) };
        self.record(Record::Approved { by, step });
        self.proceed();
        Ok(())
    }
}
