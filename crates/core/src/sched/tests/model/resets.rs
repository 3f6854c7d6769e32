//! What is reset, which jobs and contexts pay for that, and what a loss of the device does.

use super::*;

impl Model {
    /// The driver has looked. A number was given if the ring is to be reset.
    pub(in super::super) fn begin_reset(&mut self, ring: usize, number: Option<Seqno>) {
        let slot = &mut self.rings[ring];
        let RingIs::Asked(cause) = slot.is else {
            assert_eq!(number, None, "a reset that is not owed");
            return;
        };
        match (slot.guilty(), slot.vain) {
            (None, Vain::Ring) => {
                slot.is = RingIs::Stuck(cause);
                self.device = DeviceIs::Stuck;
            }
            (None, Vain::Device) => {
                self.device = DeviceIs::GivenUp;
                self.give_up();
            }
            (Some(_), _) | (None, Vain::Nothing) => {
                slot.is = RingIs::Resetting(cause);
                return Self::announced(slot, number.expect("a reset is owed"));
            }
        }
        assert_eq!(number, None, "a reset that was in vain before");
    }

    /// The number of a reset, and that of its proof.
    fn announced(ring: &mut Ring, number: Seqno) {
        Self::given_out(ring, number);
        Self::given_out(ring, number.next());
    }

    /// They never came into being.
    fn not_announced(ring: &mut Ring) {
        ring.numbers.truncate(ring.numbers.len() - 2);
    }

    pub(super) fn give_up(&mut self) {
        self.give_up = true;
        for ring in &mut self.rings {
            ring.blamed = match ring.is {
                RingIs::Suspect(cause)
                | RingIs::Asked(cause)
                | RingIs::Aborting(cause, _)
                | RingIs::Stuck(cause)
                | RingIs::Resetting(cause) => Some(cause),
                RingIs::Running | RingIs::Dead => None,
            };
            if matches!(ring.is, RingIs::Resetting(_)) {
                Self::not_announced(ring);
            }
            ring.is = RingIs::Dead;
        }
    }

    pub(in super::super) fn begin_device_reset(&mut self, begins: bool, scheduler: &TestScheduler) {
        assert_eq!(begins, self.device == DeviceIs::Asked);
        if begins {
            self.device = DeviceIs::Resetting;
            for (number, ring) in (0..).zip(&mut self.rings) {
                Self::announced(ring, scheduler.number_after_reset(RingIndex(number)).unwrap());
            }
        }
    }

    pub(in super::super) fn reset_done(&mut self, ring: usize, succeeded: bool) {
        let slot = &mut self.rings[ring];
        let RingIs::Resetting(cause) = slot.is else { return };
        if !succeeded {
            Self::not_announced(slot);
            slot.is = RingIs::Stuck(cause);
            self.device = DeviceIs::Stuck;
            return;
        }
        self.reset(&[ring], Vain::Ring);
    }

    pub(in super::super) fn device_reset_done(&mut self, succeeded: bool) {
        if self.device != DeviceIs::Resetting {
            return;
        }
        if succeeded {
            self.device = DeviceIs::Running;
            self.reset(&[0, 1], Vain::Device);
            return;
        }
        self.device = DeviceIs::Failed;
        self.rings.iter_mut().for_each(Self::not_announced);
        self.give_up();
    }

    /// These rings were reset at once.
    fn reset(&mut self, rings: &[usize], vain: Vain) {
        let context_of = |model: &Self, job: usize| model.queues[model.jobs[job].queue].context;
        let (mut lost, mut blamed, mut guilty) = (vec![], vec![], vec![]);
        for ring in rings {
            let kept = self.is_kept(*ring);
            let slot = &mut self.rings[*ring];
            blamed.extend(slot.guilty());
            if slot.guilty().is_none() && (slot.is != RingIs::Running || kept) {
                slot.vain = vain;
            }
            (slot.is, slot.acquitted) = (RingIs::Running, false);
            slot.at = slot.numbers.len() - 1;
            slot.credits = self.credits;
            let on_ring = core::mem::take(&mut slot.running);
            lost.extend(on_ring.into_iter().rev());
        }
        let firmware = self.firmware;
        for ring in rings.iter().filter(|_| vain == Vain::Device || firmware == Firmware::OfEachRing) {
            self.firmware_was_reset(*ring);
        }
        for job in &blamed {
            guilty.extend(context_of(self, *job).filter(|context| !guilty.contains(context)));
        }
        for context in &guilty {
            self.contexts[*context].guilty += 1;
            self.contexts[*context].status = ResetStatus::Guilty;
        }
        let mut victims = vec![];
        for (_, index) in lost {
            let context = context_of(self, index);
            let goes_on = !self.queues[self.jobs[index].queue].killed && !self.is_banned(self.jobs[index].queue);
            let job = &mut self.jobs[index];
            job.on_hardware = false;
            if blamed.contains(&index) {
                job.stage = Stage::Ended(Err(FenceError::Guilty));
            } else if job.spec.restartable && goes_on {
                job.stage = Stage::Queued;
                self.queues[job.queue].waiting.insert(0, index);
            } else {
                job.stage = Stage::Ended(Err(FenceError::Innocent));
                victims.extend(context.filter(|context| !guilty.contains(context)));
            }
        }
        for (number, context) in self.contexts.iter_mut().enumerate() {
            if victims.contains(&number) {
                context.innocent += 1;
                context.status = ResetStatus::Innocent;
            }
        }
    }

    /// Every context loses what it had on the device.
    fn blame_for_loss(&mut self) {
        let blamed: Vec<usize> = self.rings.iter().filter_map(Ring::guilty).collect();
        let guilty: Vec<_> = blamed.iter().map(|job| self.queues[self.jobs[*job].queue].context).collect();
        for (number, context) in self.contexts.iter_mut().enumerate() {
            let (count, status) = if guilty.contains(&Some(number)) {
                (&mut context.guilty, ResetStatus::Guilty)
            } else if blamed.is_empty() {
                (&mut context.unknown, ResetStatus::Unknown)
            } else {
                (&mut context.innocent, ResetStatus::Innocent)
            };
            *count += 1;
            context.status = status;
        }
    }

    pub(in super::super) fn lose(&mut self, error: FenceError) {
        if self.lost.is_none() && error == FenceError::Lost {
            self.blame_for_loss();
        }
        let error = *self.lost.get_or_insert(error);
        self.give_up = false;
        let all = self.device == DeviceIs::Resetting;
        self.device = if self.numbers_are_void() { DeviceIs::Failed } else { DeviceIs::Running };
        for ring in &mut self.rings {
            if all || matches!(ring.is, RingIs::Resetting(_)) {
                Self::not_announced(ring);
            }
            ring.is = RingIs::Dead;
            for (_, job) in ring.running.drain(..) {
                ring.credits += self.jobs[job].spec.cost;
                self.jobs[job].stage = Stage::Ended(Err(error));
            }
        }
        for queue in 0..self.queues.len() {
            self.end_waiting(queue, error);
        }
    }

    pub(in super::super) fn hardware_gone(&mut self) {
        if self.lost.is_some() {
            self.jobs.iter_mut().for_each(|job| job.on_hardware = false);
            self.firmware_gone();
        }
    }
}
