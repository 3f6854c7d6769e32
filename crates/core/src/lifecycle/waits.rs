//! States in which nothing is bound: rest, and the waits that end by themselves.

use super::{Action, Event, For, Lifecycle, NotYet, State, Then};
use crate::recovery::{GivenUp, Patience, Unready};
use crate::Timestamp;

impl Lifecycle {
    /// Handles an event while nothing is bound or being bound.
    pub(super) fn unbound(&mut self, event: Event, now: Timestamp) -> Option<Action> {
        match (self.state, event) {
            (_, Event::Stop) => self.go(Then::Stop, now),
            (State::Empty, Event::Inserted) => self.go(Then::Probe, now),
            // An empty slot cannot be probed, and a device is not probed before its link is up or a
            // user asks for it.
            (State::Empty, _) | (State::LinkDown, Event::Inserted) => None,
            (_, Event::Removed) => self.go(Then::Empty, now),
            (_, Event::Inserted | Event::Rebind) => self.go(Then::Probe, now),
            (State::Waiting(_) | State::LinkDown, Event::Unbind) => {
                self.given_up = None; // The device is left alone because a user has asked for this.
                self.go(Then::Idle, now)
            }
            // The lost link explains the failure.
            (State::Waiting(_), Event::LinkDown) => self.relink(now),
            (State::Idle, Event::LinkDown) if self.given_up.is_some() => self.relink(now),
            (State::LinkDown, Event::LinkUp) => self.go(Then::Relink, now),
            (State::Waiting(what), Event::Tick) if self.is_due(now) => match what {
                For::Ready => Some(self.probe(State::Probing(None), now)),
                For::ReadyAgain | For::Turn => Some(self.probe(State::Recovering(None), now)),
            },
            (State::LinkDown, Event::Tick) if self.is_due(now) => {
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
        let recovering = matches!(self.state, State::Recovering(_));
        self.state = State::Waiting(if recovering { For::ReadyAgain } else { For::Ready });
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
                self.rest(State::Empty)
            }
            // The lost link explains the failures. The device is bound again when the link is up.
            Then::Idle if self.link_is_down && self.given_up.is_some() => self.relink(now),
            Then::Idle => self.rest(State::Idle),
            Then::Stop => self.rest(State::Stopped),
            Then::Probe | Then::Recover | Then::Relink if self.link_is_down => {
                self.deadline = Some(now.plus(self.patience.link));
                self.rest(State::LinkDown)
            }
            Then::Recover => self.take_turn(decided.unwrap_or(now), now),
            Then::Relink => {
                let turn = self.attempts.interrupted(now);
                self.take_turn(turn, now)
            }
            Then::Probe => {
                self.attempts.renewed();
                Some(self.probe(State::Probing(None), now))
            }
        }
    }

    fn rest(&mut self, state: State) -> Option<Action> {
        self.state = state;
        None
    }

    /// Recovers the device now, or waits until `turn`.
    fn take_turn(&mut self, turn: Timestamp, now: Timestamp) -> Option<Action> {
        if turn <= now {
            return Some(self.probe(State::Recovering(None), now));
        }
        self.deadline = Some(turn);
        self.rest(State::Waiting(For::Turn))
    }

    fn probe(&mut self, state: State, now: Timestamp) -> Action {
        self.state = state;
        self.deadline = None;
        self.looked = now;
        self.binding += 1;
        Action::Probe { binding: self.binding }
    }
}
