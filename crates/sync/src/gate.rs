//! A gate: sections that may sleep, for whole operations on a live device.
//!
//! Entering is refused from the moment the gate is [shut](Gate::shut); [draining](Gate::drain) waits for those inside.
//! The two are apart because an unplug has work to do in between: fences must signal, so that whoever waits for one
//! inside a section can leave (seed 2).
//!
//! A table under a lock keeps the place and age of each open section. Entering costs a lock, which is nothing beside
//! the operations that gates are for; register access uses [`Revocable`](crate::Revocable).

use std::panic::Location;
use std::time::{Duration, Instant};

use crate::deadline::deadline_after;
use crate::primitive::{Condvar, Mutex, lock, wait_until};
use crate::{Holdout, Holdouts};

/// A gate; see the [module documentation](self).
///
/// # Examples
/// ```
/// use lifeboat_sync::Gate;
/// use std::time::Duration;
///
/// let gate = Gate::new();
/// let section = gate.enter().expect("the device is there");
/// gate.shut();
/// assert!(gate.enter().is_none());
/// let holdouts = gate.drain(Duration::from_millis(1)).unwrap_err();
/// assert_eq!(holdouts.iter().count(), 1);
/// drop(section);
/// assert!(gate.drain(Duration::from_millis(1)).is_ok());
/// ```
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    empty: Condvar,
}

#[derive(Debug)]
struct State {
    shut: bool,
    next_ticket: u64,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    ticket: u64,
    place: &'static Location<'static>,
    since: Instant,
    thread: String,
}

/// An open section. Leaving is dropping.
#[derive(Debug)]
#[must_use = "the section ends where this is dropped"]
pub struct Section<'a> {
    gate: &'a Gate,
    ticket: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        let state = State { shut: false, next_ticket: 0, open: Vec::new() };
        Self { state: Mutex::new(state), empty: Condvar::new() }
    }

    /// Begins a section, or `None` if the gate is shut.
    #[track_caller]
    pub fn enter(&self) -> Option<Section<'_>> {
        let place = Location::caller();
        let mut state = lock(&self.state);
        if state.shut {
            return None;
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let thread = std::thread::current().name().unwrap_or("unnamed thread").to_owned();
        state.open.push(Open { ticket, place, since: Instant::now(), thread });
        Some(Section { gate: self, ticket })
    }

    /// Whether the gate is shut.
    pub fn is_shut(&self) -> bool {
        lock(&self.state).shut
    }

    /// Lets nobody in any more. Does not wait. Idempotent; there is no way back.
    pub fn shut(&self) {
        lock(&self.state).shut = true;
    }

    /// Waits until no section is open.
    ///
    /// # Errors
    /// The sections still open when `limit` has passed. Calling it again goes on waiting.
    pub fn drain(&self, limit: Duration) -> Result<(), Holdouts> {
        let deadline = deadline_after(limit);
        let (state, empty) = wait_until(&self.empty, lock(&self.state), deadline, |state| state.open.is_empty());
        if empty {
            return Ok(());
        }
        let holdout =
            |open: &Open| Holdout { place: open.place, age: open.since.elapsed(), thread: open.thread.clone() };
        Err(Holdouts(state.open.iter().map(holdout).collect()))
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        // The order of those that stay is their order of entry: the oldest is reported first.
        state.open.retain(|open| open.ticket != self.ticket);
        if state.open.is_empty() {
            self.gate.empty.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn gate_7_holdouts_are_named_by_place_age_and_thread() {
        let gate = Gate::new();
        std::thread::scope(|scope| {
            let (entered, wait_entered) = std::sync::mpsc::channel();
            let (leave, wait_leave) = std::sync::mpsc::channel::<()>();
            let gate = &gate;
            std::thread::Builder::new()
                .name("slow reader".into())
                .spawn_scoped(scope, move || {
                    let _section = gate.enter().unwrap();
                    entered.send(line!() - 1).unwrap();
                    let _ = wait_leave.recv_timeout(Duration::from_secs(10));
                })
                .unwrap();
            let line = wait_entered.recv_timeout(Duration::from_secs(10)).unwrap();
            gate.shut();
            let holdouts = gate.drain(Duration::from_millis(5)).unwrap_err();
            let holdout = holdouts.iter().next().unwrap();
            assert_eq!((holdout.place.line(), holdout.thread.as_str()), (line, "slow reader"));
            assert!(holdout.age >= Duration::from_millis(5));
            drop(leave);
            gate.drain(Duration::from_secs(10)).unwrap();
        });
    }

    #[test]
    fn gate_3_one_gate_does_not_wait_for_another() {
        let (stuck, other) = (Gate::new(), Gate::new());
        let _section = stuck.enter().unwrap();
        other.shut();
        other.drain(Duration::ZERO).unwrap();
    }

    #[test]
    fn sections_nest() {
        let gate = Gate::new();
        let outer = gate.enter().unwrap();
        let inner = gate.enter().unwrap();
        gate.shut();
        drop(outer);
        assert_eq!(gate.drain(Duration::ZERO).unwrap_err().iter().count(), 1);
        drop(inner);
        gate.drain(Duration::ZERO).unwrap();
    }
}
