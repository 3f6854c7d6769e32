//! Calls that a bus may take any time for, on threads of their own.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lifeboat_sync::lint;

/// Runs `f` on a thread of its own. Gives its answer if that comes within `limit`; if not, `f` goes on
/// and nobody hears of it.
pub(crate) fn aside<T: Send + 'static>(
    name: &str,
    limit: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    lint::might_block("waiting for a bus");
    let (answer, answered) = mpsc::channel();
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
