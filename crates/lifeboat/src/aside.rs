//! Calls that a bus may take any time for, on threads of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use lifeboat_pci::Function;
use lifeboat_sync::lint;

/// Runs `f` on a thread of its own. Gives its answer if that comes within `limit`; if not, `f` goes on
/// and nobody hears of it.
pub(crate) fn aside<T: Send + 'static>(
    name: &str,
    limit: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    lint::might_block("waiting for a bus");
    let (answer, answered) = channel();
    let act = move || {
        // Nobody may wait any more.
        let _ = answer.send(f());
    };
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(act) {
        tracing::error!(%error, name, "no thread for what a bus may take long for; it is left out");
        return None;
    }
    answered.recv_timeout(limit).ok()
}

/// The interrupts of a function, on their way off on a thread of its own: what a bus does there waits for handlers that
/// run, and one of them may not end.
pub(crate) struct GoingOff {
    function: Arc<dyn Function>,
    off: Receiver<()>,
}

impl GoingOff {
    /// Turns them off. Waits for nothing.
    pub(crate) fn begin(function: Arc<dyn Function>) -> Self {
        let (done, off) = channel();
        let this = Self { function: function.clone(), off };
        aside("lifeboat-irq-off", Duration::ZERO, move || {
            function.irq_disable();
            // The release may have been given up.
            let _ = done.send(());
        });
        this
    }

    /// Releases the function, if they are off within `limit`; if not, the function is released when they are.
    pub(crate) fn release_within(self, limit: Duration) {
        match self.off.recv_timeout(limit) {
            Ok(()) => self.function.release(),
            Err(_) => self.release(),
        }
    }

    /// Releases the function when they are off. Does not wait for that.
    pub(crate) fn release(self) {
        let Self { function, off } = self;
        aside("lifeboat-release", Duration::ZERO, move || {
            if off.recv().is_err() {
                // No thread could be started for it.
                function.irq_disable();
            }
            function.release();
        });
    }
}
