//! Letting go: a firmware that holds something of a queue is asked before that is released
//! (SCHED-12).
//!
//! Some firmware schedules queues itself, and so has objects of its own for them: a ring, a
//! context, page tables. The memory behind these must stay when the user is gone and the last job
//! has ended, until the firmware has said that it reads them no more. The unit is a queue. A
//! [context](super::Context) ends with its last queue, so what all queues of a context share goes
//! into the payload of each.
//!
//! ```text
//! firmware_holds → Held ─closed, and no job on hardware→ Owed ─Action::LetGo→ Asking ─let_go_answered→ Asked
//!                                                        (any of these) ─firmware_let_go, reset→ Let go ─Action::Release→ ·
//! ```
//!
//! Nobody waits inside: the user's handle is closed at once, and the slot of the queue and its
//! payload stay (SCHED-2), as a part of the context's [share](super::Shares).
//!
//! | what the shell tells after [`Action::LetGo`](super::Action::LetGo) | what follows |
//! |---|---|
//! | [`LetGo::Done`], or [`Scheduler::firmware_let_go`] at any time later | the payload is released |
//! | [`LetGo::Asked`] | the firmware has [`Limits::let_go`](super::Limits::let_go) to answer |
//! | nothing within that limit | a last look: `Action::LetGo` once more, which begins after the limit |
//! | the last look finds no answer, or [`LetGo::Cannot`] | the firmware is reset: the ring, or the device ([`Firmware`]); then as after any [reset](super::resets) that nobody is to blame for |
//! | the answer while the reset is only owed | the payload is released, and nothing is reset |
//! | a reset of what the firmware runs on, for whatever reason | counts as the answer of every queue that it was asked about |
//! | the device is lost | nobody is asked or waited for any more; released at [`Scheduler::hardware_gone`], or at an answer |
//!
//! A queue that was closed but not asked about when its firmware was reset is asked about
//! afterwards: the driver may have set it up again.

use super::slots::{DeviceState, Hold, RingState, Tried};
use super::{Action, QueueId, Scheduler, Storage};
use crate::{Id, Timestamp};

/// What the driver says when a firmware is to let go of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LetGo {
    /// The firmware holds nothing of the queue any more, or never did.
    #[default]
    Done,
    /// The firmware was told, or told again, and has not answered.
    Asked,
    /// The firmware cannot be asked: only a reset helps.
    Cannot,
}

/// What must be reset to be sure that a firmware holds nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Firmware {
    /// The ring that the queue had when the firmware was told of it: each ring has its own
    /// firmware.
    #[default]
    OfEachRing,
    /// The whole device: one firmware serves all rings, and goes on when one of them is reset.
    OfTheDevice,
}

impl<S: Storage> Scheduler<S> {
    /// From now on the firmware of the queue's ring holds something of it, which `payload` keeps
    /// alive until the firmware has let go. Called before the firmware is told of the queue. A
    /// queue that moves to another ring afterwards stays with this firmware. O(1).
    ///
    /// # Errors
    /// The payload, if the queue has been closed, holds something already, or the device is lost:
    /// then the firmware must not be told.
    pub fn firmware_holds(&mut self, queue: QueueId, payload: S::Payload) -> Result<(), S::Payload> {
        let over = self.is_over();
        match self.queue_mut(queue) {
            Some(slot) if !over && !slot.killed && slot.hold == Hold::Nothing => {
                (slot.hold, slot.holder, slot.payload) = (Hold::Held, slot.ring, Some(payload));
                Ok(())
            }
            _ => Err(payload),
        }
    }

    /// What a firmware holds of a queue, for the shell that carries out [`Action::LetGo`]. `None`
    /// if that is nothing, or if the handle is stale. O(1).
    pub fn held(&self, queue: QueueId) -> Option<&S::Payload> {
        let slot = self.queues.as_ref().get(queue.index as usize)?;
        slot.payload.as_ref().filter(|_| slot.generation == queue.generation)
    }

    /// Queues that a firmware holds something of, whether or not it was asked to let go, and those
    /// that it has let go of and whose payload has not been handed out. O(queues); for reports and
    /// tests.
    pub fn held_count(&self) -> usize {
        self.queues.as_ref().iter().filter(|queue| queue.hold != Hold::Nothing).count()
    }

    /// What the driver has answered to an [`Action::LetGo`]. Ignored if it is known already that
    /// the firmware has let go, or was reset. O(1).
    pub fn let_go_answered(&mut self, queue: QueueId, answer: LetGo, now: Timestamp) {
        let due = now.plus(self.limits.let_go);
        let Some(slot) = self.queue_mut(queue) else { return };
        let ring = usize::from(slot.holder.0);
        match (slot.hold, answer) {
            (Hold::Asking | Hold::Looking, LetGo::Done) => self.release_held(queue.index, now),
            (Hold::Asking, LetGo::Asked) => {
                slot.hold = Hold::Asked(due);
                let lists = &mut self.rings.as_mut()[ring].letting_go;
                lists.in_hand.remove(self.queues.as_mut(), queue.index);
                lists.asked.push_back(self.queues.as_mut(), queue.index);
            }
            (Hold::Asking | Hold::Looking, LetGo::Asked | LetGo::Cannot) => {
                slot.hold = Hold::Kept;
                self.rings.as_mut()[ring].letting_go.kept += 1;
                self.doubt_firmware(ring);
            }
            (_, _) => {}
        }
    }

    /// A firmware holds nothing of a queue any more. Ignored for a queue that it was not asked
    /// about. O(rings).
    pub fn firmware_let_go(&mut self, queue: QueueId, now: Timestamp) {
        if self.queue_mut(queue).is_some_and(|slot| slot.hold.was_asked_about()) {
            self.release_held(queue.index, now);
        }
    }

    /// The firmware is to be asked as soon as the queue is closed and none of its jobs is on
    /// hardware.
    pub(super) fn owe_question(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        if self.lost.is_none() && slot.killed && slot.running == 0 && slot.hold == Hold::Held {
            slot.hold = Hold::Owed;
            let owed = &mut self.rings.as_mut()[usize::from(slot.holder.0)].letting_go.owed;
            owed.push_back(self.queues.as_mut(), queue);
        }
    }

    /// The next question that is owed, of a ring that nothing is wrong with: the reset of any other
    /// comes first.
    pub(super) fn poll_let_go(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        let owed = |slot: &super::RingSlot| slot.state == RingState::Running && !slot.letting_go.owed.is_empty();
        let ring = self.in_turn().find(|ring| owed(&self.rings.as_ref()[*ring]))?;
        let lists = &mut self.rings.as_mut()[ring].letting_go;
        let queue = lists.owed.pop_front(self.queues.as_mut())?;
        lists.in_hand.push_back(self.queues.as_mut(), queue);
        let slot = &mut self.queues.as_mut()[queue as usize];
        let last_look = slot.hold == Hold::Overdue;
        slot.hold = if last_look { Hold::Looking } else { Hold::Asking };
        Some(Action::LetGo { queue: Id::new(queue, slot.generation), ring: slot.holder, last_look })
    }

    /// A last look is owed of each queue of a ring whose time is over.
    pub(super) fn tick_let_go(&mut self, ring: usize, now: Timestamp) {
        while self.let_go_due(ring).is_some_and(|due| due <= now) {
            let lists = &mut self.rings.as_mut()[ring].letting_go;
            let Some(queue) = lists.asked.pop_front(self.queues.as_mut()) else { return };
            lists.owed.push_back(self.queues.as_mut(), queue);
            self.queues.as_mut()[queue as usize].hold = Hold::Overdue;
        }
    }

    /// When the first answer of a ring's firmware is overdue. `None` while time does not count:
    /// work rests, or something is being reset. All have the same time, so that the first asked is
    /// the first due.
    pub(super) fn let_go_due(&self, ring: usize) -> Option<Timestamp> {
        let slot = &self.rings.as_ref()[ring];
        let counts = matches!(slot.state, RingState::Running | RingState::Aborting)
            && self.device == DeviceState::Running
            && !self.stopped;
        match self.queues.as_ref()[slot.letting_go.asked.front().filter(|_| counts)? as usize].hold {
            Hold::Asked(due) => Some(due),
            _ => None,
        }
    }

    /// Work goes on after a rest: every firmware has its whole time again.
    pub(super) fn renew_let_go(&mut self, now: Timestamp) {
        let renewed = now.plus(self.limits.let_go);
        for slot in self.queues.as_mut() {
            if let Hold::Asked(due) = &mut slot.hold {
                *due = renewed;
            }
        }
    }

    /// A firmware that does not let go is reset, unless a reset is under way.
    pub(super) fn doubt_firmware(&mut self, ring: usize) {
        let slot = &mut self.rings.as_mut()[ring];
        if slot.letting_go.kept == 0 || self.lost.is_some() {
            return;
        }
        match self.limits.firmware {
            Firmware::OfEachRing if slot.state == RingState::Running => {
                (slot.state, slot.deadline) = (RingState::Suspect, None);
            }
            Firmware::OfTheDevice if self.device == DeviceState::Running && slot.tried == Tried::Device => {
                self.give_up_as(DeviceState::Gone);
            }
            Firmware::OfTheDevice if self.device == DeviceState::Running => self.device = DeviceState::Suspect,
            _ => {}
        }
    }

    /// What a firmware runs on was reset: it holds nothing of the queues that it was asked about.
    pub(super) fn firmware_was_reset(&mut self, ring: usize) {
        let lists = &mut self.rings.as_mut()[ring].letting_go;
        let mut owed = lists.owed.take();
        let (asked, in_hand) = (lists.asked.take(), lists.in_hand.take());
        lists.kept = 0;
        while let Some(queue) = owed.pop_front(self.queues.as_mut()) {
            let slot = &mut self.queues.as_mut()[queue as usize];
            if slot.hold == Hold::Overdue {
                slot.hold = Hold::LetGo;
                self.let_go.push_back(self.queues.as_mut(), queue);
            } else {
                self.rings.as_mut()[ring].letting_go.owed.push_back(self.queues.as_mut(), queue);
            }
        }
        for mut queues in [asked, in_hand] {
            while let Some(queue) = queues.pop_front(self.queues.as_mut()) {
                self.queues.as_mut()[queue as usize].hold = Hold::LetGo;
                self.let_go.push_back(self.queues.as_mut(), queue);
            }
        }
    }

    /// The hardware is gone, and the firmware with it.
    pub(super) fn release_all_held(&mut self) {
        for queue in 0..super::list::count(self.queues.as_ref()) {
            if !matches!(self.queues.as_ref()[queue as usize].hold, Hold::Nothing | Hold::LetGo) {
                self.forget_question(queue);
            }
        }
    }

    /// The firmware of a queue has let go. If something was to be reset for that alone, it is not.
    fn release_held(&mut self, queue: u32, now: Timestamp) {
        let ring = usize::from(self.queues.as_ref()[queue as usize].holder.0);
        self.forget_question(queue);
        if self.rings.as_ref()[ring].letting_go.kept > 0 {
            return;
        }
        match self.limits.firmware {
            Firmware::OfEachRing => {
                let slot = &self.rings.as_ref()[ring];
                let doubted = matches!(slot.state, RingState::Suspect | RingState::Asked);
                if doubted && slot.blame == super::slots::Blame::Nobody {
                    self.clear(ring, now);
                }
            }
            Firmware::OfTheDevice => {
                let doubted = matches!(self.device, DeviceState::Suspect | DeviceState::Asked);
                let why = |slot: &super::RingSlot| slot.state == RingState::Stuck || slot.letting_go.kept > 0;
                if doubted && !self.rings.as_ref().iter().any(why) {
                    self.device = DeviceState::Running;
                }
            }
        }
    }

    /// Takes a queue out of the list it stands in, into that of queues whose payload is to be
    /// released.
    fn forget_question(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        let was = core::mem::replace(&mut slot.hold, Hold::LetGo);
        let lists = &mut self.rings.as_mut()[usize::from(slot.holder.0)].letting_go;
        match was {
            Hold::Nothing | Hold::Held | Hold::LetGo => {}
            Hold::Owed | Hold::Overdue => lists.owed.remove(self.queues.as_mut(), queue),
            Hold::Asked(_) => lists.asked.remove(self.queues.as_mut(), queue),
            Hold::Asking | Hold::Looking | Hold::Kept => lists.in_hand.remove(self.queues.as_mut(), queue),
        }
        lists.kept -= u32::from(was == Hold::Kept);
        self.let_go.push_back(self.queues.as_mut(), queue);
    }
}
