//! The base's part of a device: what every device has for its users, whatever its kind. It gives no
//! way to the hardware.

use std::sync::Arc;

use lifeboat_core::minor::Minor;
use lifeboat_driver::Driver;

use crate::ledger::Ledger;
use crate::loaded::{HeldMinor, Loaded};
use crate::sched::Scheduler;
use crate::subsystem::Subsystem;

/// One device. Freed when its binding and its last user are gone.
pub struct Base<S: Subsystem> {
    /// The device's number.
    pub(crate) minor: Minor,
    /// Where it is, or was, plugged in.
    pub(crate) location: String,
    /// What the driver has read at probe.
    pub(crate) info: <S::Driver as Driver>::Info,
    /// Credits that a job may take whichever ring it comes to: those of the smallest.
    pub(crate) credits: u32,
    pub(crate) scheduler: Scheduler<S::Job>,
    pub(crate) subsystem: Arc<S>,
    pub(crate) ledger: Ledger,
    // Declared last: the number is free again only after all else of the device is gone.
    _number: HeldMinor,
    _module: Arc<Loaded>,
}

/// What a device is called in the names of its fences and threads.
pub(crate) fn name(minor: Minor) -> String {
    format!("lifeboat{minor}")
}

impl<S: Subsystem> Base<S> {
    /// The device's number.
    pub fn minor(&self) -> Minor {
        self.minor
    }

    /// Where it is, or was, plugged in.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What the driver has read of it at probe.
    pub fn info(&self) -> &<S::Driver as Driver>::Info {
        &self.info
    }

    /// Credits that a job may take whichever ring it comes to, in what [`Driver::cost`] counts.
    pub fn credits(&self) -> u32 {
        self.credits
    }

    /// Its scheduler.
    pub fn scheduler(&self) -> &Scheduler<S::Job> {
        &self.scheduler
    }

    /// The subsystem's part of it.
    pub fn subsystem(&self) -> &Arc<S> {
        &self.subsystem
    }

    /// Counts what is made of it.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn new(
        module: &Arc<Loaded>,
        number: HeldMinor,
        location: &str,
        (info, credits): (<S::Driver as Driver>::Info, u32),
        scheduler: Scheduler<S::Job>,
        subsystem: Arc<S>,
    ) -> Self {
        Self {
            minor: number.number,
            location: location.to_owned(),
            info,
            credits,
            scheduler,
            subsystem,
            ledger: module.ledger.clone(),
            _number: number,
            _module: module.clone(),
        }
    }
}
