//! What each event does to the scheduler and to what surrounds it, and what is asserted on the way.

use super::*;

impl World {
    pub(super) fn reserve(&mut self, config: &Config, job: usize) -> Option<Notable> {
        let plan = &config.jobs[job];
        let dependencies = u32::from(plan.after != After::Nothing);
        let spec = JobSpec { cost: plan.cost, dependencies, restartable: plan.restartable, ..JobSpec::default() };
        let refusal = match self.scheduler.reserve(self.queues[plan.queue], spec) {
            Ok(reservation) => {
                self.jobs[job].handle = Some(reservation.job());
                self.jobs[job].stage = Stage::Reserved(reservation);
                return None;
            }
            Err(refusal) => refusal,
        };
        assert_eq!(refusal, self.expected_refusal(config, plan.queue));
        if refusal != SubmitError::Full {
            self.jobs[job].stage = Stage::Withdrawn;
        }
        Some(Notable::Refused(refusal))
    }

    pub(super) fn commit(&mut self, job: usize) {
        let rank = self.jobs.iter().filter(|job| job.stage == Stage::Committed).count();
        let progress = &mut self.jobs[job];
        if let Stage::Reserved(reservation) = core::mem::replace(&mut progress.stage, Stage::Committed) {
            let number = u32::try_from(job).unwrap();
            let handle = self.scheduler.commit(reservation, number, number);
            assert_eq!(progress.handle, Some(handle));
            progress.rank = rank;
        }
    }

    pub(super) fn tick(&mut self) {
        let was: Vec<RingState> = self.scheduler.rings.iter().map(|ring| ring.state).collect();
        self.scheduler.tick(self.now);
        for ((engine, ring), was) in self.engines.iter_mut().zip(&self.scheduler.rings).zip(was) {
            if ring.state != was {
                engine.suspect = engine.given.first().map(|(_, job)| *job);
            }
        }
    }

    pub(super) fn tell_fault(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        let Some(seqno) = engine.news.take() else { return };
        // News from before a reset is old; what a ring says whose reset failed, or the device's, is not believed.
        let believed = engine.stopped && engine.reset != Reset::Failed && !self.lost;
        engine.told |= believed && matches!(self.reset, Reset::None | Reset::Asked);
        if engine.stopped {
            // The number that was read with it counts, although the ring may show another one by now.
            self.reported(ring);
        }
        self.scheduler.fault(RingIndex(ring), seqno, self.now);
        self.note_forgiven(ring);
        let blamed = self.scheduler.rings[usize::from(ring)].blame == Blame::Oldest;
        assert_eq!(blamed && !self.lost, self.engines[usize::from(ring)].told && !self.lost);
    }

    /// A ring that the shell looks at is doubted no longer, or for something else: the shell will ask, and be told that
    /// there is nothing to do.
    pub(super) fn note_forgiven(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        let asked = self.scheduler.rings[usize::from(ring)].state == RingState::Asked;
        engine.forgiven |= engine.reset == Reset::Asked && !asked && !self.lost;
    }

    pub(super) fn started(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        engine.known = engine.written();
        let Some((seqno, _)) = engine.known.checked_sub(1).map(|last| engine.given[last]) else { return };
        self.scheduler.started(RingIndex(ring), seqno, self.now);
        if engine.deadline.is_none() && !engine.given.is_empty() {
            engine.deadline = Some(self.now.plus(TIMEOUT));
        }
    }

    /// The oldest job of a ring that the shell has in hand cannot be written.
    pub(super) fn refuse(&mut self, ring: u8) -> Notable {
        let engine = &mut self.engines[usize::from(ring)];
        let oldest = engine.written();
        engine.in_hand -= 1;
        let (_, job) = engine.given.remove(oldest);
        self.scheduler.start_failed(self.jobs[job].handle.unwrap());
        self.jobs[job].lost = (!self.lost).then_some(Place::Refused);
        self.jobs[job].ran = self.lost;
        Notable::NotStarted
    }

    pub(super) fn report(&mut self, ring: u8) -> Option<Notable> {
        let engine = &mut self.engines[usize::from(ring)];
        let was = &self.scheduler.rings[usize::from(ring)];
        let doubted = matches!(was.state, RingState::Suspect | RingState::Asked) && was.blame != Blame::Oldest;
        self.scheduler.hw_done(RingIndex(ring), engine.register, self.now);
        if engine.reset != Reset::Held {
            self.reported(ring);
        }
        let engine = &mut self.engines[usize::from(ring)];
        let is = self.scheduler.rings[usize::from(ring)].state;
        let cleared = doubted && is == RingState::Running;
        if cleared {
            assert!(engine.given.first().is_none_or(|(_, job)| Some(*job) != engine.suspect), "it hangs");
        }
        self.note_forgiven(ring);
        cleared.then_some(Notable::NoHang)
    }

    /// What the ring has completed was reported. While the device is being reset that counts for nothing.
    pub(super) fn reported(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        if !matches!(self.reset, Reset::None | Reset::Asked) {
            return;
        }
        if engine.completed > 0 {
            engine.vouched = 0;
            engine.known = engine.known.saturating_sub(engine.completed);
            engine.deadline = (engine.known > 0).then(|| self.now.plus(TIMEOUT));
        }
        engine.given.drain(..core::mem::take(&mut engine.completed));
    }

    /// The shell has looked at the ring, and asks it once more how far it is.
    pub(super) fn begin_reset(&mut self, ring: u8) -> Option<Notable> {
        let notable = self.report(ring);
        let begins = self.scheduler.begin_reset(RingIndex(ring));
        let engine = &mut self.engines[usize::from(ring)];
        let hangs = engine.given.first().is_some_and(|(_, job)| engine.suspect == Some(*job));
        let forgiven = core::mem::take(&mut engine.forgiven);
        assert_eq!(begins.is_some(), !self.lost && !forgiven && (engine.told || hangs), "a reset that is not owed");
        engine.reset = begins.map_or(Reset::None, Reset::Begun);
        notable
    }

    pub(super) fn reset_done(&mut self, ring: u8, succeeded: bool) {
        let engine = &mut self.engines[usize::from(ring)];
        engine.reset = if succeeded { Reset::None } else { Reset::Failed };
        if succeeded {
            self.abandon(ring);
        }
        self.scheduler.reset_done(RingIndex(ring), succeeded);
    }

    pub(super) fn device_reset_done(&mut self, succeeded: bool) {
        self.reset = if succeeded { Reset::None } else { Reset::Failed };
        if succeeded {
            for ring in 0..u8::try_from(self.engines.len()).unwrap() {
                let number = self.scheduler.number_after_reset(RingIndex(ring)).unwrap();
                let engine = &mut self.engines[usize::from(ring)];
                (engine.reset, engine.register) = (Reset::None, number);
                self.abandon(ring);
            }
        }
        self.scheduler.device_reset_done(succeeded);
    }

    /// What was on a ring is not there any more. Guilty is the job that the ring stopped at, if anybody was told of that;
    /// else the one that was overdue, if it is still the oldest.
    pub(super) fn abandon(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        let oldest = engine.given.first().map(|(_, job)| *job);
        let overdue = engine.suspect.filter(|job| oldest == Some(*job));
        let guilty = if engine.told { engine.stopped_at } else { overdue };
        (engine.in_hand, engine.known) = (0, 0);
        for (_, job) in engine.given.drain(..) {
            self.jobs[job].lost = Some(if guilty == Some(job) { Place::Suspect } else { Place::Victim });
            self.jobs[job].ran = false;
        }
        (engine.completed, engine.vouched, engine.told) = (0, 0, false);
        (engine.stopped, engine.stopped_at, engine.suspect, engine.deadline) = (false, None, None, None);
    }

    pub(super) fn still_running(&mut self, ring: u8) -> Option<Notable> {
        let granted = self.scheduler.still_running(RingIndex(ring), self.now);
        let engine = &mut self.engines[usize::from(ring)];
        let asked = self.scheduler.rings[usize::from(ring)].state;
        let expected = !self.lost && !engine.told && !engine.forgiven && engine.vouched == 0;
        assert_eq!(granted, expected, "the driver's word counts once for each job, and not against a fault: {asked:?}");
        if !granted {
            return None;
        }
        engine.vouched += 1;
        engine.reset = Reset::None;
        engine.deadline = Some(self.now.plus(TIMEOUT));
        Some(Notable::Vouched)
    }

    /// Whether the hardware may read what a job keeps alive.
    pub(super) fn may_read(&self, job: usize) -> bool {
        let reads = |engine: &Engine| {
            let held = engine.reset == Reset::Held || self.reset == Reset::Held;
            !held && engine.given[engine.completed..engine.written()].iter().any(|(_, given)| *given == job)
        };
        !self.cut && self.engines.iter().any(reads)
    }
}
