//! What each step of an unplug does here. Their order is [`lifeboat_core::unplug`]'s.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::fence::FenceError;
use lifeboat_core::minor::Minor;
use lifeboat_core::unplug::{Loss, Teardown};
use lifeboat_driver::Driver;
use lifeboat_pci::{ConfigSpace, Function};
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::Mutex;
use lifeboat_sync::{Holdout, Holdouts};

use crate::aside::{GoingOff, aside};
use crate::base::{self, Base};
use crate::irq::Interrupts;
use crate::ledger::Entry;
use crate::link::Link;
use crate::locks;
use crate::rest::{REST_LIMIT, Rest, cut_dma_off};
use crate::subsystem::Subsystem;
use crate::watchdog::Watching;

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
    pub minor: Minor,
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
    /// The driver's own threads that did not come back in time, if any, by where in the driver they are: in an access to a
    /// register, in a fence's callback, or in the drop of a job.
    pub threads_held: Option<Holdouts>,
    /// The section of the driver's code that had lasted for longer than
    /// [`Policy::driver_limit`](crate::Policy::driver_limit), if one had (DRV-3); `age` is that limit. If the code has
    /// not returned since, its thread is lost to the process, and whoever waits above has named it, too.
    pub overstay: Option<Holdout>,
}

impl UnplugReport {
    /// From the announcement to the release.
    pub fn took(&self) -> Duration {
        self.steps.iter().map(|step| step.took).sum()
    }
}

/// The binding's end of the device, as the unplug needs it.
pub(crate) struct Shell<S: Subsystem> {
    base: Arc<Base<S>>,
    link: Arc<Link>,
    function: Arc<dyn Function>,
    config: Arc<dyn ConfigSpace + Send + Sync>,
    interrupts: Arc<Interrupts<S>>,
    rest: Arc<Rest>,
    /// How long is waited twice: from the announcement on, and in the cut.
    drain_limit: Duration,
    announced: Instant,
    /// Until when is waited for what was under way when the loss was announced.
    deadline: Instant,
    /// Interrupts that go off on another thread, because a handler has not ended; tells when they are.
    going_off: Option<GoingOff>,
    /// Until the hardware is cut off.
    watching: Option<Watching>,
    /// Threads that were waited for in vain.
    stragglers: Vec<Holdout>,
    report: Arc<Mutex<UnplugReport>>,
    _entry: Arc<Entry>,
}

impl<S: Subsystem> Shell<S> {
    pub(crate) fn new(
        base: Arc<Base<S>>,
        link: Arc<Link>,
        function: Arc<dyn Function>,
        (interrupts, rest): (Arc<Interrupts<S>>, Arc<Rest>),
        drain_limit: Duration,
        (watching, entry): (Watching, Arc<Entry>),
    ) -> Self {
        let report = UnplugReport {
            minor: base.minor,
            location: base.location.clone(),
            loss: Loss::Unbound,
            device_alive: false,
            steps: Vec::with_capacity(6),
            fences_retired: 0,
            maps_cut: 0,
            holdouts: None,
            registers_held: None,
            threads_held: None,
            overstay: None,
        };
        Self {
            base,
            link,
            config: function.config(),
            function,
            interrupts,
            rest,
            drain_limit,
            announced: Instant::now(),
            deadline: Instant::now(),
            going_off: None,
            watching: Some(watching),
            stragglers: Vec::new(),
            report: Arc::new(Mutex::new(&locks::REPORT, report)),
            _entry: entry,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// What the driver has read at probe.
    pub(crate) fn info(&self) -> <S::Driver as Driver>::Info {
        self.base.info
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

    /// Signals every fence, and answers every flip and vertical blank, that is owed. Waits for nobody: neither for a lock that
    /// is held for long, nor for a thread that is in an access to a register.
    fn tell_users(&self) {
        self.base.scheduler.signal();
        self.base.subsystem.retire();
        self.report.lock().fences_retired = self.base.scheduler.lost();
    }

    /// Drops what jobs kept, and waits for what other threads have in hand.
    fn settle(&mut self, deadline: Instant) {
        let scheduler = &self.base.scheduler;
        if !scheduler.deliver(left(deadline)) && left(deadline).is_zero() {
            let place = scheduler.doing();
            self.straggler(place, base::name(self.base.minor));
        }
        self.report.lock().fences_retired = self.base.scheduler.lost();
    }

    /// Notes who was waited for in vain.
    fn straggler(&mut self, place: Option<&'static Location<'static>>, thread: String) {
        // The thread has come back since.
        let Some(place) = place else { return };
        tracing::error!(%place, thread, "unplug goes on without waiting for this thread");
        self.stragglers.retain(|other| other.place != place);
        self.stragglers.push(Holdout { place, age: self.announced.elapsed(), thread });
        self.report.lock().threads_held = Some(self.stragglers.iter().cloned().collect());
    }

    /// Interrupts off. What a bus does there waits for handlers that run; one of them may be in an access that does not end.
    fn interrupts_off(&mut self, deadline: Instant) {
        let Err(place) = self.interrupts.close(deadline) else { return self.function.irq_disable() };
        self.straggler(Some(place), "an interrupt handler".to_owned());
        self.going_off = Some(GoingOff::begin(self.function.clone()));
    }
}

/// Time that handlers and sections have at least to end in the cut.
const LEAST: Duration = Duration::from_millis(100);

/// How much time is left.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

impl<S: Subsystem> Teardown for Shell<S> {
    fn announce(&mut self, loss: Loss) {
        self.step("announce", |shell| {
            shell.announced = Instant::now();
            shell.deadline = deadline_after(shell.drain_limit);
            shell.report.lock().loss = loss;
            // Wedged: out of use, and not gone.
            shell.link.announce(if let Loss::Wedged(failure) = loss { Some(failure) } else { None });
            shell.base.scheduler.lose(FenceError::Lost);
        });
    }

    fn retire(&mut self) {
        self.step("retire", |shell| {
            shell.tell_users();
            shell.settle(shell.deadline);
        });
    }

    fn drain(&mut self) {
        self.step("drain", |shell| {
            // Shut since the announcement: sections have had all the time that other threads were waited for.
            if let Err(holdouts) = shell.link.gate.drain(left(shell.deadline)) {
                tracing::error!(%holdouts, "unplug goes on without waiting for them");
                shell.report.lock().holdouts = Some(holdouts);
            }
        });
    }

    fn sweep(&mut self) {
        self.step("sweep", |shell| {
            // Submissions that were past their entry when the loss was announced. The display has taken nothing since.
            shell.tell_users();
            shell.base.subsystem.sweep();
            shell.settle(shell.deadline);
        });
    }

    fn cut(&mut self) {
        self.step("cut", |shell| {
            let deadline = deadline_after(shell.drain_limit);
            let scheduler = &shell.base.scheduler;
            // The worker stops the device before it ends, which takes no longer than a reset; unless there is no driver that
            // could.
            let stop_limit = if shell.link.is_asked_nothing() { Duration::ZERO } else { REST_LIMIT };
            let ended = scheduler.close(shell.drain_limit.saturating_add(stop_limit));
            if !ended && left(deadline).is_zero() {
                let place = scheduler.doing();
                shell.straggler(place, base::name(shell.base.minor));
            }
            if shell.rest.is_due() && !shell.link.is_asked_nothing() {
                // The driver's code that holds the worker could hold this thread, too.
                let (rest, link) = (shell.rest.clone(), shell.link.clone());
                aside("lifeboat-stop", REST_LIMIT, move || rest.bring::<S::Driver>(&link));
            }
            shell.report.lock().device_alive = shell.rest.end();
            cut_dma_off(&*shell.config);
            let maps = shell.base.subsystem.cut();
            shell.report.lock().maps_cut = maps;
            // Also if the worker took all of the time: a handler or a section that has just begun is not blamed.
            let deadline = deadline.max(Instant::now() + LEAST);
            shell.interrupts_off(deadline);
            if let Err(held) = shell.link.hardware.revoke(left(deadline)) {
                tracing::error!(%held, "the hardware's mappings stay until they end");
                shell.report.lock().registers_held = Some(held);
            }
            // Whoever is still in there: the function is about to be another's.
            shell.link.blow_fuse();
            shell.watching = None;
            shell.report.lock().overstay = shell.link.overstay().cloned();
            shell.base.scheduler.hardware_gone();
            shell.tell_users();
            shell.settle(deadline);
            shell.base.subsystem.clear();
        });
    }

    fn release(&mut self) {
        self.step("release", |shell| {
            shell.link.announce(None);
            match shell.going_off.take() {
                Some(off) => off.release(),
                None => shell.function.release(),
            }
        });
    }
}
