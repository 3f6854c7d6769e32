//! Signs: which of them begin an incident, and how the others change one.

use super::{Device, Turn};
use crate::record::Record;
use crate::sign::{Advice, KernelRecovery, Sign, SignKind, Witness};
use crate::stage::{Stage, Wait};

impl Turn<'_, '_> {
    pub(super) fn sign(&mut self, sign: &Sign) {
        if let SignKind::Pci(phase) = sign.kind {
            self.kernel_recovery(phase);
        }
        let Device { memory, .. } = &mut *self.device;
        if memory.incident.is_some() {
            self.echo(sign);
        } else if memory.left.is_some() || memory.flight.is_some() {
            // A device that was left alone stays so, however often it says that it needs help.
            self.device.echoes += 1;
        } else {
            self.sighted(sign);
        }
    }

    /// Counts a sign, and begins an incident if the policy says that it is time.
    fn sighted(&mut self, sign: &Sign) {
        let threshold = self.ground.policy.signals.threshold(sign);
        if self.device.sightings.saw(&sign.kind, threshold, self.ground.now) {
            let incident = self.device.memory.incidents + 1;
            self.device.echoes = 0;
            self.record(Record::Opened { incident, sign: sign.clone() });
            self.proceed();
        }
    }

    /// Takes a sign of the open incident in. A wedged event may give other advice than the first sign.
    fn echo(&mut self, sign: &Sign) {
        self.device.echoes += 1;
        let Some(incident) = &self.device.memory.incident else { return };
        let advice = sign.kind.advice();
        let wedged = matches!(sign.kind, SignKind::Wedged { .. });
        if wedged && advice != Advice::Nothing && advice != incident.advice {
            self.record(Record::Advised(advice));
        }
        let counts = self.ground.policy.signals.threshold(sign).times > 0;
        if counts && matches!(self.device.stage, Stage::Proving { .. }) {
            self.verify(false);
        }
    }

    /// Waits for a recovery that the kernel makes by itself, or goes on after it.
    fn kernel_recovery(&mut self, phase: KernelRecovery) {
        let waits =
            matches!(self.device.stage, Stage::Waiting { .. } | Stage::Surveying { .. } | Stage::Locking { .. });
        match phase {
            KernelRecovery::Began => {
                let until = self.ground.now.plus(self.ground.policy.kernel);
                self.device.kernel = Some(until);
                if waits {
                    self.wait(Wait::KernelRecovers, Some(until));
                }
            }
            KernelRecovery::Succeeded => {
                self.device.kernel = None;
                if waits {
                    self.verify(false);
                }
            }
            KernelRecovery::Failed => {
                self.device.kernel = None;
                if waits {
                    self.proceed();
                }
            }
        }
    }

    /// Gives up waiting for the kernel's own recovery: without an incident, its silence is the sign of one.
    pub(super) fn kernel_is_late(&mut self) {
        self.device.kernel = None;
        if self.device.memory.incident.is_none() {
            self.sign(&Sign { kind: SignKind::Pci(KernelRecovery::Failed), witness: Witness::KernelEvent });
        } else if matches!(self.device.stage, Stage::Waiting { why: Wait::KernelRecovers, .. }) {
            self.proceed();
        }
    }

    /// Looks at a device that something has changed about: someone else may have brought it back.
    pub(super) fn changed(&mut self) {
        if matches!(self.device.stage, Stage::Waiting { .. } | Stage::Left { .. }) {
            self.verify(false);
        }
    }
}
