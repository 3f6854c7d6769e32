//! The user's wish to stop: Ctrl-C, or a termination signal.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

/// Whether the user wants to stop. Clones share it.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<InterruptInner>);

#[derive(Default)]
struct InterruptInner {
    requested: AtomicBool,
    listeners: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

impl Interrupt {
    /// Makes Ctrl-C and termination a request. Called once, before anything that takes time.
    ///
    /// # Errors
    /// The system refuses to tell of signals, or something in this process hears them already.
    pub fn by_signals() -> Result<Self, String> {
        let interrupt = Self::default();
        let on_signal = interrupt.clone();
        let handled = ctrlc::set_handler(move || {
            // The first asks for all that can be asked for; later ones change nothing, so that the end is as clean.
            on_signal.request();
        });
        handled.map(|()| interrupt).map_err(|error| format!("Ctrl-C cannot be handled: {error}"))
    }

    /// Asks to stop. `false` if that was asked for before.
    pub fn request(&self) -> bool {
        let first = !self.0.requested.swap(true, SeqCst);
        for listener in self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            listener();
        }
        first
    }

    /// Whether it was asked for.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(SeqCst)
    }

    /// Calls `listener` when it is asked for, or now if it was.
    pub fn on_request(&self, listener: impl Fn() + Send + 'static) {
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_requested() {
            listener();
        }
        listeners.push(Box::new(listener));
    }
}

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Interrupt").field(&self.is_requested()).finish()
    }
}
