//! What a firmware holds of queues, and how it lets go (SCHED-12).

use super::*;

/// Payloads of queues begin here, behind those of all jobs.
pub(in super::super) const QUEUE_PAYLOADS: u32 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Holding {
    Nothing,
    Held,
    Owed,
    Asking,
    Asked(Timestamp),
    Overdue,
    Looking,
    Kept,
    LetGo,
}

impl Holding {
    fn was_asked(self) -> bool {
        !matches!(self, Self::Nothing | Self::Held | Self::Owed | Self::LetGo)
    }
}

impl Model {
    /// Whether a firmware may be told of a queue.
    pub(in super::super) fn may_hold(&self, queue: usize) -> bool {
        let slot = &self.queues[queue];
        self.lost.is_none() && !slot.killed && slot.holding == Holding::Nothing
    }

    pub(in super::super) fn held(&mut self, queue: usize) {
        let slot = &mut self.queues[queue];
        (slot.holding, slot.holder) = (Holding::Held, slot.ring);
    }

    /// After every event: closed queues without a job on a ring are to be asked about.
    pub(in super::super) fn owe_questions(&mut self) {
        let runs = |queue: usize| {
            let mut running = self.rings.iter().flat_map(|ring| &ring.running);
            running.any(|(_, job)| self.jobs[*job].queue == queue)
        };
        let idle: Vec<bool> = (0..self.queues.len()).map(|queue| !runs(queue)).collect();
        for (slot, idle) in self.queues.iter_mut().zip(idle) {
            if self.lost.is_none() && slot.killed && idle && slot.holding == Holding::Held {
                slot.holding = Holding::Owed;
            }
        }
    }

    /// Whether a question is owed about a queue of a ring that nothing is wrong with.
    pub(super) fn question_owed(&self) -> bool {
        let is_owed = |queue: &Queue| matches!(queue.holding, Holding::Owed | Holding::Overdue);
        let rests = self.stopped || self.device != DeviceIs::Running;
        !rests && self.queues.iter().any(|queue| is_owed(queue) && self.rings[queue.holder].is == RingIs::Running)
    }

    pub(in super::super) fn asked_to_let_go(&mut self, handle: QueueId, ring: RingIndex, last_look: bool) {
        assert!(!self.ended() && !self.releasable() && !self.give_up && !self.reset_owed(), "before trouble");
        assert_eq!((self.device, self.stopped), (DeviceIs::Running, false));
        let slot = self.queues.iter_mut().find(|queue| queue.handle == handle).unwrap();
        assert_eq!((slot.holder, self.rings[slot.holder].is), (usize::from(ring.0), RingIs::Running));
        let (is_owed, next) =
            if last_look { (Holding::Overdue, Holding::Looking) } else { (Holding::Owed, Holding::Asking) };
        assert_eq!(core::mem::replace(&mut slot.holding, next), is_owed);
    }

    pub(in super::super) fn let_go_answered(&mut self, queue: usize, answer: LetGo, now: Timestamp) {
        let slot = &mut self.queues[queue];
        match (slot.holding, answer) {
            (Holding::Asking | Holding::Looking, LetGo::Done) => self.let_go(queue),
            (Holding::Asking, LetGo::Asked) => slot.holding = Holding::Asked(now.plus(TIMEOUT)),
            (Holding::Asking | Holding::Looking, _) => {
                slot.holding = Holding::Kept;
                let ring = slot.holder;
                self.doubt_firmware(ring);
            }
            (_, _) => {}
        }
    }

    pub(in super::super) fn firmware_let_go(&mut self, queue: usize) {
        if self.queues[queue].holding.was_asked() {
            self.let_go(queue);
        }
    }

    fn let_go(&mut self, queue: usize) {
        self.queues[queue].holding = Holding::LetGo;
        let ring = self.queues[queue].holder;
        if self.is_kept(ring) {
            return;
        }
        match self.firmware {
            Firmware::OfEachRing => {
                let slot = &mut self.rings[ring];
                if matches!(slot.is, RingIs::Suspect(Cause::Firmware) | RingIs::Asked(Cause::Firmware)) {
                    slot.is = RingIs::Running;
                }
            }
            Firmware::OfTheDevice => {
                let stuck = self.rings.iter().any(|ring| matches!(ring.is, RingIs::Stuck(_)));
                let kept = (0..self.rings.len()).any(|ring| self.is_kept(ring));
                if matches!(self.device, DeviceIs::Stuck | DeviceIs::Asked) && !stuck && !kept {
                    self.device = DeviceIs::Running;
                }
            }
        }
    }

    pub(super) fn is_kept(&self, ring: usize) -> bool {
        self.queues.iter().any(|queue| queue.holder == ring && queue.holding == Holding::Kept)
    }

    /// A ring that may go on does not, if its firmware has not let go.
    pub(super) fn doubt_firmware(&mut self, ring: usize) {
        if self.lost.is_some() || !self.is_kept(ring) {
            return;
        }
        match self.firmware {
            Firmware::OfEachRing if self.rings[ring].is == RingIs::Running => {
                self.rings[ring].is = RingIs::Suspect(Cause::Firmware);
            }
            Firmware::OfTheDevice if self.device == DeviceIs::Running => {
                self.device = DeviceIs::Stuck;
                if self.rings[ring].vain == Vain::Device {
                    self.device = DeviceIs::GivenUp;
                    self.give_up();
                }
            }
            _ => {}
        }
    }

    /// When the first answer of a ring's firmware is overdue.
    pub(super) fn answer_due(&self, ring: usize) -> Option<Timestamp> {
        let counts = matches!(self.rings[ring].is, RingIs::Running | RingIs::Aborting(..));
        if self.stopped || self.device != DeviceIs::Running || !counts {
            return None;
        }
        let due = |queue: &Queue| match queue.holding {
            Holding::Asked(due) if queue.holder == ring => Some(due),
            _ => None,
        };
        self.queues.iter().filter_map(due).min()
    }

    pub(super) fn tick_firmware(&mut self, ring: usize, now: Timestamp) {
        if self.answer_due(ring).is_none() {
            return;
        }
        for queue in self.queues.iter_mut().filter(|queue| queue.holder == ring) {
            if matches!(queue.holding, Holding::Asked(due) if due <= now) {
                queue.holding = Holding::Overdue;
            }
        }
    }

    pub(super) fn renew_answers(&mut self, now: Timestamp) {
        for queue in &mut self.queues {
            if let Holding::Asked(due) = &mut queue.holding {
                *due = now.plus(TIMEOUT);
            }
        }
    }

    pub(super) fn firmware_was_reset(&mut self, ring: usize) {
        for queue in self.queues.iter_mut().filter(|queue| queue.holder == ring && queue.holding.was_asked()) {
            queue.holding = Holding::LetGo;
        }
    }

    pub(super) fn firmware_gone(&mut self) {
        for queue in self.queues.iter_mut().filter(|queue| queue.holding != Holding::Nothing) {
            queue.holding = Holding::LetGo;
        }
    }

    pub(super) fn released_of_queue(&mut self, payload: u32) {
        let queue = &mut self.queues[(payload - QUEUE_PAYLOADS) as usize];
        assert_eq!(core::mem::replace(&mut queue.holding, Holding::Nothing), Holding::LetGo, "{payload}");
    }
}
