//! What each event does to the scheduler and to what surrounds it, and what is asserted on the way.

use super::*;

impl World {
    pub(super) fn reserve(&mut self, config: &Config, job: usize) -> Option<Notable> {
        let plan = &config.jobs[job];
        let dependencies = u32::from(plan.after != After::Nothing);
        let spec = JobSpec {
            cost: plan.cost,
            time_limit: plan.limit,
            dependencies,
            restartable: plan.restartable,
            ..JobSpec::default()
        };
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

    pub(super) fn tick(&mut self) -> Option<Notable> {
        let mut notable = None;
        let was: Vec<RingState> = self.scheduler.rings.iter().map(|ring| ring.state).collect();
        self.scheduler.tick(self.now);
        for ((engine, ring), was) in self.engines.iter_mut().zip(&self.scheduler.rings).zip(was) {
            if ring.state != was && was == RingState::Aborting {
                notable = notable.or(Some(Notable::AbortInVain));
            } else if ring.state != was {
                let of = |job: &usize| self.jobs[*job].deadline;
                let known = engine.given[..engine.known].iter().map(|(_, job)| *job);
                // The first whose time is over; of several, the oldest.
                engine.suspect = known.filter(|job| of(job).is_some()).min_by_key(of);
                let is_oldest = engine.suspect == engine.given.first().map(|(_, job)| *job);
                notable = notable.or((!is_oldest).then_some(Notable::YoungerOverdue));
            }
        }
        notable
    }

    /// The time of jobs begins that can be judged: of the oldest, or of all that the scheduler knows to be there.
    fn begin_times(&mut self, config: &Config, ring: u8) {
        let engine = &self.engines[usize::from(ring)];
        let judged = if config.unordered { engine.known } else { engine.known.min(1) };
        for (_, job) in &engine.given[..judged] {
            self.jobs[*job].deadline.get_or_insert(self.now.plus(self.limits[*job]));
        }
    }

    /// When the first job of a ring has had its time.
    pub(super) fn due(&self, ring: usize) -> Option<Timestamp> {
        self.engines[ring].given.iter().filter_map(|(_, job)| self.jobs[*job].deadline).min()
    }

    pub(super) fn tell_fault(&mut self, config: &Config, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        let Some(seqno) = engine.news.take() else { return };
        // News from before a reset is old; what a ring says whose reset failed, or the device's, is not believed.
        let believed = engine.stopped && engine.reset != Reset::Failed && !self.lost && !self.hopeless;
        let believed = believed && matches!(self.reset, Reset::None | Reset::Asked);
        // Who is accused of that was not looked at.
        engine.acquitted &= !believed || engine.told;
        engine.told |= believed;
        if engine.stopped && !seqno.is_after(self.scheduler.rings[usize::from(ring)].issued) {
            // The number that was read with it counts, although the ring may show another one by now.
            self.reported(config, ring);
        }
        self.scheduler.faulted(RingIndex(ring), seqno, self.now);
        self.note_forgiven(ring);
        let blamed = self.scheduler.rings[usize::from(ring)].blame == Blame::Oldest;
        let over = self.lost || self.hopeless;
        assert_eq!(blamed && !over, self.engines[usize::from(ring)].told && !over);
    }

    /// A ring that the shell looks at is doubted no longer, or for something else: the shell will ask, and be told that
    /// there is nothing to do.
    pub(super) fn note_forgiven(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        let asked = self.scheduler.rings[usize::from(ring)].state == RingState::Asked;
        engine.forgiven |= engine.reset == Reset::Asked && !asked && !self.lost && !self.hopeless;
    }

    pub(super) fn started(&mut self, config: &Config, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        engine.known = engine.written();
        let Some((seqno, _)) = engine.known.checked_sub(1).map(|last| engine.given[last]) else { return };
        self.scheduler.started(RingIndex(ring), seqno, self.now);
        self.begin_times(config, ring);
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

    pub(super) fn report(&mut self, config: &Config, ring: u8) -> Option<Notable> {
        let mut notable = None;
        // Asked how far it is, such a ring names all that it has finished.
        for job in self.engines[usize::from(ring)].finished.clone() {
            notable = notable.or(self.report_one(config, ring, job));
        }
        notable.or(self.report_number(config, ring))
    }

    fn report_number(&mut self, config: &Config, ring: u8) -> Option<Notable> {
        let engine = &mut self.engines[usize::from(ring)];
        let was = &self.scheduler.rings[usize::from(ring)];
        let doubted = matches!(was.state, RingState::Suspect | RingState::Asked | RingState::Aborting)
            && was.blame != Blame::Oldest;
        // What a reset has put there tells of no job, also if the reset or the proof then failed.
        let tells = !engine.register.is_after(was.issued);
        self.scheduler.hw_done(RingIndex(ring), engine.register, self.now);
        if tells {
            self.reported(config, ring);
        }
        self.note_cleared(ring, doubted).then_some(Notable::NoHang)
    }

    /// Whether a ring that was doubted is so no longer, after a report.
    fn note_cleared(&mut self, ring: u8, doubted: bool) -> bool {
        let engine = &mut self.engines[usize::from(ring)];
        let is = self.scheduler.rings[usize::from(ring)].state;
        let cleared = doubted && is == RingState::Running;
        if cleared {
            assert!(engine.given.iter().all(|(_, job)| Some(*job) != engine.suspect), "it hangs");
        }
        self.note_forgiven(ring);
        cleared
    }

    /// A ring that works out of order reports one job that it has finished.
    pub(super) fn report_one(&mut self, config: &Config, ring: u8, job: usize) -> Option<Notable> {
        let index = usize::from(ring);
        let was = &self.scheduler.rings[index];
        let doubted = matches!(was.state, RingState::Suspect | RingState::Asked | RingState::Aborting)
            && was.blame != Blame::Oldest;
        let engine = &mut self.engines[index];
        engine.finished.retain(|finished| *finished != job);
        let place = engine.given.iter().position(|(_, given)| *given == job).unwrap();
        let (seqno, accused) = (engine.given[place].0, engine.accused());
        self.scheduler.hw_done_one(RingIndex(ring), seqno, self.now);
        if !matches!(self.reset, Reset::None | Reset::Asked) {
            // The completion counts for nothing during a reset, and is not told again.
            self.engines[index].finished.push(job);
            return None;
        }
        engine.given.remove(place);
        engine.known = engine.known.max(place + 1) - 1;
        engine.aborting = engine.aborting.filter(|(aborting, _)| *aborting != job);
        engine.acquitted &= engine.accused() == accused;
        engine.vain = Vain::Nothing;
        let overtook = place > 0 && !self.lost;
        self.begin_times(config, ring);
        if self.note_cleared(ring, doubted) {
            return Some(Notable::NoHang);
        }
        if self.lost && self.jobs[job].signalled.is_some() {
            return Some(Notable::ReportedLate);
        }
        overtook.then_some(Notable::Overtook)
    }

    /// The ring is asked to give up its suspect.
    pub(super) fn abort(&mut self, config: &Config, ring: u8, answer: Abort) -> Option<Notable> {
        let (handle, seqno) = self.scheduler.begin_abort(RingIndex(ring)).expect("it is to be asked");
        let index = usize::from(ring);
        let suspect = self.engines[index].suspect.unwrap();
        assert_eq!(self.jobs[suspect].handle, Some(handle));
        assert!(self.engines[index].given.contains(&(seqno, suspect)), "it is to give up what it has not");
        self.jobs[suspect].aborted = true;
        match answer {
            Abort::Cannot => {}
            Abort::Asked => self.engines[index].aborting = Some((suspect, false)),
            Abort::Done => self.note_aborted(config, ring, suspect),
        }
        let left_alone = self.scheduler.abort_answered(RingIndex(ring), answer, self.now);
        assert_eq!(left_alone, answer != Abort::Cannot);
        if left_alone {
            self.engines[index].reset = Reset::None;
        }
        (answer == Abort::Done).then_some(Notable::Aborted)
    }

    pub(super) fn tell_aborted(&mut self, config: &Config, ring: u8) -> Option<Notable> {
        let index = usize::from(ring);
        let (job, _) = self.engines[index].aborting?;
        let (seqno, _) = *self.engines[index].given.iter().find(|(_, given)| *given == job)?;
        self.scheduler.aborted(RingIndex(ring), seqno, self.now);
        if !matches!(self.reset, Reset::None | Reset::Asked) {
            // The report counts for nothing: jobs that the reset takes away come back in another way.
            return None;
        }
        self.note_aborted(config, ring, job);
        self.note_forgiven(ring);
        Some(Notable::Aborted)
    }

    /// A ring has nothing of a job any more, and the scheduler knows.
    fn note_aborted(&mut self, config: &Config, ring: u8, job: usize) {
        let engine = &mut self.engines[usize::from(ring)];
        let accused = engine.accused();
        let place = engine.given.iter().position(|(_, given)| *given == job).unwrap();
        engine.given.remove(place);
        engine.known = engine.known.max(place + 1) - 1;
        engine.aborting = None;
        engine.acquitted &= engine.accused() == accused;
        if !self.lost {
            (self.jobs[job].lost, self.jobs[job].ran) = (Some(Place::Suspect), false);
        }
        self.begin_times(config, ring);
    }

    /// What the ring has completed was reported. While the device is being reset that counts for nothing.
    pub(super) fn reported(&mut self, config: &Config, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        if !matches!(self.reset, Reset::None | Reset::Asked) {
            return;
        }
        if engine.completed > 0 {
            (engine.acquitted, engine.vain) = (false, Vain::Nothing);
            engine.known = engine.known.saturating_sub(engine.completed);
        }
        engine.given.drain(..core::mem::take(&mut engine.completed));
        self.begin_times(config, ring);
    }

    /// The shell has looked at the ring, and asks it once more how far it is.
    pub(super) fn begin_reset(&mut self, config: &Config, ring: u8) -> Option<Notable> {
        let notable = self.report(config, ring);
        let begins = self.scheduler.begin_reset(RingIndex(ring));
        let kept = self.is_kept_by_ring(config, usize::from(ring));
        let engine = &mut self.engines[usize::from(ring)];
        let forgiven = core::mem::take(&mut engine.forgiven);
        let over = self.lost || self.hopeless;
        let is_owed = !over && !forgiven && (engine.told || engine.accused().is_some() || kept);
        let in_vain = if engine.guilty().is_some() { Vain::Nothing } else { engine.vain };
        assert_eq!(begins.is_some(), is_owed && in_vain == Vain::Nothing, "a reset that is not owed, or in vain");
        match (is_owed, in_vain) {
            (true, Vain::Nothing) => engine.reset = begins.map_or(Reset::None, Reset::Begun),
            (true, Vain::Ring) => {
                engine.reset = Reset::Failed;
                return Some(Notable::RingResetInVain);
            }
            (true, Vain::Device) => {
                (engine.reset, self.hopeless) = (Reset::Failed, true);
                return Some(Notable::DeviceResetInVain);
            }
            (false, _) => engine.reset = Reset::None,
        }
        notable
    }

    /// The driver looks at the suspect of a ring.
    pub(super) fn not_begun(&mut self, ring: u8) -> Notable {
        let engine = &mut self.engines[usize::from(ring)];
        let suspect = self.scheduler.suspect(RingIndex(ring)).unwrap();
        assert_eq!(engine.accused(), Some(*self.scheduler.payload(suspect).unwrap() as usize));
        self.scheduler.suspect_began(suspect, Began::No);
        engine.acquitted = true;
        Notable::Acquitted
    }

    pub(super) fn reset_done(&mut self, config: &Config, ring: u8, succeeded: bool) -> Option<Notable> {
        let engine = &mut self.engines[usize::from(ring)];
        let unproven = engine.reset == Reset::Held;
        // Once the device is given up nobody asks for the outcome.
        let succeeded = succeeded && !self.hopeless;
        engine.reset = if succeeded { Reset::None } else { Reset::Failed };
        if succeeded {
            self.abandon(config, ring, Vain::Ring);
            if config.firmware == Some(Firmware::OfEachRing) {
                self.reset_firmware(config, usize::from(ring));
            }
        }
        self.scheduler.reset_done(RingIndex(ring), succeeded);
        unproven.then_some(Notable::Unproven)
    }

    pub(super) fn device_reset_done(&mut self, config: &Config, succeeded: bool) {
        self.reset = if succeeded { Reset::None } else { Reset::Failed };
        if succeeded {
            for ring in 0..u8::try_from(self.engines.len()).unwrap() {
                let number = self.scheduler.number_after_reset(RingIndex(ring)).unwrap();
                let engine = &mut self.engines[usize::from(ring)];
                engine.register = number.next();
                self.abandon(config, ring, Vain::Device);
                self.reset_firmware(config, usize::from(ring));
                self.engines[usize::from(ring)].reset = Reset::None;
            }
        }
        self.scheduler.device_reset_done(succeeded);
    }

    /// What was on a ring is not there any more, since so much was reset.
    pub(super) fn abandon(&mut self, config: &Config, ring: u8, reset: Vain) {
        let kept = self.is_kept(config, usize::from(ring));
        let engine = &mut self.engines[usize::from(ring)];
        let guilty = engine.guilty();
        let troubled =
            reset == Vain::Ring || engine.reset == Reset::Failed || engine.told || engine.accused().is_some() || kept;
        if troubled && guilty.is_none() {
            engine.vain = reset;
        }
        engine.acquitted = false;
        (engine.in_hand, engine.known) = (0, 0);
        for (_, job) in engine.given.drain(..) {
            self.jobs[job].lost = Some(if guilty == Some(job) { Place::Suspect } else { Place::Victim });
            self.jobs[job].ran = false;
        }
        engine.finished.clear();
        engine.aborting = None;
        (engine.completed, engine.told) = (0, false);
        (engine.stopped, engine.stopped_at, engine.suspect) = (false, None, None);
    }

    pub(super) fn still_running(&mut self, config: &Config, ring: u8) -> Option<Notable> {
        let granted = self.scheduler.still_running(RingIndex(ring), self.now);
        let engine = &mut self.engines[usize::from(ring)];
        let asked = self.scheduler.rings[usize::from(ring)].state;
        let over = self.lost || self.hopeless;
        let suspect = engine.suspect.filter(|_| !over && !engine.told && !engine.forgiven);
        let expected = suspect.is_some_and(|job| self.jobs[job].vouched == 0 && !self.jobs[job].aborted);
        assert_eq!(granted, expected, "the driver's word counts once for each job, and not against a fault: {asked:?}");
        if !granted {
            return None;
        }
        (engine.reset, engine.acquitted) = (Reset::None, false);
        let job = &mut self.jobs[suspect.unwrap()];
        (job.vouched, job.deadline) = (1, None);
        self.begin_times(config, ring);
        Some(Notable::Vouched)
    }

    /// Whether the hardware may read what a job keeps alive.
    pub(super) fn may_read(&self, job: usize) -> bool {
        let reads = |engine: &Engine| {
            let held = engine.reset.has_taken_hold() || self.reset.has_taken_hold();
            let reads = !held && !engine.finished.contains(&job) && !engine.has_given_up(job);
            reads && engine.given[engine.completed..engine.written()].iter().any(|(_, given)| *given == job)
        };
        !self.cut && self.engines.iter().any(reads)
    }
}
