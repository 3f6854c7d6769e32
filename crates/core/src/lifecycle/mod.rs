//! State machine of the device in a slot: bound, unplugged, recovered, wedged, left alone.
//!
//! Events reach a device while other work is in progress: the card is pulled out during a probe, a
//! user asks for a wedged device, a device fails during its unplug. The machine has a [`LifecycleState`] for
//! each of these moments, and each state has an answer to every event (RECOV-3). All states are
//! reachable. An event that comes while work is in progress mostly changes only the [next
//! step](Then). The table of states and events is in ARCHITECTURE.md, generated from this code.
//!
//! Some states end after a time: a recovery waits for its turn
//! ([`Spacing`](crate::recovery::Spacing)), a device that is not ready is probed again
//! ([`Patience`]), and a link that is down is given up. Such a state has a
//! [deadline](Lifecycle::next_deadline), at which the shell reports [`LifecycleEvent::Tick`]. All other events
//! are answered at once. While the slot reports that its link is down, nothing is probed, and a
//! read of all-ones is not counted against the device (RECOV-4).
//!
//! The shell reports events and carries out the [`Action`] that is returned, if any. An action ends
//! with a [completion](LifecycleEvent), which the shell reports like any other event. An event that happens
//! during an action may be reported before or after the completion. A binding always ends on the
//! one path of [`unplug`](crate::unplug); wedging is the first part of this path.
//!
//! ```
//! # use lifeboat_core::{lifecycle::*, recovery::Budget, unplug::Loss, Timestamp};
//! let mut slot = Lifecycle::new(Budget::default());
//! let now = Timestamp::default();
//! assert_eq!(slot.handle(LifecycleEvent::Inserted, now), Some(Action::Probe { binding: 1 }));
//! // The card is pulled out during the probe. The probe ends, and then its binding is unplugged.
//! assert_eq!(slot.handle(LifecycleEvent::Removed, now), None);
//! assert_eq!(slot.handle(LifecycleEvent::Probed, now), Some(Action::Unplug(Loss::Unplugged)));
//! assert_eq!(slot.handle(LifecycleEvent::Ended, now), None);
//! assert_eq!(slot.state(), LifecycleState::Empty);
//! ```

mod names;
mod waits;

use crate::recovery::{Attempts, Budget, GivenUp, Next, Patience, Unready};
use crate::unplug::Loss;
use crate::wedge::Failure;
use crate::Timestamp;

pub use names::EventKind;

/// State of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifecycleState {
    /// The slot is empty.
    Empty,
    /// A device is present but not bound: it was unbound, it could not be bound, or its recoveries
    /// are used up.
    Idle,
    /// The device is being probed. [`Then`] is the next step, if the device must not be bound after
    /// all.
    Probing(Option<Then>),
    /// The device is being probed after a failure. [`Then`] is as in [`LifecycleState::Probing`].
    Recovering(Option<Then>),
    /// The device is not bound. It is probed at the deadline, unless an event comes first.
    Waiting(For),
    /// The slot reports that its link is down. The device is bound when the link is up.
    LinkDown,
    /// The device is bound to a driver.
    Bound,
    /// The binding is being unplugged.
    Ending(Then),
    /// The device has failed for good and is being cut off. [`Then`] is the next step, if the
    /// device must not stay wedged.
    Wedging(Option<Then>),
    /// The device is cut off and kept for an operator.
    Wedged,
    /// The slot is no longer watched. This state is final.
    Stopped,
}

/// Reason to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum For {
    /// The device is not ready to be probed for the first time.
    Ready,
    /// The device is not ready again after a failure, or after its link was down.
    ReadyAgain,
    /// The next recovery waits for its turn.
    Turn,
}

/// Next step after the current action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// Treat the slot as empty.
    Empty,
    /// Leave the device alone.
    Idle,
    /// Probe the device, or its replacement, with a full recovery budget.
    Probe,
    /// Bind the device again because it failed.
    Recover,
    /// Bind the device again because its link was down, as soon as the link is up. This does not
    /// count as a recovery.
    Relink,
    /// Stop watching the slot.
    Stop,
}

/// Event at a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LifecycleEvent {
    /// A card was inserted.
    Inserted,
    /// The card was removed.
    Removed,
    /// A driver gives up its device.
    Failed {
        /// Number of the driver's binding. The event is ignored if this binding has ended.
        binding: u64,
        /// Reason of the driver.
        loss: Loss,
    },
    /// A user asks to unbind the device.
    Unbind,
    /// A user asks to bind the device again. The device gets its full recovery budget.
    Rebind,
    /// The shell stops watching the slot.
    Stop,
    /// The slot reports that its link is down.
    LinkDown,
    /// The slot reports that its link is up again.
    LinkUp,
    /// The [deadline](Lifecycle::next_deadline) has passed.
    Tick,
    /// Completes [`Action::Probe`]: the device is bound.
    Probed,
    /// Completes [`Action::Probe`]: the device could not be bound.
    Refused,
    /// Completes [`Action::Probe`]: the slot is empty.
    Vanished,
    /// Completes [`Action::Probe`]: a device is present but not ready to be bound.
    NotReady(Unready),
    /// Completes [`Action::Probe`]: the device in the slot belongs to another driver.
    Foreign,
    /// Completes [`Action::Wedge`].
    Cut,
    /// Completes [`Action::Unplug`].
    Ended,
}

/// Action for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the machine waits for its completion"]
pub enum Action {
    /// Bind the device in the slot. Completed by [`LifecycleEvent::Probed`], [`LifecycleEvent::Refused`],
    /// [`LifecycleEvent::Vanished`], [`LifecycleEvent::NotReady`] or [`LifecycleEvent::Foreign`].
    Probe {
        /// Number of this binding, from 1.
        binding: u64,
    },
    /// End the binding. For a wedged device, take the steps after the cut. Completed by
    /// [`LifecycleEvent::Ended`].
    Unplug(Loss),
    /// Take the steps of an unplug up to the cut, then send the event of a wedged device. Completed
    /// by [`LifecycleEvent::Cut`].
    Wedge(Failure),
}

/// State machine of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifecycle {
    state: LifecycleState,
    attempts: Attempts,
    patience: Patience,
    /// Number of probes so far, which is the number of the last binding.
    binding: u64,
    /// First reason why the binding ends.
    loss: Loss,
    /// Last report of the slot about its link.
    link_is_down: bool,
    /// Time at which the current state, or the state that follows, ends by itself.
    deadline: Option<Timestamp>,
    /// Start of the last probe.
    looked: Timestamp,
    /// Observations of a device that is not ready.
    unready: Option<NotYet>,
    given_up: Option<GivenUp>,
}

/// Observations of a device that is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct NotYet {
    since: Timestamp,
    /// Beginning of the current silence.
    silent_since: Option<Timestamp>,
    looks: u32,
}

impl Lifecycle {
    /// Creates an empty slot with this recovery budget, the default spacing and the default
    /// patience.
    pub const fn new(recovery: Budget) -> Self {
        Self::patient(Attempts::new(recovery), Patience::DEFAULT)
    }

    /// Creates an empty slot with this budget and spacing of recoveries and this patience.
    pub const fn patient(attempts: Attempts, patience: Patience) -> Self {
        Self {
            state: LifecycleState::Empty,
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

    /// Returns the state of the slot.
    pub const fn state(&self) -> LifecycleState {
        self.state
    }

    /// Returns the number of the last binding, or 0 before the first.
    pub const fn binding(&self) -> u64 {
        self.binding
    }

    /// Returns the time at which to report [`LifecycleEvent::Tick`], unless another event comes first.
    pub const fn next_deadline(&self) -> Option<Timestamp> {
        match self.state {
            LifecycleState::Waiting(_) | LifecycleState::LinkDown => self.deadline,
            _ => None,
        }
    }

    /// Returns the reason why the last binding has ended or is ending. A loss that a driver has
    /// found becomes [`Loss::Unplugged`] if the slot reports afterwards that the card was removed.
    /// The same holds for a link that went down.
    pub const fn loss(&self) -> Loss {
        self.loss
    }

    /// Returns the reason why the device in the slot is left alone, if it is.
    pub const fn given_up(&self) -> Option<GivenUp> {
        match self.state {
            LifecycleState::Idle | LifecycleState::LinkDown => self.given_up,
            _ => None,
        }
    }

    /// Takes an event and returns the action to carry out, if any. `now` must not go backwards.
    pub fn handle(&mut self, event: LifecycleEvent, now: Timestamp) -> Option<Action> {
        match event {
            LifecycleEvent::Failed { binding, .. } if binding != self.binding => return None,
            // A new card is not charged for failures of the old card.
            LifecycleEvent::Inserted => self.attempts.renewed(),
            // An empty slot has no link, so the report means nothing.
            LifecycleEvent::LinkDown => self.link_is_down = self.state != LifecycleState::Empty,
            // A request to bind overrides the slot's report.
            LifecycleEvent::LinkUp | LifecycleEvent::Rebind => self.link_is_down = false,
            LifecycleEvent::Removed | LifecycleEvent::Vanished => self.removed(),
            _ => {}
        }
        match self.state {
            LifecycleState::Stopped => None,
            LifecycleState::Empty | LifecycleState::Idle | LifecycleState::Waiting(_) | LifecycleState::LinkDown => {
                self.unbound(event, now)
            }
            LifecycleState::Bound | LifecycleState::Wedged => self.at_rest(event, now),
            LifecycleState::Probing(then) | LifecycleState::Recovering(then) => match event {
                LifecycleEvent::Probed => self.probed(then, now),
                LifecycleEvent::Refused => self.refused(then, now),
                LifecycleEvent::NotReady(how) => self.not_ready(how, then, now),
                LifecycleEvent::Foreign => self.foreign(then, now),
                LifecycleEvent::Vanished => self.vanished(then, now),
                _ => self.meanwhile(event, then),
            },
            LifecycleState::Wedging(then) => match (event, then) {
                (LifecycleEvent::Cut, None) => {
                    self.state = LifecycleState::Wedged;
                    None
                }
                (LifecycleEvent::Cut, Some(then)) => Some(self.end(then)),
                // The device is already being cut off. No failure is worse, and no link leads to
                // the device any more.
                (LifecycleEvent::Failed { .. } | LifecycleEvent::LinkDown, _) => None,
                _ => self.meanwhile(event, then),
            },
            LifecycleState::Ending(then) => match event {
                LifecycleEvent::Ended => self.go(then, now),
                // This includes a driver that gives up a device whose binding is ending anyway.
                _ => self.meanwhile(event, Some(then)),
            },
        }
    }

    /// Handles the report that the slot is empty, which explains an earlier loss.
    fn removed(&mut self) {
        self.link_is_down = false;
        if matches!(self.loss, Loss::FellOff | Loss::LinkDown)
            && !matches!(self.state, LifecycleState::Bound | LifecycleState::Wedged)
        {
            self.loss = Loss::Unplugged;
        }
    }

    /// Handles an event at a device that is bound or wedged.
    fn at_rest(&mut self, event: LifecycleEvent, now: Timestamp) -> Option<Action> {
        if let LifecycleEvent::Failed { loss, .. } = event {
            return (self.state == LifecycleState::Bound).then(|| self.failed(loss, now));
        }
        // A wedged device stays as it is when its link goes down.
        let then = next(None, event).filter(|then| self.state == LifecycleState::Bound || *then != Then::Relink)?;
        self.loss = reason(event);
        Some(self.end(then))
    }

    /// Handles an event during an action. The event does not end the action but may change the next
    /// step.
    fn meanwhile(&mut self, event: LifecycleEvent, then: Option<Then>) -> Option<Action> {
        let next = next(then, event);
        if then.is_none() && next.is_some() {
            self.loss = reason(event);
        }
        if next == Some(Then::Relink) && !matches!(self.state, LifecycleState::Probing(_)) {
            // The driver has noticed the lost link before the slot reported it.
            self.attempts.excused();
        }
        self.state = match (self.state, next) {
            (LifecycleState::Probing(_), next) => LifecycleState::Probing(next),
            (LifecycleState::Recovering(_), next) => LifecycleState::Recovering(next),
            (LifecycleState::Wedging(_), next) => LifecycleState::Wedging(next),
            (LifecycleState::Ending(_), Some(next)) => LifecycleState::Ending(next),
            (other, _) => other,
        };
        None
    }

    fn probed(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        if matches!(self.state, LifecycleState::Recovering(_)) {
            if self.unready.take().is_some() {
                // The device was away and has come back: an outage is no failure of the device.
                self.attempts.back(self.patience.outages);
            }
            self.attempts.recovered(now);
        }
        match then {
            None => {
                self.state = LifecycleState::Bound;
                None
            }
            Some(Then::Recover) => Some(self.failed(self.loss, now)),
            Some(then) => Some(self.end(then)),
        }
    }

    fn refused(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        let recovering = matches!(self.state, LifecycleState::Recovering(_));
        if recovering {
            self.attempts.refused(now);
        }
        match (recovering, then) {
            // `Recover` means that the driver has already reported the failure.
            (true, None | Some(Then::Recover)) => self.again(now),
            // A device that never worked is not tried again.
            (_, None | Some(Then::Recover)) => self.go(Then::Idle, now),
            (_, Some(then)) => self.go(then, now),
        }
    }

    /// Handles a device that belongs to another driver. It has replaced the device that was here,
    /// or was in the slot from the beginning.
    fn foreign(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        self.attempts.renewed();
        if matches!(self.state, LifecycleState::Recovering(_)) {
            self.loss = Loss::Replaced;
        }
        self.go(then.filter(|then| *then != Then::Recover).unwrap_or(Then::Idle), now)
    }

    fn vanished(&mut self, then: Option<Then>, now: Timestamp) -> Option<Action> {
        match then {
            // A card was inserted since, or the slot is no longer watched.
            Some(then @ (Then::Probe | Then::Stop)) => self.go(then, now),
            None | Some(Then::Empty | Then::Idle | Then::Recover | Then::Relink) => self.go(Then::Empty, now),
        }
    }

    /// Handles a driver that gives up the device that it is bound to.
    fn failed(&mut self, loss: Loss, now: Timestamp) -> Action {
        self.loss = loss;
        if loss == Loss::Replaced {
            // A new device is not charged for failures of the old device.
            return self.end(Then::Probe);
        }
        match (self.attempts.failed(now), loss.failure()) {
            (Next::Recover { at, .. }, _) => {
                self.deadline = Some(at);
                self.end(Then::Recover)
            }
            (Next::Wedge, Some(failure)) => {
                self.state = LifecycleState::Wedging(None);
                Action::Wedge(failure)
            }
            // A device that does not answer cannot be examined, so it is not kept wedged.
            (Next::Wedge, None) => {
                self.given_up = Some(GivenUp::Recoveries);
                self.end(Then::Idle)
            }
        }
    }

    /// Handles a recovery that has failed.
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
        self.state = LifecycleState::Ending(then);
        Action::Unplug(self.loss)
    }
}

/// Returns the next step after the current action, given the step planned so far and an event
/// during the action. `None` means that the action's own result stands.
fn next(then: Option<Then>, event: LifecycleEvent) -> Option<Then> {
    match (then, event) {
        (Some(Then::Stop), _) | (_, LifecycleEvent::Stop) => Some(Then::Stop),
        // A request for a device that is not there changes nothing.
        (_, LifecycleEvent::Removed) | (Some(Then::Empty), LifecycleEvent::Unbind | LifecycleEvent::Rebind) => {
            Some(Then::Empty)
        }
        (_, LifecycleEvent::Unbind) => Some(Then::Idle),
        (None | Some(Then::Recover), LifecycleEvent::LinkDown) => Some(Then::Relink),
        (_, LifecycleEvent::Rebind) | (Some(_), LifecycleEvent::Inserted) => Some(Then::Probe),
        (None, LifecycleEvent::Failed { .. }) => Some(Then::Recover),
        // These events change nothing: the device is present as known, a driver gives up a binding
        // that ends anyway, or a completion is left over.
        (then, _) => then,
    }
}

/// Returns the loss that an event means for a binding.
fn reason(event: LifecycleEvent) -> Loss {
    match event {
        LifecycleEvent::Removed => Loss::Unplugged,
        LifecycleEvent::Failed { loss, .. } => loss,
        LifecycleEvent::LinkDown => Loss::LinkDown,
        _ => Loss::Unbound,
    }
}
