//! What a firmware holds of queues in that world, and how it comes to let go (SCHED-12).

use super::*;

/// Where the shell stands with a queue that a firmware holds something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// It has not been asked to ask.
    None,
    /// It has an [`Action::LetGo`] in hand.
    InHand { last_look: bool },
    /// The firmware was asked, and has until then.
    Asked(Timestamp),
    /// The last look has found nothing, or the firmware cannot be asked.
    Kept,
    /// The scheduler knows that the firmware has let go.
    Answered,
}

/// What a firmware holds of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Held {
    /// The firmware may read it.
    pub(super) may_read: bool,
    pub(super) question: Question,
    pub(super) released: bool,
}

impl Held {
    /// Of a queue that no firmware was told of, nothing is left to release.
    pub(super) fn new(by_firmware: bool) -> Self {
        Self { may_read: by_firmware, question: Question::None, released: !by_firmware }
    }
}

/// The payload of a queue.
pub(super) fn payload(queue: usize) -> u32 {
    u32::try_from(JOBS + queue).unwrap()
}

impl World {
    /// What may happen next.
    pub(super) fn firmware_events(&self) -> Vec<Event> {
        let mut events = vec![];
        for (queue, held) in self.held.iter().enumerate() {
            match held.question {
                Question::None | Question::Asked(_) | Question::Kept => {}
                // The driver finds what there is; and the first answer may be that the firmware has nothing.
                Question::InHand { .. } if !held.may_read => events.push(Event::Answer(queue, LetGo::Done)),
                Question::InHand { last_look: false } => {
                    events.extend([LetGo::Done, LetGo::Asked, LetGo::Cannot].map(|to| Event::Answer(queue, to)));
                }
                Question::InHand { last_look: true } => events.push(Event::Answer(queue, LetGo::Asked)),
                Question::Answered => continue,
            }
            // Having been told once, the firmware may let go at any moment; the shell hears of that in time or late.
            let was_told = !matches!(held.question, Question::None | Question::InHand { last_look: false });
            if was_told && !self.cut {
                events.push(if held.may_read { Event::FirmwareLetsGo(queue) } else { Event::TellLetGo(queue) });
            }
        }
        events
    }

    pub(super) fn asked_to_let_go(&mut self, config: &Config, queue: QueueId, last_look: bool) -> Notable {
        let index = self.queues.iter().position(|other| *other == queue).unwrap();
        assert_eq!(self.scheduler.held(queue), Some(&payload(index)));
        let ring = usize::from(config.rings[index]);
        let on_hardware = |(_, job): &(Seqno, usize)| config.jobs[*job].queue == index;
        assert!(!self.engines.iter().any(|engine| engine.given.iter().any(on_hardware)), "a job may be running");
        assert!(self.killed[index] && !self.lost && !self.hopeless, "nobody is to be asked");
        assert!(self.engines[ring].reset == Reset::None || self.engines[ring].forgiven, "its ring is being reset");
        assert_eq!(self.reset, Reset::None, "the device is being reset");
        match self.held[index].question {
            Question::None => assert!(!last_look),
            Question::Asked(due) => assert!(last_look && due <= self.now, "it has not had its time"),
            question => panic!("asked again: {question:?}"),
        }
        self.held[index].question = Question::InHand { last_look };
        if last_look {
            Notable::LastLook
        } else {
            Notable::AskedFirmware
        }
    }

    /// The driver answers.
    pub(super) fn answer(&mut self, config: &Config, queue: usize, answer: LetGo) -> Option<Notable> {
        let Question::InHand { last_look } = self.held[queue].question else { panic!("nobody asks") };
        let kept = self.held.iter().any(|held| held.question == Question::Kept);
        self.held[queue].question = match answer {
            LetGo::Done => {
                self.held[queue].may_read = false;
                Question::Answered
            }
            LetGo::Asked if !last_look => Question::Asked(self.now.plus(TIMEOUT)),
            LetGo::Asked | LetGo::Cannot => Question::Kept,
        };
        let engine = &self.engines[usize::from(config.rings[queue])];
        let is_idle = self.reset == Reset::None && !self.engines.iter().any(|engine| engine.reset == Reset::Failed);
        if self.held[queue].question == Question::Kept
            && config.firmware == Some(Firmware::OfTheDevice)
            && engine.vain == Vain::Device
            && is_idle
            && !kept
            && !self.lost
        {
            self.hopeless = true;
        }
        self.scheduler.let_go_answered(self.queues[queue], answer, self.now);
        self.note_let_go(config);
        (answer == LetGo::Done && last_look).then_some(Notable::AnsweredAtLast)
    }

    pub(super) fn tell_let_go(&mut self, config: &Config, queue: usize) -> Option<Notable> {
        let was = core::mem::replace(&mut self.held[queue].question, Question::Answered);
        let owed = was == Question::Kept && !self.lost && !self.hopeless;
        self.scheduler.firmware_let_go(self.queues[queue], self.now);
        self.note_let_go(config);
        let ring = usize::from(config.rings[queue]);
        let spared = self.scheduler.rings[ring].state == RingState::Running
            && self.scheduler.device == DeviceState::Running
            && owed;
        spared.then_some(Notable::AnsweredLate)
    }

    /// What was to be reset for a firmware may not have to be any more.
    fn note_let_go(&mut self, config: &Config) {
        for ring in 0..config.ring_count() {
            self.note_forgiven(ring);
        }
        if self.reset == Reset::Asked && !self.lost && self.scheduler.device == DeviceState::Running {
            self.reset = Reset::None;
        }
    }

    /// Whether a firmware that was to let go has not, so that its ring is to be reset, or the device.
    pub(super) fn is_kept(&self, config: &Config, ring: usize) -> bool {
        let ours =
            |(queue, held): (usize, &Held)| held.question == Question::Kept && usize::from(config.rings[queue]) == ring;
        self.held.iter().enumerate().any(ours)
    }

    /// The same, where that resets the ring.
    pub(super) fn is_kept_by_ring(&self, config: &Config, ring: usize) -> bool {
        config.firmware == Some(Firmware::OfEachRing) && self.is_kept(config, ring)
    }

    /// What the firmware of a ring runs on was reset. It is told anew of queues that it was not asked about.
    pub(super) fn reset_firmware(&mut self, config: &Config, ring: usize) {
        let lost = self.lost;
        for (queue, held) in self.held.iter_mut().enumerate() {
            let asked = !matches!(held.question, Question::None | Question::Answered);
            if usize::from(config.rings[queue]) == ring && asked {
                held.may_read = false;
                // Once the device is lost nobody listens to how a reset has ended.
                if !lost {
                    held.question = Question::Answered;
                }
            }
        }
    }

    pub(super) fn released_of_queue(&mut self, queue: usize) -> Notable {
        let held = &mut self.held[queue];
        assert!(!held.released, "released twice");
        assert!(!held.may_read || self.cut, "released while the firmware may read it");
        assert!(held.question == Question::Answered || self.cut, "nobody has said that the firmware has let go");
        held.released = true;
        Notable::QueueReleased
    }

    /// What is true in every state.
    pub(super) fn check_firmware(&self, config: &Config) {
        for (queue, held) in self.held.iter().enumerate() {
            let kept = self.scheduler.held(self.queues[queue]);
            assert_eq!(kept, (!held.released).then_some(&payload(queue)), "it is owned until it is released");
            let ring = &self.scheduler.rings[usize::from(config.rings[queue])];
            let Question::Asked(due) = held.question else { continue };
            if ring.state == RingState::Running && self.scheduler.device == DeviceState::Running {
                let watched = self.scheduler.next_deadline().is_some_and(|deadline| deadline <= due);
                let overdue = self.scheduler.queues[queue].hold == Hold::Overdue && due <= self.now;
                assert!(watched || overdue, "nobody waits for the firmware's answer about queue {queue}");
            }
        }
    }

    /// What must be ignored.
    pub(super) fn ignored_by_firmware(&self, config: &Config, scheduler: &mut TestScheduler) {
        for (queue, held) in self.held.iter().enumerate() {
            let id = self.queues[queue];
            if config.firmware.is_some() {
                assert_eq!(scheduler.firmware_holds(id, 77), Err(77), "it was told before, or must not be any more");
            }
            if matches!(held.question, Question::None | Question::Answered) {
                scheduler.firmware_let_go(id, self.now);
            }
            if !matches!(held.question, Question::InHand { .. }) {
                for answer in [LetGo::Done, LetGo::Asked, LetGo::Cannot] {
                    scheduler.let_go_answered(id, answer, self.now);
                }
            }
        }
    }
}
