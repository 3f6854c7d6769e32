//! What a thread does at this moment, for those who look whether it goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one thread does.
#[derive(Debug)]
pub(crate) struct Activity {
    origin: Instant,
    /// When the call under way began, in milliseconds from the origin and 1 more; 0: none is.
    since: AtomicU64,
    /// What the call under way, or the last one, is called.
    name: Mutex<&'static str>,
    /// Operations that were begun.
    begun: AtomicU64,
}

impl Activity {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), since: AtomicU64::new(0), name: Mutex::default(), begun: AtomicU64::new(0) }
    }

    /// Begins a call.
    pub(crate) fn begin(&self, name: &'static str) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// How long the call under way has taken.
    pub(crate) fn stands_since(&self) -> Duration {
        match self.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now().saturating_sub(since)),
        }
    }

    /// What the call under way, or the last one, is called.
    pub(crate) fn name(&self) -> &'static str {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations so far, the one under way included.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}
