// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A binding: a device that is driven, until its one end. The station of the binding on the path of `lifeboat_core::unplug` is its type's
//! to say; a binding that is dropped takes what is left of the path.

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::{Bound, Cut, Loss};
use lifeboat_core::wedge::Failure;
use lifeboat_driver::Driver;

use crate::clock::Clock;
use crate::device::Device;
use crate::glue::wedged_event;
use crate::health;
use crate::registration::Driven;
use crate::removals::{Step, Stopwatch, Trigger};
use crate::shown::Shown;
use crate::teardown::Shell;

/// See the module documentation.
pub(crate) struct Binding {
    device: Arc<Device>,
    progress: Progress,
}

enum Progress {
    /// The device is driven.
    Bound(Bound<Shell>),
    /// The device is wedged.
    Cut(Cut<Shell>),
}

/// The circumstances of a binding's end.
#[derive(Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) trigger: Trigger,
    /// Verdict on the device, if somebody has looked.
    pub(crate) verdict: Option<Verdict>,
    /// The moment at which the end began.
    pub(crate) clock: Clock,
}

impl Ending {
    /// An end that begins now, for this reason.
    pub(crate) fn now(trigger: Trigger) -> Self {
        Self { trigger, verdict: None, clock: Clock::start() }
    }
}

impl Binding {
    /// Takes charge of a device, whose binding ends by the whole path from here on.
    pub(crate) fn begin(device: Arc<Device>) -> Self {
        let progress = Progress::Bound(Bound::new(Shell::new(device.clone())));
        Self { device, progress }
    }

    pub(crate) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Whether the device is wedged.
    pub(crate) fn is_wedged(&self) -> bool {
        matches!(self.progress, Progress::Cut(_))
    }

    /// Cuts off a device that has failed for good, and tells the system. Its nodes stay.
    pub(crate) fn wedge(self, failure: Failure) -> Self {
        let Self { device, progress } = self;
        let Progress::Bound(bound) = progress else { return Self { device, progress } };
        let cut = cut(&device, bound, Loss::Wedged(failure), Ending::now(Trigger::Health));
        let removal = *device.removal.lock();
        dev_err!(device.pci, "the device is wedged, since {}: {}\n", Shown(failure), Shown(removal));
        if let Some(nodes) = device.nodes.lock().as_ref() {
            // Only a reset that failed was somebody's.
            let task = if failure == Failure::ResetFailed { *device.blamed.lock() } else { None };
            if let Err(error) = wedged_event(&cut, nodes.drm(), Driven::FACTS.methods, task) {
                dev_err!(device.pci, "nobody was told that the device is wedged: {error:?}\n");
            }
        }
        Self { device, progress: Progress::Cut(cut) }
    }

    /// Ends the binding, and with it all that there is of the device but what programs hold.
    pub(crate) fn end(self, loss: Loss, ending: Ending) {
        let Self { device, progress } = self;
        let cut = match progress {
            Progress::Bound(bound) => cut(&device, bound, loss, ending),
            Progress::Cut(cut) => cut,
        };
        device.forget_owner();
        cut.release();
        if ending.trigger == Trigger::Probe {
            return;
        }
        let removal = {
            let mut removal = device.removal.lock();
            removal.remove_us = ending.clock.elapsed_us();
            *removal
        };
        device.shared.removals.record(removal);
        dev_info!(device.pci, "{}\n", Shown(removal));
    }
}

fn cut(device: &Device, bound: Bound<Shell>, loss: Loss, ending: Ending) -> Cut<Shell> {
    // First of all, since a reset that is under way holds a lock that the verdict needs.
    device.link.begin_end();
    let mut stopwatch = Stopwatch::start();
    let verdict = ending.verdict.unwrap_or_else(|| health::verdict(device));
    {
        let mut removal = device.removal.lock();
        stopwatch.lap(Step::Verdict, &mut removal);
        removal.verdict = verdict;
        removal.trigger = ending.trigger;
    }
    device.dump.ends(device, loss);
    bound.announce(loss).retire().drain().sweep().cut()
}
