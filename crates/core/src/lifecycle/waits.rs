//! States in which nothing is bound: rest, and the waits that end by themselves.

use super::{Action, For, Lifecycle, LifecycleEvent, LifecycleState, NotYet, Then};
use crate::recovery::{GivenUp, Patience, Unready};
use crate::Timestamp;

impl Lifecycle {
    /// Handles an event while nothing is bound or being bound.
    pub(super) fn unbound(&mut self, event: LifecycleEvent, now: Timestamp) -> Option<Action> {
        match (self.state, event) {
            (_, LifecycleEvent::Stop) => self.go(Then::Stop, now),
            (LifecycleState::Empty, LifecycleEvent::Inserted) => self.go(Then::Probe, now),
            // An empty slot cannot be probed, and a device is not probed before its link is up or a
            // user asks for it.
            (LifecycleState::Empty, _) | (LifecycleState::LinkDown, LifecycleEvent::Inserted) => None,
            (_, LifecycleEvent::Removed) => self.go(Then::Empty, now),
            (_, LifecycleEvent::Inserted | LifecycleEvent::Rebind) => self.go(Then::Probe, now),
            (LifecycleState::Waiting(_) | LifecycleState::LinkDown, LifecycleEvent::Unbind) => {
                self.given_up = None; // The device is left alone because a user has asked for this.
                self.go(Then::Idle, now)
            }
            // The lost link explains the failure.
            (LifecycleState::Waiting(_), LifecycleEvent::LinkDown) => self.relink(now),
            (LifecycleState::Idle, LifecycleEvent::LinkDown) if self.given_up.is_some() => self.relink(now),
            (LifecycleState::LinkDown, LifecycleEvent::LinkUp) => self.go(Then::Relink, now),
            (LifecycleState::Waiting(what), LifecycleEvent::Tick) if self.is_due(now) => match what {
                For::Ready => Some(self.probe(LifecycleState::Probing(None), now)),
                For::ReadyAgain | For::Turn => Some(self.probe(LifecycleState::Recovering(None), now)),
            },
            (LifecycleState::LinkDown, LifecycleEvent::Tick) if self.is_due(now) => {
                self.deadline = None;
                self.given_up = Some(GivenUp::Link);
                None
            }
            _ => None,
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Handles a failure that turns out to be a lost link: the device has not failed.
    fn relink(&mut self, now: Timestamp) -> Option<Action> {
        self.attempts.excused();
        self.go(Then::Relink, now)
    }

    /// Handles a device that is not ready. The device is probed again until a limit, which depends
    /// on the way it answers. The last probe begins after the limit.
    pub(super) fn not_ready(&mut self, how: Unready, then: Option<Then>, now: Timestamp) -> Option<Action> {
        if let Some(then) = then.filter(|then| *then != Then::Recover) {
            return self.go(then, now);
        }
        let first = NotYet { since: self.looked, silent_since: None, looks: 0 };
        let NotYet { since, silent_since, looks } = self.unready.unwrap_or(first);
        let Patience { silent, retry, .. } = self.patience;
        let (silent_since, limit) = match how {
            Unready::Retry => (None, since.plus(retry)),
            // A device that alternates between silence and "ask again" gets no more time than a
            // device that always answers "ask again".
            Unready::Silent => {
                let silent_since = silent_since.unwrap_or(self.looked);
                (Some(silent_since), silent_since.plus(silent).min(since.plus(silent.max(retry))))
            }
        };
        if limit <= self.looked && looks > 0 {
            self.unready = None;
            return self.refused(then, now);
        }
        let looks = looks.saturating_add(1);
        self.unready = Some(NotYet { since, silent_since, looks });
        self.deadline = Some(now.plus(Patience::pause(looks)).min(limit.max(now)));
        let recovering = matches!(self.state, LifecycleState::Recovering(_));
        self.state = LifecycleState::Waiting(if recovering { For::ReadyAgain } else { For::Ready });
        None
    }

    /// Takes the next step while nothing is bound and no action is in progress.
    pub(super) fn go(&mut self, then: Then, now: Timestamp) -> Option<Action> {
        let decided = self.deadline.take();
        self.unready = None;
        if then != Then::Idle {
            self.given_up = None;
        }
        match then {
            Then::Empty => {
                self.link_is_down = false;
                self.rest(LifecycleState::Empty)
            }
            // The lost link explains the failures. The device is bound again when the link is up.
            Then::Idle if self.link_is_down && self.given_up.is_some() => self.relink(now),
            Then::Idle => self.rest(LifecycleState::Idle),
            Then::Stop => self.rest(LifecycleState::Stopped),
            Then::Probe | Then::Recover | Then::Relink if self.link_is_down => {
                self.deadline = Some(now.plus(self.patience.link));
                self.rest(LifecycleState::LinkDown)
            }
            Then::Recover => self.take_turn(decided.unwrap_or(now), now),
            Then::Relink => {
                let turn = self.attempts.interrupted(now);
                self.take_turn(turn, now)
            }
            Then::Probe => {
                self.attempts.renewed();
                Some(self.probe(LifecycleState::Probing(None), now))
            }
        }
    }

    fn rest(&mut self, state: LifecycleState) -> Option<Action> {
        self.state = state;
        None
    }

    /// Recovers the device now, or waits until `turn`.
    fn take_turn(&mut self, turn: Timestamp, now: Timestamp) -> Option<Action> {
        if turn <= now {
            return Some(self.probe(LifecycleState::Recovering(None), now));
        }
        self.deadline = Some(turn);
        self.rest(LifecycleState::Waiting(For::Turn))
    }

    fn probe(&mut self, state: LifecycleState, now: Timestamp) -> Action {
        self.state = state;
        self.deadline = None;
        self.looked = now;
        self.binding += 1;
        Action::Probe { binding: self.binding }
    }
}
