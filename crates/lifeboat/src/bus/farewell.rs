//! The end of a binding that is not told yet.
//!
//! A driver that reads all-ones knows that its device does not answer, and not why. A moment later the slot may say that it was
//! removed, or the next probe may find another device in its place. So the report is kept until that is known, for a short
//! while; it is told once.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::lifecycle::{For, LifecycleState};
use lifeboat_core::unplug::Loss;

use crate::UnplugReport;

pub(super) struct Farewell {
    report: Arc<UnplugReport>,
    until: Instant,
}

impl Farewell {
    pub(super) fn new(report: Arc<UnplugReport>, until: Instant) -> Self {
        Self { report, until }
    }

    /// When it is told at the latest.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Whether nothing more is to be learned soon.
    pub(super) fn is_due(&self, state: LifecycleState, now: Instant) -> bool {
        let silent = matches!(self.report.loss, Loss::FellOff | Loss::LinkDown);
        let open = match state {
            LifecycleState::Ending(_) | LifecycleState::Recovering(_) | LifecycleState::Waiting(For::ReadyAgain) => {
                true
            }
            LifecycleState::Waiting(For::Turn) | LifecycleState::LinkDown => silent,
            _ => false,
        };
        !open || self.until <= now
    }

    /// The report. `loss` is what is known by now; it counts if it says what became of the device.
    pub(super) fn report(self, loss: Loss) -> Arc<UnplugReport> {
        let explains = match loss {
            Loss::Unplugged => matches!(self.report.loss, Loss::FellOff | Loss::LinkDown),
            Loss::Replaced => !matches!(self.report.loss, Loss::Unplugged | Loss::Unbound),
            _ => false,
        };
        if explains { Arc::new(UnplugReport { loss, ..UnplugReport::clone(&self.report) }) } else { self.report }
    }
}
