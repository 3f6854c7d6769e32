//! A hand on the rings: each job stops in its middle until it may go on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use lifeboat_gpu::RingSpan;
use lifeboat_lb1::command::Opcode;

use crate::machine::LONG;

/// A job that has begun: on which ring, and for which of the device's contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) ring: u8,
    pub(crate) context: u8,
}

/// Closed at first: a ring whose job has written its number waits. Dropped by the test, it is open for ever.
pub(crate) struct Hold(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    open: bool,
    /// Jobs that may go on while it is closed.
    allowed: usize,
    turns: Vec<Turn>,
}

impl Hold {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// What the card is to call after each command. Every job has exactly one `Fill`, see [`crate::log`].
    pub(crate) fn recorder(&self) -> lifeboat_gpu::Recorder {
        let shared = self.0.clone();
        Arc::new(move |span| {
            if span.opcode == Opcode::Fill as u8 {
                shared.pass(span);
            }
        })
    }

    /// So many more jobs may go on, whichever they are.
    pub(crate) fn allow(&self, count: usize) {
        self.0.change(|state| state.allowed += count);
    }

    /// The same, for a callback: without a way to open it for ever.
    pub(crate) fn allower(&self) -> impl FnOnce() + Send + 'static {
        let shared = self.0.clone();
        move || shared.change(|state| state.allowed += 1)
    }

    /// All may.
    pub(crate) fn open(&self) {
        self.0.change(|state| state.open = true);
    }

    /// None but those that were allowed.
    pub(crate) fn close(&self) {
        self.0.change(|state| state.open = false);
    }

    /// How many jobs have begun so far.
    pub(crate) fn begun(&self) -> usize {
        self.0.lock().turns.len()
    }

    /// Waits until so many have.
    pub(crate) fn wait_begun(&self, count: usize) {
        let few = |state: &mut State| state.turns.len() < count;
        let (state, _) = self.0.changed.wait_timeout_while(self.0.lock(), LONG, few).unwrap();
        let begun = state.turns.len();
        // Before the assertion: a poisoned lock would not open when the test unwinds.
        drop(state);
        assert!(begun >= count, "only {begun} of {count} jobs have begun");
    }

    /// All that have begun, in order.
    pub(crate) fn turns(&self) -> Vec<Turn> {
        self.0.lock().turns.clone()
    }
}

impl Drop for Hold {
    /// Also after a panic: a card cannot go away while one of its rings waits.
    fn drop(&mut self) {
        self.open();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// The ring's thread.
    fn pass(&self, RingSpan { ring, context, .. }: RingSpan) {
        let mut state = self.lock();
        state.turns.push(Turn { ring, context });
        self.changed.notify_all();
        let held = |state: &mut State| !state.open && state.allowed == 0;
        let (mut state, _) = self.changed.wait_timeout_while(state, LONG, held).unwrap();
        if !state.open {
            state.allowed = state.allowed.saturating_sub(1);
        }
    }
}
