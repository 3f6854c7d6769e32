//! What becomes of whatever is in a slot: bound, ended, recovered, wedged, left alone.
//!
//! Things happen to a device while others are under way: it is pulled out while it is probed, asked for while it is wedged, fails
//! while it is unplugged. So the machine has a [`State`] for each of these moments, and every event has an answer in every one
//! of them (RECOV-3); none is unreachable, and most that come at a strange moment only change what comes [next](Then). The table of
//! all of them is in ARCHITECTURE.md, generated from this code.
//!
//! Some states end by themselves: a recovery waits for its turn ([`Spacing`](crate::recovery::Spacing)), a device that is not ready is looked at again
//! ([`Patience`]), a link that is down is given up one day. Such a state has a [deadline](Lifecycle::next_deadline); then the shell
//! tells [`Event::Tick`]. Whatever else happens meanwhile is answered at once. While the slot says that the link is down nothing
//! is probed, and nothing that reads all-ones is held against the device (RECOV-4).
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
mod waits;

use crate::recovery::{Attempts, Budget, GivenUp, Next, Patience, Unready};
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
    /// It is not bound, and will be probed at the deadline, if nothing happens before.
    Waiting(For),
    /// The slot says that its link is down. It is not bound, and will be when the link is up.
    LinkDown,
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

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum For {
    /// That it is ready to be probed, for the first time.
    Ready,
    /// That it is ready again, after it has failed or its link was down.
    ReadyAgain,
    /// The turn of its next recovery.
    Turn,
}

/// What comes when what is under way is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// There will be nothing.
    Empty,
    /// It will be left alone.
    Idle,
    /// The device, or its replacement, is probed with a fresh recovery budget.
    Probe,
    /// It is bound again because it failed.
    Recover,
    /// It is bound again because its link was down, as soon as that is up. This does not count as a recovery.
    Relink,
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
    /// Bind the device again on request. It has its whole recovery budget again.
    Rebind,
    /// The slot is to be watched no more.
    Stop,
    /// The slot says that its link is down.
    LinkDown,
    /// The slot says that its link is up again.
    LinkUp,
    /// The [deadline](Lifecycle::next_deadline) has come.
    Tick,
    /// Completes [`Action::Probe`]: it is bound.
    Probed,
    /// Completes [`Action::Probe`]: it could not be bound.
    Refused,
    /// Completes [`Action::Probe`]: nothing was there.
    Vanished,
    /// Completes [`Action::Probe`]: something is there, and is not ready to be bound yet.
    NotReady(Unready),
    /// Completes [`Action::Probe`]: something is there that is another driver's.
    Foreign,
    /// Completes [`Action::Wedge`].
    Cut,
    /// Completes [`Action::Unplug`].
    Ended,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the machine waits for its completion"]
pub enum Action {
    /// Bind what is there. Completed by [`Event::Probed`], [`Event::Refused`], [`Event::Vanished`],
    /// [`Event::NotReady`] or [`Event::Foreign`].
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
    patience: Patience,
    /// Probes begun so far, so the number of the last.
    binding: u64,
    /// Why the binding is ending: the first reason there was.
    loss: Loss,
    /// What the slot has said last.
    link_is_down: bool,
    /// When the state, or the one that comes next, ends by itself.
    deadline: Option<Timestamp>,
    /// When the last probe began.
    looked: Timestamp,
    /// Since when the device is found not to be ready.
    unready: Option<NotYet>,
    given_up: Option<GivenUp>,
}

/// A device that is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct NotYet {
    since: Timestamp,
    /// Begin of the silence that goes on.
    silent_since: Option<Timestamp>,
    looks: u32,
}

impl Lifecycle {
    /// An empty slot, whose devices are recovered as often as `recovery` says, spaced and waited for as by default.
    pub const fn new(recovery: Budget) -> Self {
        Self::patient(Attempts::new(recovery), Patience::DEFAULT)
    }

    /// An empty slot, whose devices are recovered as `attempts` says, and waited for as `patience` says.
    pub const fn patient(attempts: Attempts, patience: Patience) -> Self {
        Self {
            state: State::Empty,
            attempts,
            patience,
            binding: 0,
            loss: Loss::Unbound,
            link_is_down: false,
            deadline: None,
            looked: Timestamp::new(core::time::Duration::ZERO),
            unready: None,
            given_up: None,
        }
    }

    /// Where it is.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The number of the last binding, 0 before the first.
    pub const fn binding(&self) -> u64 {
        self.binding
    }

    /// When to tell [`Event::Tick`], if nothing else happens before.
    pub const fn next_deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Waiting(_) | State::LinkDown => self.deadline,
            _ => None,
        }
    }

    /// Why the last binding has ended or is ending, as far as is known by now: what a driver has found lost, or what had lost its
    /// link, was removed if the slot says so afterwards.
    pub const fn loss(&self) -> Loss {
        self.loss
    }

    /// Why what is in the slot is left alone, if it is.
    pub const fn given_up(&self) -> Option<GivenUp> {
        match self.state {
            State::Idle | State::LinkDown => self.given_up,
            _ => None,
        }
    }

    /// Something has happened. `now` must not go backwards.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Option<Action> {
        match event {
            Event::Failed { binding, .. } if binding != self.binding => return None,
            // A new device is not charged for failures of the one before.
            Event::Inserted => self.attempts.renewed(),
            // Of nothing, this says nothing.
            Event::LinkDown => self.link_is_down = self.state != State::Empty,
            // A request to bind overrides the slot's report.
            Event::LinkUp | Event::Rebind => self.link_is_down = false,
            Event::Removed | Event::Vanished => self.removed(),
            _ => {}
        }
        match self.state {
            State::Stopped => None,
            State::Empty | State::Idle | State::Waiting(_) | State::LinkDown => self.unbound(event, now),
            State::Bound | State::Wedged => self.at_rest(event, now),
            State::Probing(then) | State::Recovering(then) => match event {
                Event::Probed => self.probed(then, now),
                Event::Refused => self.refused(then, now),
                Event::NotReady(how) => self.not_ready(how, then, now),
                Event::Foreign => self.foreign(then, now),
                Event::Vanished => self.vanished(then, now),
                _ => self.meanwhile(event, then),
            },
            State::Wedging(then) => match (event, then) {
                (Event::Cut, None) => {
                    self.state = State::Wedged;
                    None
                }
                (Event::Cut, Some(then)) => Some(self.end(then)),
                // The device is being cut off: nothing is worse, and no link leads to it any more.
                (Event::Failed { .. } | Event::LinkDown, _) => None,
                _ => self.meanwhile(event, then),
            },
            State::Ending(then) => match event {
                Event::Ended => self.go(then, now),
                // Also a driver that gives up what is ending anyway.
                _ => self.meanwhile(event, Some(then)),
            },
        }
    }

    /// The slot says that there is nothing: that explains what was seen before.
    fn removed(&mut self) {
        self.link_is_down = false;
        if matches!(self.loss, Loss::FellOff | Loss::LinkDown) && !matches!(self.state, State::Bound | State::Wedged) {
            self.loss = Loss::Unplugged;
        }
    }

    /// Something happens to a device that is bound or wedged.
    fn at_rest(&mut self, event: Event, now: Timestamp) -> Option<Action> {
        if let Event::Failed { loss, .. } = event {
            return (self.state == State::Bound).then(|| self.failed(loss, now));
        }
        // A wedged device is kept as it is.
        let then = next(None, event).filter(|then| self.state == State::Bound || *then != Then::Relink)?;
        self.loss = reason(event);
        Some(self.end(then))
    }

    /// Something happens that what is under way does not wait for: it decides what comes next.
    fn meanwhile(&mut self, event: Event, then: Option<Then>) -> Option<Action> {
        let next = next(then, event);
        if then.is_none() && next.is_some() {
            self.loss = reason(event);
        }
        if next == Some(Then::Relink) && !matches!(self.state, State::Probing(_)) {
            // The driver has seen it before the slot has said so.
            self.attempts.excused();
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
            if self.unready.take().is_some() {
                // The device was away and is back: an outage is no failure of the device.
                self.attempts.back(self.patience.outages);
            }
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
        let recovering = matches!(self.state, State::Recovering(_));
        if recovering {
            self.attempts.refused(now);
        }
        match (recovering, then) {
            // The driver has said so itself before it failed.
            (true, None | Some(Then::Recover)) => self.again(now),
            // What never worked is not tried again.
            (_, None | Some(Then::Recover)) => self.go(Then::Idle, now),
            (_, Some(then)) => self.go(then, now),
        }
    }

    /// Another driver's device has taken the place of the one that was here, or was always there.
    fn foreign(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        self.attempts.renewed();
        if matches!(self.state, State::Recovering(_)) {
            self.loss = Loss::Replaced;
        }
        self.go(then.filter(|then| *then != Then::Recover).unwrap_or(Then::Idle), now)
    }

    fn vanished(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        match then {
            // Something has come since, or nobody watches any more.
            Some(then @ (Then::Probe | Then::Stop)) => self.go(then, now),
            None | Some(Then::Empty | Then::Idle | Then::Recover | Then::Relink) => self.go(Then::Empty, now),
        }
    }

    /// The driver has given up the device that it is bound to.
    fn failed(&mut self, loss: Loss, now: Timestamp) -> Action {
        self.loss = loss;
        if loss == Loss::Replaced {
            // A new device is not charged for failures of the one before.
            return self.end(Then::Probe);
        }
        match (self.attempts.failed(now), loss.failure()) {
            (Next::Recover { at, .. }, _) => {
                self.deadline = Some(at);
                self.end(Then::Recover)
            }
            (Next::Wedge, Some(failure)) => {
                self.state = State::Wedging(None);
                Action::Wedge(failure)
            }
            // What does not answer cannot be asked why.
            (Next::Wedge, None) => {
                self.given_up = Some(GivenUp::Recoveries);
                self.end(Then::Idle)
            }
        }
    }

    /// A recovery has failed.
    fn again(&mut self, now: Timestamp) -> Option<Action> {
        match self.attempts.failed(now) {
            Next::Recover { at, .. } => {
                self.deadline = Some(at);
                self.go(Then::Recover, now)
            }
            Next::Wedge => {
                self.given_up = Some(GivenUp::Recoveries);
                self.go(Then::Idle, now)
            }
        }
    }

    fn end(&mut self, then: Then) -> Action {
        self.state = State::Ending(then);
        Action::Unplug(self.loss)
    }
}

/// What comes after what is under way, if `then` was to come and this happens. `None`: it stays as it is.
fn next(then: Option<Then>, event: Event) -> Option<Then> {
    match (then, event) {
        (Some(Then::Stop), _) | (_, Event::Stop) => Some(Then::Stop),
        // Or asked of what is not there.
        (_, Event::Removed) | (Some(Then::Empty), Event::Unbind | Event::Rebind) => Some(Then::Empty),
        (_, Event::Unbind) => Some(Then::Idle),
        (None | Some(Then::Recover), Event::LinkDown) => Some(Then::Relink),
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
        Event::LinkDown => Loss::LinkDown,
        _ => Loss::Unbound,
    }
}
