//! Turns at a part of the hardware that one thread at a time may program.
//!
//! An access to a register can take seconds, so no lock is held across one (HEALTH-5): an unplug, or a call that needs
//! no hardware, would wait as long. What must happen in one piece is done in a *turn* instead. Software state stays
//! behind its own short lock, which is released for each access; after the access the state is looked at again, since the
//! device may have been lost meanwhile.
//!
//! | thread | how it comes to its turn |
//! |---|---|
//! | a call of a user's | waits for it; a loss of the device ends the wait |
//! | an interrupt handler, the worker's round | never waits: it leaves the rest to the worker, which tries again |
//! | an unplug | needs none: it closes the turns |

use lifeboat_sync::lint::{Condvar, Mutex};

use crate::locks;

/// Who may program a part of the hardware, and whether anybody may.
pub(crate) struct Turns {
    state: Mutex<TurnState>,
    /// A turn was given back, or there are none any more.
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    taken: bool,
    closed: bool,
    /// Threads that wait for their turn: if there are none, nobody is notified.
    waiting: usize,
}

/// One thread's turn. The next thread's begins when this is dropped.
#[must_use = "the turn ends where this is dropped"]
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(&locks::TURNS, TurnState::default()), changed: Condvar::new() }
    }

    /// Waits for a turn. `None` once the device is lost.
    #[track_caller]
    pub(crate) fn take(&self) -> Option<Turn<'_>> {
        let mut state = self.state.lock();
        while state.taken && !state.closed {
            state.waiting += 1;
            self.changed.wait(&mut state);
            state.waiting -= 1;
        }
        self.begin(&mut state)
    }

    /// A turn, if nobody has it. Waits for nothing.
    pub(crate) fn try_take(&self) -> Option<Turn<'_>> {
        self.begin(&mut self.state.lock())
    }

    fn begin(&self, state: &mut TurnState) -> Option<Turn<'_>> {
        if state.taken || state.closed {
            return None;
        }
        state.taken = true;
        Some(Turn(self))
    }

    /// The device is lost: threads that wait for a turn wait no longer, and no turn begins. Does not wait for the turn
    /// that somebody may have.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Whether no turn will begin any more.
    pub(crate) fn are_closed(&self) -> bool {
        self.state.lock().closed
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.taken = false;
        let waited_for = state.waiting > 0;
        drop(state);
        if waited_for {
            self.0.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn health_5_the_next_turn_begins_when_the_last_one_is_given_back() {
        let turns = Turns::new();
        let turn = turns.take().unwrap();
        assert!(turns.try_take().is_none() && !turns.are_closed());
        std::thread::scope(|scope| {
            let next = scope.spawn(|| turns.take().is_some());
            drop(turn);
            assert!(next.join().unwrap());
        });
        assert!(turns.try_take().is_some());
    }

    #[test]
    fn health_5_a_loss_ends_every_wait_for_a_turn_though_nobody_gives_it_back() {
        let turns = Turns::new();
        let _turn = turns.take().unwrap();
        std::thread::scope(|scope| {
            let (sender, told) = mpsc::channel();
            for _ in 0..3 {
                let (sender, turns) = (sender.clone(), &turns);
                scope.spawn(move || sender.send(turns.take().is_some()));
            }
            turns.close();
            for _ in 0..3 {
                assert!(!told.recv_timeout(Duration::from_secs(20)).unwrap());
            }
        });
        assert!(turns.are_closed() && turns.try_take().is_none());
    }
}
