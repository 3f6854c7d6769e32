//! The binding: a driver bound to a function, from probe to unplug. It belongs to the bus side and is never counted.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::minor::Minor;
use lifeboat_core::recovery::Unready;
use lifeboat_core::unplug::{Bound, Cut, Loss};
use lifeboat_core::wedge::{self, Failure, Methods};
use lifeboat_driver::{Driver, Identity, Io};
use lifeboat_pci::{Function, offset};
use lifeboat_sync::Gate;
use lifeboat_sync::lint::{Condvar, Mutex};

use crate::dump::{Dump, Recorder};
use crate::link::Link;
use crate::locks;
use crate::panics::contained;
use crate::subsystem::Subsystem;
use crate::teardown::{Shell, UnplugReport};

/// How long a second caller of [`Binding::unplug`] waits for the first.
const SECOND_CALLER_LIMIT: Duration = Duration::from_mins(1);
/// Pattern that a device computes with to show which one it is: neither the pattern nor its
/// complement is all-ones or zero.
const IDENTITY_PATTERN: u32 = 0x0f1e_2d3c;

/// A driver bound to a function. Dropped, it unplugs.
pub struct Binding(Arc<dyn AnyBinding>);

/// A binding of whatever driver.
pub(crate) trait AnyBinding: Send + Sync {
    /// The device, as its subsystem gives it to users; also if it is wedged. `None` once the unplug
    /// has begun.
    fn device(&self) -> Option<Box<dyn Any>>;
    /// The number of the device; `None` once the unplug has begun.
    fn minor(&self) -> Option<Minor>;
    /// See [`Binding::unplug`].
    fn unplug(&self, loss: Loss) -> Option<Arc<UnplugReport>>;
    /// See [`Binding::wedge`].
    fn wedge(&self, failure: Failure, methods: Methods) -> Option<wedge::WedgeEvent>;
    /// What may help if it is wedged.
    fn methods(&self) -> Methods;
    /// What the driver has read of the device at probe.
    fn info(&self) -> Arc<dyn AnyInfo>;
    /// Compares the device that answers with the one that was bound: in configuration space, and
    /// where that says so in its registers. Those of a wedged device are cut off: it is unknown,
    /// and the word of the slot is believed.
    fn identify(&self, function: &dyn Function) -> Identity;
    /// How its end has gone so far.
    fn report(&self) -> UnplugReport;
    /// See [`Binding::dump`].
    fn dump(&self) -> Option<Arc<Dump>>;
    /// See [`Binding::take_dumps`].
    fn take_dumps(&self) -> Vec<Arc<Dump>>;
    /// See [`Binding::last_dump`].
    fn last_dump(&self) -> Option<Arc<Dump>>;
    /// For messages.
    fn state(&self) -> &'static str;
}

/// What some driver has read of some device.
pub(crate) trait AnyInfo: std::fmt::Debug + Send + Sync {
    /// For a comparison.
    fn as_any(&self) -> &dyn Any;
    /// Whether both are the same driver's, and equal.
    fn is_same_as(&self, other: &dyn AnyInfo) -> bool;
}

impl<T: Eq + std::fmt::Debug + Send + Sync + 'static> AnyInfo for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_same_as(&self, other: &dyn AnyInfo) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| self == other)
    }
}

/// A binding to a device of one kind.
struct BindingOf<S: Subsystem> {
    state: Mutex<BindingState<S>>,
    changed: Condvar,
    /// Filled in while the unplug goes on.
    report: Arc<Mutex<UnplugReport>>,
    link: Arc<Link>,
    info: <S::Driver as Driver>::Info,
    dumps: Arc<Recorder<S>>,
}

enum BindingState<S: Subsystem> {
    Bound {
        bound: Bound<Shell<S>>,
        device: S::Device,
    },
    Unplugging,
    /// Cut off, and kept for whoever recovers it.
    Wedged {
        cut: Cut<Shell<S>>,
        device: S::Device,
    },
    Unplugged(Arc<UnplugReport>),
}

impl Binding {
    pub(crate) fn new<S: Subsystem>(shell: Shell<S>, device: S::Device, dumps: Arc<Recorder<S>>) -> Self {
        let (report, link, info) = (shell.report(), shell.link().clone(), shell.info());
        let state = Mutex::new(&locks::BINDING, BindingState::Bound { bound: Bound::new(shell), device });
        Self(Arc::new(BindingOf { state, changed: Condvar::new(), report, link, info, dumps }))
    }

    /// The device as users open it, also if it is wedged. `None` once the unplug has begun, or if
    /// devices of its kind are no `D`: each subsystem has a type of its own.
    pub fn device<D: 'static>(&self) -> Option<D> {
        self.0.device()?.downcast().ok().map(|device| *device)
    }

    /// Ends the binding, by the one path that every loss takes (LIFE-5). When it returns a report, no code of the
    /// driver uses the hardware any more.
    ///
    /// May be called by several threads and repeatedly (LIFE-7): the first does it, the others wait and get the same
    /// report. `None` means that the first has not finished within a minute.
    pub fn unplug(&self, loss: Loss) -> Option<Arc<UnplugReport>> {
        self.0.unplug(loss)
    }

    /// Takes a device that has failed for good out of use, by the same path up to its cut: it
    /// reaches no memory, its fences have signalled, maps lead to nothing (MAP-4), and it refuses
    /// work with what failed (CALL-5). It stays bound, and can be opened, until it is
    /// [unplugged](Self::unplug): that is the first half of any recovery (WEDGE-2).
    ///
    /// Gives what is to be told of it, or `None` if the binding has ended already or is ending.
    /// Allocates nothing (WEDGE-5) on a thread that is [ready](Self::ready_to_wedge), unless
    /// sections do not end in time and are to be named, or more than 32 are open at once. Who tells
    /// of it may, and gets [how it went](Self::report).
    pub fn wedge(&self, failure: Failure, methods: Methods) -> Option<wedge::WedgeEvent> {
        self.0.wedge(failure, methods)
    }

    /// To be called once by a thread that may have to [wedge](Self::wedge) a device: what threads
    /// set up at their first wait and at their first section takes memory, so it is done now.
    pub fn ready_to_wedge() {
        let (lock, never) = (Mutex::new(&locks::BINDING, ()), Condvar::new());
        let _ = never.wait_until(&mut lock.lock(), Instant::now());
        drop(Gate::new().enter());
    }

    /// How its end has gone so far.
    pub fn report(&self) -> UnplugReport {
        self.0.report()
    }

    /// Takes a dump of the device as it is now, whatever it is: recovery by hand begins with one.
    /// It is no incident, and is the [last](Self::last_dump) afterwards. `None` if the device is
    /// wedged, or the binding is ending or has ended; of one that begins to end meanwhile it has
    /// what was found.
    pub fn dump(&self) -> Option<Arc<Dump>> {
        self.0.dump()
    }

    /// The dumps that were captured since this was asked last, oldest first (WEDGE-4): one per
    /// incident, from before anything was reset. There is room for two that nobody has taken; a
    /// third is not captured. A [`Bus`](crate::Bus) takes those of its bindings.
    pub fn take_dumps(&self) -> Vec<Arc<Dump>> {
        self.0.take_dumps()
    }

    /// The dump that was taken last, or made by hand; until the next one, also when the binding has
    /// ended.
    pub fn last_dump(&self) -> Option<Arc<Dump>> {
        self.0.last_dump()
    }

    /// For whoever asks about it on another thread.
    pub(crate) fn any(&self) -> &Arc<dyn AnyBinding> {
        &self.0
    }
}

impl<S: Subsystem> AnyBinding for BindingOf<S> {
    fn device(&self) -> Option<Box<dyn Any>> {
        match &*self.state.lock() {
            BindingState::Bound { device, .. } | BindingState::Wedged { device, .. } => Some(Box::new(device.clone())),
            BindingState::Unplugging | BindingState::Unplugged(_) => None,
        }
    }

    fn minor(&self) -> Option<Minor> {
        let is_there = matches!(&*self.state.lock(), BindingState::Bound { .. } | BindingState::Wedged { .. });
        is_there.then(|| self.report.lock().minor)
    }

    fn unplug(&self, loss: Loss) -> Option<Arc<UnplugReport>> {
        let mut state = self.state.lock();
        loop {
            match std::mem::replace(&mut *state, BindingState::Unplugging) {
                BindingState::Bound { bound, device } => {
                    drop(state);
                    drop(device);
                    self.cut(bound, loss).release();
                    return Some(self.unplugged());
                }
                // It has come so far already.
                BindingState::Wedged { cut, device } => {
                    drop(state);
                    drop(device);
                    cut.release();
                    return Some(self.unplugged());
                }
                BindingState::Unplugged(report) => {
                    *state = BindingState::Unplugged(report.clone());
                    return Some(report);
                }
                BindingState::Unplugging => {
                    let pending = |state: &mut BindingState<S>| matches!(state, BindingState::Unplugging);
                    self.changed.wait_while_for(&mut state, pending, SECOND_CALLER_LIMIT);
                    if matches!(*state, BindingState::Unplugging) {
                        return None;
                    }
                }
            }
        }
    }

    fn wedge(&self, failure: Failure, methods: Methods) -> Option<wedge::WedgeEvent> {
        let mut state = self.state.lock();
        let (bound, device) = match std::mem::replace(&mut *state, BindingState::Unplugging) {
            BindingState::Bound { bound, device } => (bound, device),
            other => {
                *state = other;
                return None;
            }
        };
        drop(state);
        let loss = Loss::Wedged(failure);
        let cut = self.cut(bound, loss);
        let event = wedge::WedgeEvent::new(&cut, methods, None);
        tracing::error!(minor = self.report.lock().minor.0, %failure, ?event, "wedged");
        self.enter(BindingState::Wedged { cut, device });
        Some(event)
    }

    fn methods(&self) -> Methods {
        S::Driver::FACTS.methods
    }

    fn info(&self) -> Arc<dyn AnyInfo> {
        Arc::new(self.info)
    }

    fn identify(&self, function: &dyn Function) -> Identity {
        let facts = &S::Driver::FACTS;
        match function.config().read32(offset::ID) {
            Ok(id) if facts.binds_to(id) => {
                let ask = |io: &Io<'_>| S::Driver::identify(io, &self.info, IDENTITY_PATTERN);
                // Silence is not reported as a loss: the slot has just told what happened.
                let answer = self.link.access(|hardware| self.link.run(hardware, ask));
                answer.and_then(Result::ok).unwrap_or(Identity::Unknown)
            }
            Ok(id) if Unready::of(id).is_none() => Identity::Other,
            Ok(_) | Err(_) => Identity::Unknown,
        }
    }

    fn report(&self) -> UnplugReport {
        self.report.lock().clone()
    }

    fn dump(&self) -> Option<Arc<Dump>> {
        let bound = matches!(&*self.state.lock(), BindingState::Bound { .. });
        bound.then(|| self.dumps.by_hand())
    }

    fn take_dumps(&self) -> Vec<Arc<Dump>> {
        self.dumps.take()
    }

    fn last_dump(&self) -> Option<Arc<Dump>> {
        self.dumps.last()
    }

    fn state(&self) -> &'static str {
        match &*self.state.lock() {
            BindingState::Bound { .. } => "bound",
            BindingState::Wedged { .. } => "wedged",
            BindingState::Unplugging => "unplugging",
            BindingState::Unplugged(_) => "unplugged",
        }
    }
}

impl<S: Subsystem> BindingOf<S> {
    /// The steps up to the cut, and the dump around them. Whatever comes of the dump, the device goes on to its end.
    fn cut(&self, bound: Bound<Shell<S>>, loss: Loss) -> Cut<Shell<S>> {
        contained("a dump", || self.dumps.ends(loss));
        let cut = bound.announce(loss).retire().drain().sweep().cut();
        contained("a dump", || self.dumps.ended());
        cut
    }

    fn unplugged(&self) -> Arc<UnplugReport> {
        let report = Arc::new(self.report());
        tracing::info!(minor = report.minor.0, loss = %report.loss, took = ?report.took(), "unplugged");
        self.enter(BindingState::Unplugged(report.clone()));
        report
    }

    fn enter(&self, state: BindingState<S>) {
        *self.state.lock() = state;
        self.changed.notify_all();
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        self.unplug(Loss::Unbound);
    }
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Binding").field(&self.0.state()).finish()
    }
}
