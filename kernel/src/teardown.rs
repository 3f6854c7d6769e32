// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The steps of an unplug. Their order is that of `lifeboat_core::unplug`.
//!
//! The health verdict, taken just before the unplug begins, decides between two paths. *Ordered*:
//! the device answers, so it is masked and reset, and waited for. *Short*: it does not, and nothing
//! waits for hardware. Both end with bus mastering off, interrupts given back and no way left to
//! the registers. No step waits without a limit: work items and handlers end by themselves, and the
//! reset that one of them may be in ends before its next step (`drive`).

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::unplug::{Loss, Teardown};
use lifeboat_driver::Driver;

use crate::clock::Clock;
use crate::device::{Device, DeviceState, HEALTH, LOAD};
use crate::drive::drive_at_the_end;
use crate::glue::{disable, disable_delayed};
use crate::registration::Driven;
use crate::removals::{Step, Stopwatch};
use crate::ring::Rings;
use crate::shown::Shown;

/// The binding's end of the device.
pub(crate) struct Shell {
    device: Arc<Device>,
    began: Option<Clock>,
    stopwatch: Stopwatch,
}

impl Shell {
    pub(crate) fn new(device: Arc<Device>) -> Self {
        Self { device, began: None, stopwatch: Stopwatch::start() }
    }

    fn lap(&mut self, step: Step) {
        self.stopwatch.lap(step, &mut self.device.removal.lock());
    }
}

impl Teardown for Shell {
    fn announce(&mut self, loss: Loss) {
        self.began = Some(Clock::start());
        self.stopwatch = Stopwatch::start();
        let device = &self.device;
        device.gate.shut(loss);
        device.end_in(if matches!(loss, Loss::Wedged(_)) { DeviceState::Wedged } else { DeviceState::Gone });
        device.removal.lock().loss = loss;
        device.load.set(false);
        device.engine.lose();
    }

    fn retire(&mut self) {
        self.device.engine.deliver();
    }

    // Waits for whole operations of users, and of the load.
    fn drain(&mut self) {
        self.device.gate.drain();
        disable::<Device, LOAD>(&self.device);
    }

    fn sweep(&mut self) {
        self.device.engine.deliver();
        if let Some(nodes) = self.device.nodes.lock().as_ref() {
            nodes.drm().zap();
            nodes.drm().wake_files();
        }
        self.lap(Step::Jobs);
    }

    fn cut(&mut self) {
        let device = self.device.clone();
        disable_delayed::<Device, HEALTH>(&device);
        device.engine.detach();
        device.dump.complete(&*device);
        self.lap(Step::Work);
        if device.removal.lock().is_ordered() {
            if let Err(error) = drive_at_the_end(&device.link, Driven::shut_down()) {
                dev_notice!(device.pci, "not shut down, DMA is cut off all the same: {}\n", Shown(error));
            }
        }
        // A device that did not answer as it should must not reach memory either.
        if let Some(enabled) = device.enabled.lock().as_ref() {
            enabled.clear_master();
        }
        self.lap(Step::Quiesce);
        let interrupts = device.interrupts.lock().take();
        drop(interrupts);
        self.lap(Step::Interrupts);
        if !device.link.cut() {
            dev_err!(device.pci, "a register section has not ended; its mapping stays until it does\n");
        }
        device.engine.hardware_gone();
        device.engine.deliver();
        let left = device.engine.jobs_left();
        if left > 0 {
            dev_err!(device.pci, "{left} jobs were leaked: their fences have not signalled\n");
        }
        // Nothing of the device's reaches a buffer any more, and neither does it reach another device's.
        device.memory.cut();
        self.lap(Step::Registers);
        {
            let mut removal = device.removal.lock();
            removal.unplug_us = self.began.map_or(0, |clock| clock.elapsed_us());
            removal.retired = device.counters.jobs_retired.get();
        }
    }

    fn release(&mut self) {
        self.stopwatch = Stopwatch::start();
        // The kernel's part, which takes as long as it takes: users have been told by now, and the hardware is off.
        let nodes = self.device.nodes.lock().take();
        drop(nodes);
        self.lap(Step::Nodes);
        let device = &self.device;
        device.load.close();
        device.dump.close();
        let rings: Rings = core::mem::take(&mut *device.rings.lock());
        drop(rings);
        let enabled = device.enabled.lock().take();
        drop(enabled);
        device.end_in(DeviceState::Removed);
        self.lap(Step::Release);
    }
}
