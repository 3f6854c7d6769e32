// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The one end of a binding. The driver begins it when it finds the device lost, or the bus when it
//! removes the device.
//!
//! A lost device is announced, retired and cut off at once, by a work item; the remove callback, whenever it comes,
//! then only releases. A device that is removed first takes the whole path in the callback.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};
use lifeboat_core::health::Verdict;
use lifeboat_core::unplug::{Bound, Cut, Loss};

use crate::clock::Clock;
use crate::device::{Device, Lose};
use crate::glue::{disable, lint::Ownership};
use crate::health;
use crate::removals::{Step, Stopwatch, Trigger};
use crate::shown::Shown;
use crate::teardown::Shell;

/// How far the binding is on the path of `lifeboat_core::unplug`, between two calls.
enum Progress {
    /// The device is driven.
    Bound(Bound<Shell>),
    /// The device was lost, and the bus has not come for it yet.
    Cut(Cut<Shell>),
    /// The binding is over, or has not begun.
    Released,
}

/// A binding: a device that is driven, until the bus or the driver ends it.
#[pin_data]
pub(crate) struct Binding {
    device: Arc<Device>,
    /// Refers to the device until it is carried through.
    #[pin]
    progress: Mutex<Progress>,
    #[pin]
    loss_work: Work<Binding, LOSS>,
}

/// Number of the work item that ends a lost binding.
const LOSS: u64 = 0;

impl_has_work! {
    impl HasWork<Self, LOSS> for Binding { self.loss_work }
}

impl WorkItem<LOSS> for Binding {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.lose();
    }
}

impl Lose for Binding {
    fn lose_soon(self: Arc<Self>) {
        let device = self.device.clone();
        // An error only says that it is on its way already, or that the binding is being released.
        let _ = device.shared.queue.enqueue::<_, LOSS>(self);
    }
}

impl Binding {
    /// Takes charge of a device, whose binding ends by the whole path from here on.
    pub(crate) fn begin(device: Arc<Device>) -> Result<Arc<Self>> {
        let progress = Progress::Bound(Bound::new(Shell::new(device.clone())));
        let held = device.clone();
        let this = Arc::pin_init(
            pin_init!(Self {
                device: held,
                progress <- new_mutex!(progress, "lifeboat::binding"),
                loss_work <- new_work!("lifeboat::loss"),
            }),
            GFP_KERNEL,
        )?;
        device.set_binding(Some(this.clone()));
        Ok(this)
    }

    /// Ends the binding of a lost device, but for the release. Runs as a work item of its own, since
    /// it stops all others.
    fn lose(&self) {
        let device = &self.device;
        device.link.begin_end();
        let _owner = Ownership::begin();
        let loss = device.loss.lock().unwrap_or(Loss::FellOff);
        let mut progress = self.progress.lock();
        *progress = match core::mem::replace(&mut *progress, Progress::Released) {
            Progress::Bound(bound) => {
                let cut = cut(device, bound, health::verdict(device), loss, Trigger::Health);
                let removal = *device.removal.lock();
                dev_notice!(device.pci, "the device is lost, and cut off: {}\n", Shown(removal));
                Progress::Cut(cut)
            }
            other => other,
        };
    }

    /// Ends the binding. Only the first call does anything; when it returns, all is done that a loss
    /// had left to do.
    pub(crate) fn unbind(self: &Arc<Self>, trigger: Trigger) {
        let device = &self.device;
        // First of all, since a reset that is under way holds a lock that the verdict needs.
        device.link.begin_end();
        let _owner = Ownership::begin();
        let clock = Clock::start();
        let mut stopwatch = Stopwatch::start();
        let progress = core::mem::replace(&mut *self.progress.lock(), Progress::Released);
        stopwatch.lap(Step::Turn, &mut device.removal.lock());
        let cut = match progress {
            Progress::Bound(bound) => {
                let verdict = health::verdict(device);
                stopwatch.lap(Step::Verdict, &mut device.removal.lock());
                let loss = if verdict == Verdict::Alive { Loss::Unbound } else { Loss::Unplugged };
                cut(device, bound, verdict, loss, trigger)
            }
            Progress::Cut(cut) => cut,
            Progress::Released => return,
        };
        // The work item may be waiting for the lock; nothing is left for it to do.
        let mut stopwatch = Stopwatch::start();
        device.set_binding(None);
        disable::<Self, LOSS>(self);
        stopwatch.lap(Step::Turn, &mut device.removal.lock());
        cut.release();
        if trigger == Trigger::Probe {
            return;
        }
        let removal = {
            let mut removal = device.removal.lock();
            removal.remove_us = clock.elapsed_us();
            *removal
        };
        device.shared.removals.record(removal);
        dev_info!(device.pci, "{}\n", Shown(removal));
    }
}

fn cut(device: &Device, bound: Bound<Shell>, verdict: Verdict, loss: Loss, trigger: Trigger) -> Cut<Shell> {
    {
        let mut removal = device.removal.lock();
        removal.verdict = verdict;
        removal.trigger = trigger;
    }
    device.dump.ends(device, loss);
    bound.announce(loss).retire().drain().sweep().cut()
}
