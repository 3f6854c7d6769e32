//! The one interrupt of a function.

use std::time::Duration;

use lifeboat_pci::IrqHandler;
use parking_lot::{Condvar, Mutex, MutexGuard};

/// How long the end of a handler is waited for. A handler does not block.
const HANDLER_LIMIT: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(crate) struct Interrupts {
    state: Mutex<InterruptState>,
    /// A handler has ended.
    ended: Condvar,
}

#[derive(Default)]
struct InterruptState {
    handler: Option<IrqHandler>,
    /// Threads that run a handler.
    running: usize,
}

impl Interrupts {
    /// From now on `handler` is called.
    pub(crate) fn enable(&self, handler: IrqHandler) {
        let before = self.lock().handler.replace(handler);
        drop(before);
    }

    /// When this returns no handler runs, and none will.
    pub(crate) fn disable(&self) {
        let mut state = self.lock();
        let handler = state.handler.take();
        let runs = |state: &mut InterruptState| state.running > 0;
        self.ended.wait_while_for(&mut state, runs, HANDLER_LIMIT);
        drop(state);
        drop(handler);
    }

    /// Calls the handler, if there is one.
    pub(crate) fn send(&self) {
        let mut state = self.lock();
        let Some(handler) = state.handler.clone() else { return };
        state.running += 1;
        drop(state);
        let _running = Running(self);
        handler(0);
    }

    fn lock(&self) -> MutexGuard<'_, InterruptState> {
        self.state.lock()
    }
}

/// As long as it lives, a thread runs a handler.
struct Running<'a>(&'a Interrupts);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.ended.notify_all();
    }
}
