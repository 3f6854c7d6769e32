// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Looks at the device now and then. What they mean is `lifeboat_core::vitals`'s to say.

use kernel::{
    prelude::*,
    sync::Arc,
    workqueue::{impl_has_delayed_work, WorkItem},
};
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Health;
use lifeboat_driver::{Driver, DriverError, Identity};
use lifeboat_pci::BusError;

use crate::clock::jiffies;
use crate::device::{Device, DeviceState, HEALTH};
use crate::registration::Driven;
use crate::watcher::period;

impl_has_delayed_work! {
    impl HasDelayedWork<Self, HEALTH> for Device { self.health_work }
}

impl WorkItem<HEALTH> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        poll(&this);
    }
}

/// Begins to look at the device now and then.
pub(crate) fn start(device: &Arc<Device>) {
    if period().is_some() {
        look_next(device);
    }
}

fn look_next(device: &Arc<Device>) {
    let due = device.watcher.lock().due_in();
    if let Some(wait) = due {
        // An error only says that it is on its way already, or that the binding is being released.
        let _ = device.shared.queue.enqueue_delayed::<_, HEALTH>(device.clone(), jiffies(wait));
    }
}

/// Looks at the device once. A device that is gone, hung, or replaced ends here and now; one that
/// is not well is called suspect until it is well again or found to be one of these.
fn poll(device: &Arc<Device>) {
    // Shut: there is nothing more to be learned.
    let Ok(_section) = device.gate.enter() else { return };
    device.counters.health_polls.add(1);
    let health = match look(device) {
        Ok(health) => health,
        // The registers have been cut off meanwhile.
        Err(DriverError::Bus(BusError::Unmapped)) => return,
        Err(DriverError::Gone) => Health::Dead,
        Err(_) => device.watcher.lock().unsure(),
    };
    // Perhaps in the middle of a reset, which the end of the binding has cut short: the device
    // cannot be judged.
    if device.link.is_ending() {
        return;
    }
    if !matches!(health, Health::Alive { .. }) {
        device.counters.health_failures.add(1);
    }
    match health {
        Health::Alive { .. } if is_another(device) => {
            dev_err!(device.pci, "another device is in the place of this one\n");
            return device.report_loss(Loss::Replaced);
        }
        Health::Alive { .. } => {
            if device.change(DeviceState::Suspect, DeviceState::Ready) {
                dev_notice!(device.pci, "the device is well again\n");
            }
        }
        Health::Suspect { .. } => suspect(device, "its heartbeat stands still"),
        Health::Unsure { .. } => suspect(device, "it answers wrongly"),
        Health::Hung { .. } => {
            dev_err!(device.pci, "the device answers, and does not go on\n");
            return device.report_loss(Loss::Hung);
        }
        Health::Nonsense => {
            dev_err!(device.pci, "the device answers nonsense\n");
            return device.report_loss(Loss::Nonsense);
        }
        Health::Dead => return device.report_loss(Loss::FellOff),
    }
    look_next(device);
}

fn suspect(device: &Device, why: &str) {
    if device.change(DeviceState::Ready, DeviceState::Suspect) {
        dev_warn!(device.pci, "the device is suspect: {why}\n");
    }
}

/// Whether the device is there, when that must be known now. Asks the bus, then the device; waits
/// at most for a look that is under way, or for a reset of the device. The end of the binding cuts
/// a reset short, at its next step; the verdict may be [`Verdict::Unsure`] then.
pub(crate) fn verdict(device: &Device) -> Verdict {
    if device.enabled.lock().as_ref().is_some_and(|enabled| enabled.is_disconnected()) {
        return Verdict::Dead;
    }
    let watcher = device.watcher.lock();
    let pattern = watcher.pattern();
    match device.link.io(|io| Driven::computes(io, pattern)) {
        Ok(verdict) => verdict,
        Err(DriverError::Gone) => Verdict::Dead,
        Err(_) => Verdict::Unsure,
    }
}

/// What the device computes, and its heartbeat, if it has one. The watcher is locked: what the device is asked to
/// compute serves one at a time.
fn look(device: &Device) -> Result<Health, DriverError> {
    let mut watcher = device.watcher.lock();
    let pattern = watcher.pattern();
    let (computed, heartbeat) = device.link.io(|io| match Driven::computes(io, pattern)? {
        Verdict::Alive => Ok((Verdict::Alive, Driven::heartbeat(io)?)),
        verdict => Ok((verdict, None)),
    })?;
    device.counters.heartbeat.set(heartbeat.unwrap_or(0).into());
    Ok(watcher.judge(computed, heartbeat))
}

/// Whether another device of this kind answers (LIFE-8).
fn is_another(device: &Device) -> bool {
    let watcher = device.watcher.lock();
    let pattern = watcher.pattern();
    device.link.io(|io| Driven::identify(io, &device.info, pattern)) == Ok(Identity::Other)
}
