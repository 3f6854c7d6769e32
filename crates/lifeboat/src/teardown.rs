//! What each step of an unplug does here. Their order is [`lifeboat_core::unplug`]'s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::fence::FenceError;
use lifeboat_core::unplug::{Loss, Teardown};
use lifeboat_pci::{ConfigSpace, Function};
use lifeboat_sync::lint::Mutex;
use lifeboat_sync::{Holdouts, Reader};

use crate::device::Device;
use crate::ledger::Entry;
use crate::link::Link;
use crate::locks;
use crate::reset::quiesce;

/// How long one step took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// The step.
    pub name: &'static str,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
}

/// How an unplug went.
#[derive(Debug, Clone)]
pub struct UnplugReport {
    /// The device's number.
    pub minor: u32,
    /// Where it was plugged in.
    pub location: String,
    /// What ended the binding.
    pub loss: Loss,
    /// Whether the device answered when it was cut off.
    pub device_alive: bool,
    /// Each step, in order.
    pub steps: Vec<StepTime>,
    /// Fences that signalled ENODEV.
    pub fences_retired: usize,
    /// Maps that nothing of the device is behind any more: those of users, and what other devices had of its VRAM.
    pub maps_cut: usize,
    /// Sections that did not end in time, if any.
    pub holdouts: Option<Holdouts>,
    /// Register sections that did not end in time, if any. The hardware's mappings stay until they do.
    pub registers_held: Option<Holdouts>,
}

impl UnplugReport {
    /// From the announcement to the release.
    pub fn took(&self) -> Duration {
        self.steps.iter().map(|step| step.took).sum()
    }
}

/// The binding's end of the device, as the unplug needs it.
pub(crate) struct Shell {
    device: Device,
    link: Arc<Link>,
    function: Arc<dyn Function>,
    config: Arc<dyn ConfigSpace + Send + Sync>,
    /// On whose behalf the registers are used for the last time.
    last: Reader,
    drain_limit: Duration,
    report: Arc<Mutex<UnplugReport>>,
    _entry: Entry,
}

impl Shell {
    pub(crate) fn new(
        device: Device,
        link: Arc<Link>,
        function: Arc<dyn Function>,
        drain_limit: Duration,
        entry: Entry,
    ) -> Self {
        let report = UnplugReport {
            minor: device.info().minor,
            location: device.info().location.clone(),
            loss: Loss::Unbound,
            device_alive: false,
            steps: Vec::with_capacity(6),
            fences_retired: 0,
            maps_cut: 0,
            holdouts: None,
            registers_held: None,
        };
        Self {
            device,
            link,
            config: function.config(),
            function,
            last: Reader::new("unplug"),
            drain_limit,
            report: Arc::new(Mutex::new(&locks::REPORT, report)),
            _entry: entry,
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Filled in as the steps go by.
    pub(crate) fn report(&self) -> Arc<Mutex<UnplugReport>> {
        self.report.clone()
    }

    fn step(&mut self, name: &'static str, act: impl FnOnce(&mut Self)) {
        let began = Instant::now();
        act(self);
        self.report.lock().steps.push(StepTime { name, began, took: began.elapsed() });
    }

    /// Signals every fence that is owed.
    fn deliver(&self) {
        if !self.device.0.scheduler.deliver(self.drain_limit) {
            tracing::error!("a fence callback has not returned; it must not block");
        }
        self.report.lock().fences_retired = self.device.0.scheduler.lost();
    }
}

impl Teardown for Shell {
    fn announce(&mut self, loss: Loss) {
        self.step("announce", |shell| {
            shell.report.lock().loss = loss;
            // Wedged: out of use, and not gone.
            shell.link.announce(if let Loss::Wedged(failure) = loss { Some(failure) } else { None });
            shell.device.0.scheduler.lose(FenceError::Lost);
        });
    }

    fn retire(&mut self) {
        self.step("retire", |shell| {
            shell.device.0.display.lose();
            shell.deliver();
        });
    }

    fn drain(&mut self) {
        self.step("drain", |shell| {
            if let Err(holdouts) = shell.link.gate.drain(shell.drain_limit) {
                tracing::error!(%holdouts, "unplug goes on without waiting for them");
                shell.report.lock().holdouts = Some(holdouts);
            }
        });
    }

    fn sweep(&mut self) {
        self.step("sweep", |shell| {
            // Submissions that were past their entry when the loss was announced. The display has taken nothing since.
            shell.deliver();
            shell.device.0.display.lose();
            shell.device.0.display.disconnect();
        });
    }

    fn cut(&mut self) {
        self.step("cut", |shell| {
            if !shell.device.0.scheduler.close(shell.drain_limit) {
                tracing::error!("the device's worker has not ended; a fence callback is blocking it");
            }
            // Nobody but this step takes the registers away.
            let bound = shell.link.bound_by(&mut shell.last);
            let alive = bound.is_some_and(|bound| quiesce(&bound, &*shell.config));
            shell.report.lock().device_alive = alive;
            let maps = shell.device.0.maps.cut();
            shell.report.lock().maps_cut = maps;
            shell.function.irq_disable();
            if let Err(held) = shell.link.hardware.revoke(shell.drain_limit) {
                tracing::error!(%held, "the hardware's mappings stay until they end");
                shell.report.lock().registers_held = Some(held);
            }
            shell.device.0.scheduler.hardware_gone();
            shell.deliver();
            shell.device.0.display.clear();
        });
    }

    fn release(&mut self) {
        self.step("release", |shell| {
            shell.link.announce(None);
            shell.function.release();
        });
    }
}
