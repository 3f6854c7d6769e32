//! The end of a server: threads that wait for clients are woken by shutting down what they wait on.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Ends a server, from any thread. Clones end the same one.
#[derive(Clone, Default)]
pub struct Stopper(Arc<ShutdownInner>);

#[derive(Default)]
struct ShutdownInner {
    state: Mutex<ShutdownState>,
    stopped: Condvar,
}

#[derive(Default)]
struct ShutdownState {
    stopped: bool,
    listeners: Vec<OwnedFd>,
    streams: HashMap<u64, UnixStream>,
    next: u64,
}

impl Stopper {
    /// Ends the server: no new clients, and those there are lose their connection. Does not wait for it.
    pub fn stop(&self) {
        let mut state = self.0.state.lock();
        state.stopped = true;
        for listener in state.listeners.drain(..) {
            // Wakes who waits for a client. That it is not connected is what every listener says.
            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        }
        for (_, stream) in state.streams.drain() {
            let _ = stream.shutdown(Shutdown::Both); // It may have left already.
        }
        drop(state);
        self.0.stopped.notify_all();
    }

    /// Whether the server was told to end.
    pub fn is_stopped(&self) -> bool {
        self.0.state.lock().stopped
    }

    /// Waits until the server is told to end.
    pub(crate) fn wait(&self) {
        let mut state = self.0.state.lock();
        while !state.stopped {
            self.0.stopped.wait(&mut state);
        }
    }

    /// Lets time pass after a failure, but not beyond the end. `true` if that has come.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        let mut state = self.0.state.lock();
        if !state.stopped {
            self.0.stopped.wait_for(&mut state, time);
        }
        state.stopped
    }

    /// A listener to be shut down at the end; at once if that has come.
    pub(crate) fn watch_listener(&self, listener: OwnedFd) {
        self.0.state.lock().listeners.push(listener);
        if self.is_stopped() {
            self.stop();
        }
    }

    /// A connection to be shut down at the end, until the guard is dropped. `None` if the end has come.
    pub(crate) fn watch_stream(&self, stream: &UnixStream) -> io::Result<Option<Watched>> {
        let stream = stream.try_clone()?;
        let mut state = self.0.state.lock();
        if state.stopped {
            return Ok(None);
        }
        let number = state.next;
        state.next += 1;
        state.streams.insert(number, stream);
        Ok(Some(Watched { stopper: self.clone(), number }))
    }
}

/// A connection that is shut down when the server ends.
pub(crate) struct Watched {
    stopper: Stopper,
    number: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.stopper.0.state.lock().streams.remove(&self.number);
    }
}
