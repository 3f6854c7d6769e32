//! The binding: a driver bound to a function, from probe to unplug. It belongs to the bus side and is never counted.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::unplug::{Bound, Loss};
use lifeboat_sync::lint::{Condvar, Mutex};

use crate::teardown::{Shell, UnplugReport};
use crate::{Device, locks};

/// How long a second caller of [`Binding::unplug`] waits for the first.
const SECOND_CALLER_LIMIT: Duration = Duration::from_mins(1);

/// A driver bound to a function. Dropped, it unplugs.
pub struct Binding {
    state: Mutex<State>,
    unplugged: Condvar,
}

enum State {
    Bound { bound: Bound<Shell>, device: Device, report: Arc<Mutex<UnplugReport>> },
    Unplugging,
    Unplugged(Arc<UnplugReport>),
}

impl Binding {
    pub(crate) fn new(shell: Shell) -> Self {
        let (device, report) = (shell.device().clone(), shell.report());
        let state = State::Bound { bound: Bound::new(shell), device, report };
        Self { state: Mutex::new(&locks::BINDING, state), unplugged: Condvar::new() }
    }

    /// The device, or `None` once the unplug has begun.
    pub fn device(&self) -> Option<Device> {
        match &*self.state.lock() {
            State::Bound { device, .. } => Some(device.clone()),
            State::Unplugging | State::Unplugged(_) => None,
        }
    }

    /// Ends the binding, by the one path that every loss takes (LIFE-5). When it returns a report, no code of the
    /// driver uses the hardware any more.
    ///
    /// May be called by several threads and repeatedly (LIFE-7): the first does it, the others wait and get the same
    /// report. `None` means that the first has not finished within a minute.
    pub fn unplug(&self, loss: Loss) -> Option<Arc<UnplugReport>> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Unplugging) {
            State::Bound { bound, device, report } => {
                drop(state);
                drop(device);
                bound.announce(loss).retire().drain().sweep().cut().release();
                let report = Arc::new(report.lock().clone());
                tracing::info!(minor = report.minor, %loss, took = ?report.took(), "unplugged");
                *self.state.lock() = State::Unplugged(report.clone());
                self.unplugged.notify_all();
                Some(report)
            }
            State::Unplugging => {
                let pending = |state: &mut State| matches!(state, State::Unplugging);
                self.unplugged.wait_while_for(&mut state, pending, SECOND_CALLER_LIMIT);
                match &*state {
                    State::Unplugged(report) => Some(report.clone()),
                    State::Bound { .. } | State::Unplugging => None,
                }
            }
            State::Unplugged(report) => {
                *state = State::Unplugged(report.clone());
                Some(report)
            }
        }
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
            State::Unplugging => "unplugging",
            State::Unplugged(_) => "unplugged",
        };
        f.debug_tuple("Binding").field(&state).finish()
    }
}
