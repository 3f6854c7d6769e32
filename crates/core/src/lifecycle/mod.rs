//! What becomes of whatever is in a slot: bound, ended, recovered, wedged, left alone.
//!
//! Things happen to a device while others are under way: it is pulled out while it is probed, asked for while it is wedged, fails
//! while it is unplugged. So the machine has a [`State`] for each of these moments, and every event has an answer in every one
//! of them (RECOV-3); none is unreachable, and most that come at a strange moment only change what comes [next](Then). The table of
//! all of them is in ARCHITECTURE.md, generated from this code.
//!
//! A shell tells it what happens and carries out the one [`Action`] that is its answer, if any: it ends with a [completion](Event),
//! told like any other event. What happens in the meantime may be told before that completion or after it: both are right. What
//! ends a binding is always the one path of [`unplug`](crate::unplug); wedging is its first part.
//!
//! ```
//! # use lifeboat_core::{lifecycle::*, recovery::Budget, unplug::Loss, Timestamp};
//! let mut slot = Lifecycle::new(Budget::default());
//! let now = Timestamp::default();
//! assert_eq!(slot.handle(Event::Inserted, now), Some(Action::Probe { binding: 1 }));
//! // Pulled out while it is probed: the probe is not interrupted, and what it has bound is unplugged.
//! assert_eq!(slot.handle(Event::Removed, now), None);
//! assert_eq!(slot.handle(Event::Probed, now), Some(Action::Unplug(Loss::Unplugged)));
//! assert_eq!(slot.handle(Event::Ended, now), None);
//! assert_eq!(slot.state(), State::Empty);
//! ```

mod names;

use crate::recovery::{Attempts, Budget, Next};
use crate::unplug::Loss;
use crate::wedge::Failure;
use crate::Timestamp;

pub use names::Kind;

/// Where a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing is there.
    Empty,
    /// Something is there and not bound: it was unbound, could not be bound, or has used up its recoveries.
    Idle,
    /// It is being probed; with what is to come of it instead of being bound.
    Probing(Option<Then>),
    /// The same, after it has failed.
    Recovering(Option<Then>),
    /// A driver works with it.
    Bound,
    /// Its binding is being unplugged.
    Ending(Then),
    /// It has failed for good, and is being cut off; with what is to come of it instead of staying wedged.
    Wedging(Option<Then>),
    /// Cut off, and kept for whoever can help it.
    Wedged,
    /// Nobody watches the slot any more.
    Stopped,
}

/// What comes when what is under way is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// There will be nothing.
    Empty,
    /// It will be left alone.
    Idle,
    /// It, or what was put in its place, is probed, with all recoveries before it.
    Probe,
    /// It is bound again because it failed.
    Recover,
    /// Nobody will watch.
    Stop,
}

/// What happens to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Something was put in.
    Inserted,
    /// What was in it is gone.
    Removed,
    /// A driver gives up its device.
    Failed {
        /// Which binding's driver; the news may come after its end, and is ignored then.
        binding: u64,
        /// Why.
        loss: Loss,
    },
    /// The binding is to be ended.
    Unbind,
    /// The device is to be bound anew, by who knows that it is worth it: all recoveries are before it again.
    Rebind,
    /// The slot is to be watched no more.
    Stop,
    /// Completes [`Action::Probe`]: it is bound.
    Probed,
    /// Completes [`Action::Probe`]: it could not be bound.
    Refused,
    /// Completes [`Action::Probe`]: nothing was there.
    Vanished,
    /// Completes [`Action::Wedge`].
    Cut,
    /// Completes [`Action::Unplug`].
    Ended,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the machine waits for its completion"]
pub enum Action {
    /// Bind what is there. Completed by [`Event::Probed`], [`Event::Refused`] or [`Event::Vanished`].
    Probe {
        /// The number of this binding, from 1.
        binding: u64,
    },
    /// End the binding; if it is wedged, what is left of it. Completed by [`Event::Ended`].
    Unplug(Loss),
    /// End the binding up to its cut, and tell of it. Completed by [`Event::Cut`].
    Wedge(Failure),
}

/// The machine of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifecycle {
    state: State,
    attempts: Attempts,
    /// Probes begun so far, so the number of the last.
    binding: u64,
    /// Why the binding is ending: the first reason there was.
    loss: Loss,
}

impl Lifecycle {
    /// An empty slot, whose devices are recovered as often as `recovery` says.
    pub const fn new(recovery: Budget) -> Self {
        Self { state: State::Empty, attempts: Attempts::new(recovery), binding: 0, loss: Loss::Unbound }
    }

    /// Where it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The number of the last binding, 0 before the first.
    pub const fn binding(&self) -> u64 {
        self.binding
    }

    /// Something has happened. `now` must not go backwards.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Option<Action> {
        match event {
            Event::Failed { binding, .. } if binding != self.binding => return None,
            // Whatever was there before is not held against it.
            Event::Inserted => self.attempts.renewed(),
            _ => {}
        }
        match self.state {
            State::Empty | State::Idle if event == Event::Inserted => self.go(Then::Probe),
            State::Idle if event == Event::Rebind => self.go(Then::Probe),
            State::Idle if event == Event::Removed => self.go(Then::Empty),
            State::Empty | State::Idle if event == Event::Stop => self.go(Then::Stop),
            State::Empty | State::Idle | State::Stopped => None,
            State::Bound | State::Wedged => self.at_rest(event, now),
            State::Probing(then) | State::Recovering(then) => match event {
                Event::Probed => self.probed(then, now),
                Event::Refused => self.refused(then, now),
                Event::Vanished => self.vanished(then),
                _ => self.meanwhile(event, then),
            },
            State::Wedging(then) => match (event, then) {
                (Event::Cut, None) => {
                    self.state = State::Wedged;
                    None
                }
                (Event::Cut, Some(then)) => Some(self.end(then)),
                // It is about to be as bad as it gets.
                (Event::Failed { .. }, _) => None,
                _ => self.meanwhile(event, then),
            },
            State::Ending(then) => match event {
                Event::Ended => self.go(then),
                // Also a driver that gives up what is ending anyway.
                _ => self.meanwhile(event, Some(then)),
            },
        }
    }

    /// Something happens to a device that is bound or wedged.
    fn at_rest(&mut self, event: Event, now: Timestamp) -> Option<Action> {
        if let Event::Failed { loss, .. } = event {
            return (self.state == State::Bound).then(|| self.failed(loss, now));
        }
        let then = next(None, event)?;
        self.loss = reason(event);
        Some(self.end(then))
    }

    /// Something happens that what is under way does not wait for: it decides what comes next.
    fn meanwhile(&mut self, event: Event, then: Option<Then>) -> Option<Action> {
        let next = next(then, event);
        if then.is_none() && next.is_some() {
            self.loss = reason(event);
        }
        self.state = match (self.state, next) {
            (State::Probing(_), next) => State::Probing(next),
            (State::Recovering(_), next) => State::Recovering(next),
            (State::Wedging(_), next) => State::Wedging(next),
            (State::Ending(_), Some(next)) => State::Ending(next),
            (other, _) => other,
        };
        None
    }

    fn probed(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        if matches!(self.state, State::Recovering(_)) {
            self.attempts.recovered(now);
        }
        match then {
            None => {
                self.state = State::Bound;
                None
            }
            Some(Then::Recover) => Some(self.failed(self.loss, now)),
            Some(then) => Some(self.end(then)),
        }
    }

    fn refused(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        match (self.state, then) {
            // The driver has said so itself before it failed.
            (State::Recovering(_), None | Some(Then::Recover)) => match self.attempts.failed(now) {
                Next::Recover(_) => self.go(Then::Recover),
                Next::Wedge => self.go(Then::Idle),
            },
            // What never worked is not tried again.
            (_, None | Some(Then::Recover)) => self.go(Then::Idle),
            (_, Some(then)) => self.go(then),
        }
    }

    fn vanished(&mut self, then: Option<Then>) -> Option<Action> {
        match then {
            // Something has come since, or nobody watches any more.
            Some(then @ (Then::Probe | Then::Stop)) => self.go(then),
            None | Some(Then::Empty | Then::Idle | Then::Recover) => self.go(Then::Empty),
        }
    }

    /// The driver has given up the device that it is bound to.
    fn failed(&mut self, loss: Loss, now: Timestamp) -> Action {
        self.loss = loss;
        match (self.attempts.failed(now), loss.failure()) {
            (Next::Recover(_), _) => self.end(Then::Recover),
            (Next::Wedge, Some(failure)) => {
                self.state = State::Wedging(None);
                Action::Wedge(failure)
            }
            // What does not answer cannot be asked why.
            (Next::Wedge, None) => self.end(Then::Idle),
        }
    }

    fn end(&mut self, then: Then) -> Action {
        self.state = State::Ending(then);
        Action::Unplug(self.loss)
    }

    /// Nothing is bound, and nothing is under way.
    fn go(&mut self, then: Then) -> Option<Action> {
        self.state = match then {
            Then::Empty => State::Empty,
            Then::Idle => State::Idle,
            Then::Stop => State::Stopped,
            Then::Recover => State::Recovering(None),
            Then::Probe => {
                self.attempts.renewed();
                State::Probing(None)
            }
        };
        if !matches!(then, Then::Probe | Then::Recover) {
            return None;
        }
        self.binding += 1;
        Some(Action::Probe { binding: self.binding })
    }
}

/// What comes after what is under way, if `then` was to come and this happens. `None`: it stays as it is.
fn next(then: Option<Then>, event: Event) -> Option<Then> {
    match (then, event) {
        (Some(Then::Stop), _) | (_, Event::Stop) => Some(Then::Stop),
        // Or asked of what is not there.
        (_, Event::Removed) | (Some(Then::Empty), Event::Unbind | Event::Rebind) => Some(Then::Empty),
        (_, Event::Unbind) => Some(Then::Idle),
        (_, Event::Rebind) | (Some(_), Event::Inserted) => Some(Then::Probe),
        (None, Event::Failed { .. }) => Some(Then::Recover),
        // It is there, as was known; a driver gives up what is to end anyway; a completion of nothing.
        (then, _) => then,
    }
}

/// Why a binding ends because of an event.
fn reason(event: Event) -> Loss {
    match event {
        Event::Removed => Loss::Unplugged,
        Event::Failed { loss, .. } => loss,
        _ => Loss::Unbound,
    }
}
