//! The binding: a driver bound to a function, from probe to unplug. It belongs to the bus side and is never counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::unplug::{Bound, Cut, Loss};
use lifeboat_core::wedge::{self, Failure, Methods};
use lifeboat_lb1::Info;
use lifeboat_sync::Gate;
use lifeboat_sync::lint::{Condvar, Mutex};

use crate::dump::{Dump, Recorder};
use crate::gpu::Gpu;
use crate::teardown::{Shell, UnplugReport};
use crate::{Device, locks};

/// How long a second caller of [`Binding::unplug`] waits for the first.
const SECOND_CALLER_LIMIT: Duration = Duration::from_mins(1);

/// A driver bound to a function. Dropped, it unplugs.
pub struct Binding {
    state: Mutex<State>,
    changed: Condvar,
    /// Filled in while the unplug goes on.
    report: Arc<Mutex<UnplugReport>>,
    /// What the device was when it was bound.
    info: Info,
    dumps: Arc<Recorder<Gpu>>,
}

enum State {
    Bound {
        bound: Bound<Shell>,
        device: Device,
    },
    Unplugging,
    /// Cut off, and kept for whoever recovers it.
    Wedged {
        cut: Cut<Shell>,
        device: Device,
    },
    Unplugged(Arc<UnplugReport>),
}

impl Binding {
    pub(crate) fn new(shell: Shell, info: Info, dumps: Arc<Recorder<Gpu>>) -> Self {
        let (device, report) = (shell.device().clone(), shell.report());
        let state = State::Bound { bound: Bound::new(shell), device };
        Self { state: Mutex::new(&locks::BINDING, state), changed: Condvar::new(), report, info, dumps }
    }

    /// The device, also if it is wedged, or `None` once the unplug has begun.
    pub fn device(&self) -> Option<Device> {
        match &*self.state.lock() {
            State::Bound { device, .. } | State::Wedged { device, .. } => Some(device.clone()),
            State::Unplugging | State::Unplugged(_) => None,
        }
    }

    /// What the device was when it was bound.
    pub(crate) fn info(&self) -> &Info {
        &self.info
    }

    /// Ends the binding, by the one path that every loss takes (LIFE-5). When it returns a report, no code of the
    /// driver uses the hardware any more.
    ///
    /// May be called by several threads and repeatedly (LIFE-7): the first does it, the others wait and get the same
    /// report. `None` means that the first has not finished within a minute.
    pub fn unplug(&self, loss: Loss) -> Option<Arc<UnplugReport>> {
        let mut state = self.state.lock();
        loop {
            match std::mem::replace(&mut *state, State::Unplugging) {
                State::Bound { bound, device } => {
                    drop(state);
                    drop(device);
                    let ending = self.dumps.ends(loss);
                    let retired = bound.announce(loss).retire();
                    self.dumps.ended(ending);
                    retired.drain().sweep().cut().release();
                    return Some(self.unplugged());
                }
                // It has come so far already.
                State::Wedged { cut, device } => {
                    drop(state);
                    drop(device);
                    cut.release();
                    return Some(self.unplugged());
                }
                State::Unplugged(report) => {
                    *state = State::Unplugged(report.clone());
                    return Some(report);
                }
                State::Unplugging => {
                    let pending = |state: &mut State| matches!(state, State::Unplugging);
                    self.changed.wait_while_for(&mut state, pending, SECOND_CALLER_LIMIT);
                    if matches!(*state, State::Unplugging) {
                        return None;
                    }
                }
            }
        }
    }

    fn unplugged(&self) -> Arc<UnplugReport> {
        let report = Arc::new(self.report());
        tracing::info!(minor = report.minor, loss = %report.loss, took = ?report.took(), "unplugged");
        self.enter(State::Unplugged(report.clone()));
        report
    }

    /// Takes a device that has failed for good out of use, by the same path up to its cut: it reaches no memory, its fences
    /// have signalled, maps lead to nothing (MAP-4), and it refuses work with what failed (CALL-5). It stays bound, and can
    /// be opened, until it is [unplugged](Self::unplug): that is the first half of any recovery (WEDGE-2).
    ///
    /// Gives what is to be told of it, or `None` if the binding has ended already or is ending. Allocates nothing (WEDGE-5) on
    /// a thread that is [ready](Self::ready_to_wedge), unless sections do not end in time and are to be named, or more than 32 are
    /// open at once. Who tells of it may, and gets [how it went](Self::report).
    pub fn wedge(&self, failure: Failure, methods: Methods) -> Option<wedge::Event> {
        let mut state = self.state.lock();
        let (bound, device) = match std::mem::replace(&mut *state, State::Unplugging) {
            State::Bound { bound, device } => (bound, device),
            other => {
                *state = other;
                return None;
            }
        };
        drop(state);
        let loss = Loss::Wedged(failure);
        let ending = self.dumps.ends(loss);
        let retired = bound.announce(loss).retire();
        self.dumps.ended(ending);
        let cut = retired.drain().sweep().cut();
        let event = wedge::Event::new(&cut, methods, None);
        tracing::error!(minor = device.info().minor, %failure, ?event, "wedged");
        self.enter(State::Wedged { cut, device });
        Some(event)
    }

    /// To be called once by a thread that may have to [wedge](Self::wedge) a device: what threads set up at their first wait and
    /// at their first section takes memory, so it is done now.
    pub fn ready_to_wedge() {
        let (lock, never) = (Mutex::new(&locks::BINDING, ()), Condvar::new());
        let _ = never.wait_until(&mut lock.lock(), Instant::now());
        drop(Gate::new().enter());
    }

    /// How its end has gone so far.
    pub fn report(&self) -> UnplugReport {
        self.report.lock().clone()
    }

    /// Takes a dump of the device as it is now, whatever it is: recovery by hand begins with one. It is no incident, and is the
    /// [last](Self::last_dump) afterwards. `None` if the device is wedged, or the binding is ending or has ended;
    /// of one that begins to end meanwhile it has what was found.
    pub fn dump(&self) -> Option<Arc<Dump>> {
        let bound = matches!(&*self.state.lock(), State::Bound { .. });
        bound.then(|| self.dumps.by_hand())
    }

    /// The dumps that were captured since this was asked last, oldest first (WEDGE-4): one per incident, from before anything was
    /// reset. There is room for two that nobody has taken; a third is not captured. A [`Bus`](crate::Bus) takes those of its
    /// bindings.
    pub fn take_dumps(&self) -> Vec<Arc<Dump>> {
        self.dumps.take()
    }

    /// The dump that was taken last, or made by hand; until the next one, also when the binding has ended.
    pub fn last_dump(&self) -> Option<Arc<Dump>> {
        self.dumps.last()
    }

    fn enter(&self, state: State) {
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
        let state = match &*self.state.lock() {
            State::Bound { .. } => "bound",
            State::Wedged { .. } => "wedged",
            State::Unplugging => "unplugging",
            State::Unplugged(_) => "unplugged",
        };
        f.debug_tuple("Binding").field(&state).finish()
    }
}
