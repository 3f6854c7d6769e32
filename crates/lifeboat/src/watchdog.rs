//! The watchdog: finds driver code that does not return (DRV-3).
//!
//! A thread of the module looks at the sections in which drivers' code and accesses to registers are, again and again,
//! as [`Overstay`] says. All that is done for it on the way into driver code is one plain store, which clears the mark of
//! the last look ([`Stay`]). A section that it finds too often in a row has lasted for the whole limit; then the link is told, which asks the driver nothing more
//! and reports the loss to the bus side. The unplug is the bus side's: the watchdog waits for nobody, so one device's
//! driver does not keep it from looking at another's.
//!
//! The thread lives as long as there is a binding to be looked at.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use lifeboat_core::overstay::Overstay;
use lifeboat_sync::Stay;
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::{Condvar, Mutex};

use crate::link::Link;
use crate::locks;
use crate::panics::contained;
use crate::primitive::MODEL;
use crate::primitive::thread::{Builder, yield_now};

#[cfg(all(test, shuttle))]
mod model;

/// The watchdog of one module.
#[derive(Clone)]
pub(crate) struct Watchdog(Arc<WatchdogInner>);

struct WatchdogInner {
    state: Mutex<WatchdogState>,
    /// A link was added or taken away.
    changed: Condvar,
}

#[derive(Default)]
struct WatchdogState {
    watched: Vec<Arc<Watched>>,
    /// Whether there is a thread that looks.
    runs: bool,
}

struct Watched {
    link: Weak<Link>,
    limit: Duration,
}

/// As long as it lives, a link is looked at.
pub(crate) struct Watching {
    watchdog: Watchdog,
    watched: Arc<Watched>,
}

/// What the looks at one link have found so far.
struct Sight {
    watched: Arc<Watched>,
    /// When to look next.
    next: Instant,
    seen: Vec<(Stay, Overstay)>,
}

impl Default for Watchdog {
    fn default() -> Self {
        let state = Mutex::new(&locks::WATCHDOG, WatchdogState::default());
        Self(Arc::new(WatchdogInner { state, changed: Condvar::new() }))
    }
}

impl std::fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watchdog(..)")
    }
}

impl Watchdog {
    /// Looks at a link from now on. No section of it may last for longer than `limit`.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub(crate) fn watch(&self, link: &Arc<Link>, limit: Duration) -> io::Result<Watching> {
        let watched = Arc::new(Watched { link: Arc::downgrade(link), limit });
        let mut state = self.0.state.lock();
        if !state.runs {
            let shared = self.0.clone();
            // Not its handle: the thread ends when there is nothing to be looked at.
            drop(Builder::new().name("lifeboat-watchdog".to_owned()).spawn(move || shared.run())?);
            state.runs = true;
        }
        state.watched.push(watched.clone());
        drop(state);
        self.0.changed.notify_all();
        Ok(Watching { watchdog: self.clone(), watched })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let shared = &self.watchdog.0;
        shared.state.lock().watched.retain(|other| !Arc::ptr_eq(other, &self.watched));
        shared.changed.notify_all();
    }
}

impl WatchdogInner {
    fn run(&self) {
        let mut sights: Vec<Sight> = Vec::new();
        let mut state = self.state.lock();
        while !state.watched.is_empty() {
            let watched = state.watched.clone();
            drop(state);
            sights.retain(|sight| watched.iter().any(|watched| Arc::ptr_eq(watched, &sight.watched)));
            for watched in watched {
                if !sights.iter().any(|sight| Arc::ptr_eq(&watched, &sight.watched)) {
                    sights.push(Sight { watched, next: Instant::now(), seen: Vec::new() });
                }
            }
            for sight in sights.iter_mut().filter(|sight| sight.next <= Instant::now()) {
                sight.look();
            }
            let next = sights.iter().map(|sight| sight.next).min();
            state = self.state.lock();
            // Links that were added or taken away meanwhile are looked at before any wait.
            let known = |watched: &Arc<Watched>| sights.iter().any(|sight| Arc::ptr_eq(watched, &sight.watched));
            if let Some(next) = next.filter(|_| sights.len() == state.watched.len() && state.watched.iter().all(known))
            {
                if MODEL {
                    // Without time, a pause is over when the schedule says so.
                    drop(state);
                    yield_now();
                    state = self.state.lock();
                } else {
                    self.changed.wait_until(&mut state, next);
                }
            }
        }
        state.runs = false;
    }
}

impl Sight {
    fn look(&mut self) {
        let Watched { link, limit } = &*self.watched;
        let before = std::mem::take(&mut self.seen);
        if let Some(link) = link.upgrade() {
            for stay in link.stays() {
                let seen = before.iter().find(|(other, _)| *other == stay).map(|(_, looks)| *looks);
                let looks = seen.map_or(Overstay::first(), |mut looks| {
                    if looks.seen_again() {
                        contained("a report of a loss", || link.overstays(stay.section(), *limit));
                    }
                    looks
                });
                self.seen.push((stay, looks));
            }
        }
        self.next = deadline_after(Overstay::pause(*limit));
    }
}
