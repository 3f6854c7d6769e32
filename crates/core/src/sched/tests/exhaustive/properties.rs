//! What must be true: of each action when it comes, of each state, and of each state's end.

use super::*;

impl World {
    /// The shell takes one action and carries it out.
    pub(super) fn poll(&mut self, config: &Config) -> Option<Notable> {
        let Some(action) = self.scheduler.poll_action() else {
            self.check_idle();
            return None;
        };
        Some(match action {
            Action::Signal { fence, result } => self.signalled(config, fence as usize, result),
            Action::Release { payload } => match (payload as usize).checked_sub(JOBS) {
                Some(queue) => self.released_of_queue(queue),
                None => self.released(payload as usize),
            },
            Action::LetGo { queue, ring, last_look } => {
                let index = self.queues.iter().position(|other| *other == queue).unwrap();
                assert_eq!(ring, RingIndex(config.rings[index]));
                self.asked_to_let_go(config, queue, last_look)
            }
            Action::ResetRing { ring, suspect } => {
                let suspect = suspect.map(|job| *self.scheduler.payload(job).unwrap() as usize);
                let kept = self.is_kept_by_ring(config, usize::from(ring.0));
                let engine = &mut self.engines[usize::from(ring.0)];
                assert_eq!(suspect, engine.accused().filter(|_| !engine.told));
                assert!(suspect.is_some() || engine.told || kept, "a reset of a ring that nothing is wrong with");
                assert!(!self.lost && !self.hopeless, "a reset of a lost device");
                assert!(
                    engine.reset == Reset::None || engine.forgiven,
                    "a second reset at a time, or after one failed"
                );
                assert_eq!(self.reset, Reset::None, "a ring's reset during that of the device");
                (engine.reset, engine.forgiven) = (Reset::Asked, false);
                Notable::ResetAsked
            }
            Action::ResetDevice => {
                let kept = (0..self.engines.len()).any(|ring| self.is_kept(config, ring));
                let kept = kept && config.firmware == Some(Firmware::OfTheDevice);
                assert!(!self.lost && (kept || self.engines.iter().any(|engine| engine.reset == Reset::Failed)));
                assert!(!self.hopeless, "it was reset in vain");
                let resetting =
                    |engine: &Engine| !engine.forgiven && (engine.reset == Reset::Asked || engine.reset.is_under_way());
                assert!(!self.engines.iter().any(resetting), "it cuts short the reset of a ring");
                assert_eq!(self.reset, Reset::None, "a second reset of the device");
                self.reset = Reset::Asked;
                Notable::DeviceResetAsked
            }
            Action::GiveUp => {
                assert!(!self.lost && !self.gave_up && (self.hopeless || self.reset == Reset::Failed));
                self.gave_up = true;
                Notable::GaveUp
            }
            Action::Run { job, ring, seqno, event } => {
                assert_eq!(event, config.event_slots.map(|_| EventSlot(0)));
                self.ran(config, job, ring, seqno)
            }
        })
    }

    /// Whoever has submitted a job runs it, if the scheduler says so: then it is what that ring would have been given next.
    pub(super) fn run_now(&mut self, config: &Config, job: usize) -> Option<Notable> {
        let (handle, before) = (self.jobs[job].handle?, self.scheduler.clone());
        let Some(Action::Run { job: run, ring, seqno, .. }) = self.scheduler.run_now(handle) else {
            assert_eq!(self.scheduler, before, "it was asked in vain, and something has changed");
            return None;
        };
        assert_eq!(run, handle, "another job than that which was committed");
        let mut polled = before;
        let next = core::iter::from_fn(|| polled.poll_action()).find_map(|action| match action {
            Action::Run { job, ring: other, seqno, .. } if other == ring => Some((job, seqno)),
            _ => None,
        });
        assert_eq!(next, Some((handle, seqno)), "it has overtaken a job, or has taken its number");
        self.ran(config, handle, ring, seqno);
        Some(Notable::RanNow)
    }

    fn signalled(&mut self, config: &Config, job: usize, result: Result<(), FenceError>) -> Notable {
        let plan = &config.jobs[job];
        let progress = &mut self.jobs[job];
        assert_eq!(progress.stage, Stage::Committed, "it has no fence yet");
        assert_eq!(progress.signalled, None, "job {job} signalled twice");
        let killed = self.killed[plan.queue];
        let reason = match result {
            Ok(()) => progress.completed,
            Err(FenceError::Guilty) => matches!(progress.lost, Some(Place::Suspect | Place::Refused)),
            Err(FenceError::Innocent) => progress.lost == Some(Place::Victim) && (!plan.restartable || killed),
            Err(FenceError::Canceled) => !progress.ran && (killed || progress.wait == Wait::Failed),
            Err(FenceError::Lost) => self.lost,
            // The display's: no job ends so.
            Err(FenceError::TimedOut) => false,
        };
        assert!(reason, "job {job} has no reason to end with {result:?}");
        progress.signalled = Some(result);
        Notable::Signalled(result)
    }

    fn released(&mut self, job: usize) -> Notable {
        assert!(self.jobs[job].signalled.is_some(), "released before it signalled");
        assert!(!self.jobs[job].released, "released twice");
        assert!(!self.may_read(job), "released while the hardware may read it");
        self.jobs[job].released = true;
        Notable::Released
    }

    fn ran(&mut self, config: &Config, handle: JobId, ring: RingIndex, seqno: Seqno) -> Notable {
        let job = *self.scheduler.payload(handle).unwrap() as usize;
        let engine = &self.engines[usize::from(ring.0)];
        let progress = &self.jobs[job];
        assert!(!self.lost && !self.hopeless, "work for a lost device");
        assert!(engine.reset == Reset::None || engine.forgiven, "work for a ring that is being reset");
        assert!(matches!(progress.lost, None | Some(Place::Victim)), "what was guilty runs again");
        assert!(self.engines.iter().all(|engine| engine.reset != Reset::Failed), "the device is to be reset");
        assert_eq!(self.reset, Reset::None, "work for a device that is being reset");
        assert_eq!((progress.handle, config.ring_of(job)), (Some(handle), usize::from(ring.0)));
        assert_eq!(progress.stage, Stage::Committed);
        assert_eq!(progress.wait, Wait::Over, "what it is to work on does not exist yet");
        assert!(!self.killed[config.jobs[job].queue], "its user is gone");
        assert!(!progress.ran && progress.signalled.is_none(), "it must not run again");
        assert!(progress.lost.is_none() || config.jobs[job].restartable, "it must not run twice");
        let newest = engine.given.last().map_or(engine.register, |(seqno, _)| *seqno);
        assert!(seqno.is_after(newest) && seqno.is_after(engine.register), "its number is not new");
        let later = |other: &Progress| other.stage == Stage::Committed && other.rank > progress.rank;
        for (other, plan) in self.jobs.iter().zip(&config.jobs) {
            let overtaken = plan.queue == config.jobs[job].queue && later(other) && other.ran;
            assert!(!overtaken, "a job of the same queue that came later has run before job {job}");
        }
        let same_queue = |(_, other): &(Seqno, usize)| config.jobs[*other].queue == config.jobs[job].queue;
        assert!(!config.unordered || !engine.given.iter().any(same_queue), "jobs of a queue may run in any order");
        let again = progress.lost.is_some();
        let engine = &mut self.engines[usize::from(ring.0)];
        engine.given.push((seqno, job));
        engine.in_hand += 1;
        let progress = &mut self.jobs[job];
        (progress.ran, progress.lost) = (true, None);
        (progress.deadline, progress.vouched, progress.aborted) = (None, 0, false);
        if !config.slow_hands {
            self.apply(config, Event::Write(ring.0));
            self.apply(config, Event::Started(ring.0));
        }
        if again {
            Notable::RanAgain
        } else {
            Notable::Ran
        }
    }

    pub(super) fn expected_refusal(&self, config: &Config, queue: usize) -> SubmitError {
        if self.lost {
            SubmitError::Ended(FenceError::Lost)
        } else if self.killed[queue] {
            SubmitError::StaleQueue
        } else {
            assert_eq!(self.alive(), config.slots, "refused although there is room");
            SubmitError::Full
        }
    }

    /// Jobs that hold a slot.
    fn alive(&self) -> usize {
        let holds = |job: &&Progress| match job.stage {
            Stage::Reserved(_) => true,
            Stage::Committed => !job.released,
            Stage::Planned | Stage::Withdrawn => false,
        };
        self.jobs.iter().filter(holds).count()
    }

    /// Nothing is left to do: after a loss this means that no fence is pending, and after the cut no memory is held.
    fn check_idle(&self) {
        for job in self.jobs.iter().filter(|job| job.stage == Stage::Committed) {
            assert!(!self.lost || job.signalled.is_some(), "a fence outlives the device");
            assert!(!self.cut || job.released, "memory is held although nobody can read it");
        }
        let held = self.held.iter().any(|held| !held.released);
        assert!(!self.cut || !held, "memory of a queue is held although nobody can read it");
    }

    /// What is true in every state.
    pub(super) fn check(&self, config: &Config) {
        assert_eq!(self.scheduler.job_count(), self.alive(), "a slot is lost, or was freed too early");
        for (index, (engine, slot)) in self.engines.iter().zip(&self.scheduler.rings).enumerate() {
            let on_ring: u32 = engine.given.iter().map(|(_, job)| config.jobs[*job].cost).sum();
            assert!(on_ring <= config.credits[index], "ring {index} has more than it has credits for");
            let booked = if self.lost { 0 } else { on_ring };
            assert_eq!(slot.credits + booked, config.credits[index], "credits are lost or made on ring {index}");
            let has_it = engine.known > 0;
            if slot.state == RingState::Running && has_it && matches!(self.reset, Reset::None | Reset::Asked) {
                assert!(slot.deadline.is_some(), "nobody watches ring {index}");
                assert_eq!(slot.deadline, self.due(index), "the oldest job of ring {index} has not its whole time");
            }
        }
        if config.event_slots.is_some() && !self.lost {
            let mut busy: Vec<_> =
                self.engines.iter().flat_map(|engine| &engine.given).map(|(_, job)| config.jobs[*job].queue).collect();
            busy.dedup();
            assert!(busy.len() <= 1, "two queues report through one event slot");
        }
        let deadline = self.scheduler.next_deadline();
        assert!(!self.lost || deadline.is_none(), "a timeout is waited for although the device is gone");
        self.check_firmware(config);
        self.check_ignored(config);
    }

    /// What is old, wrong or a repetition changes nothing.
    fn check_ignored(&self, config: &Config) {
        let mut scheduler = self.scheduler.clone();
        for (number, engine) in (0..).zip(&self.engines) {
            let ring = RingIndex(number);
            let slot = &scheduler.rings[usize::from(number)];
            let (completed, never) = (slot.completed, slot.issued.next());
            let old = Seqno::from_register(completed.value().wrapping_sub(2)).unwrap();
            for seqno in [completed, old, never, never.next()] {
                scheduler.hw_done(ring, seqno, self.now);
            }
            // Twice, from before a reset, or never given out.
            let mut known: Vec<Seqno> = engine.given.iter().map(|(seqno, _)| *seqno).collect();
            // A completion that was told too early, before the fence had signalled, may be told again.
            let orphans = self.scheduler.jobs.iter().filter(|job| job.on_hardware && job.ring == ring);
            known.extend(orphans.map(|job| job.seqno));
            let numbers = (0..=never.value()).map(|number| Seqno::from_register(number).unwrap());
            // Numbers of jobs that are lost are remembered only where somebody asks for them.
            let is_known = config.out_of_order || !self.lost;
            for seqno in numbers.filter(|seqno| is_known && !known.contains(seqno)) {
                scheduler.hw_done_one(ring, seqno, self.now);
            }
            // A later one of a queue before an earlier one.
            for (place, (seqno, job)) in engine.given.iter().enumerate() {
                let mut before = engine.given[..place].iter().map(|(_, other)| *other);
                if before.any(|other| config.jobs[other].queue == config.jobs[*job].queue) && !self.lost {
                    scheduler.hw_done_one(ring, *seqno, self.now);
                }
            }
            scheduler.faulted(ring, old, self.now);
            scheduler.faulted(ring, never, self.now);
            if matches!(engine.reset, Reset::None | Reset::Asked | Reset::Failed) {
                scheduler.reset_done(ring, true);
                scheduler.reset_done(ring, false);
            }
            if !self.may_abort(engine) || engine.reset != Reset::Asked {
                assert_eq!(scheduler.begin_abort(ring), None);
                assert!(!scheduler.abort_answered(ring, Abort::Cannot, self.now));
            }
            if engine.reset != Reset::Asked {
                assert!(!scheduler.abort_answered(ring, Abort::Asked, self.now));
                assert!(!scheduler.abort_answered(ring, Abort::Done, self.now));
                assert!(!scheduler.still_running(ring, self.now));
                assert_eq!(scheduler.begin_reset(ring), None);
            }
        }
        self.ignored_by_firmware(config, &mut scheduler);
        for job in self.jobs.iter().filter_map(|job| job.handle) {
            if !(0..).zip(&self.engines).any(|(ring, _)| scheduler.suspect(RingIndex(ring)) == Some(job)) {
                scheduler.suspect_began(job, Began::No);
            }
        }
        if self.reset != Reset::Asked {
            assert!(!scheduler.begin_device_reset());
        }
        if matches!(self.reset, Reset::None | Reset::Asked | Reset::Failed) {
            scheduler.device_reset_done(true);
            scheduler.device_reset_done(false);
        }
        if scheduler.next_deadline().is_none_or(|deadline| deadline > self.now) {
            scheduler.tick(self.now);
        }
        if self.lost {
            scheduler.lose(FenceError::Canceled);
        } else {
            scheduler.hardware_gone();
        }
        for queue in (0..QUEUES).filter(|queue| self.killed[*queue]) {
            scheduler.kill_queue(self.queues[queue]);
        }
        for job in self.jobs.iter().filter(|job| job.signalled.is_some()) {
            if let Some(handle) = job.handle {
                scheduler.dependency_done(handle, Ok(()));
                scheduler.dependency_done(handle, Err(FenceError::Lost));
            }
        }
        assert_eq!(scheduler, self.scheduler, "an event that must be ignored was not");
    }

    /// Nothing can happen any more: then nothing is owed.
    pub(super) fn check_end(&self, config: &Config) {
        for (job, progress) in self.jobs.iter().enumerate() {
            let ended = match progress.stage {
                Stage::Committed => progress.signalled.is_some() && progress.released,
                Stage::Withdrawn | Stage::Planned => true,
                Stage::Reserved(_) => false,
            };
            assert!(ended, "job {job} never ends: {progress:?}");
        }
        assert_eq!(self.scheduler.job_count(), 0);
        let mut scheduler = self.scheduler.clone();
        let free =
            core::iter::from_fn(|| scheduler.open_queue(RingIndex(config.rings[0]), Priority::Normal).ok()).count();
        for (killed, held) in self.killed.iter().zip(&self.held) {
            assert!(!killed || held.released, "a firmware is asked in vain for ever, or not at all");
        }
        let gone = self.killed.iter().filter(|killed| **killed).count();
        assert_eq!(free, gone, "a queue outlives its user, or goes before it");
    }

    /// From here on nothing goes wrong that has not: every job ends without a loss. Either the rings complete what they
    /// are given, or they hang, and only resets succeed.
    pub(super) fn check_good_end(&self, config: &Config, hangs: bool) {
        let mut world = self.clone();
        world.go_on(config, hangs);
        if world.is_given_up() {
            return;
        }
        world.check_end(config);
        for queue in 0..QUEUES {
            world.apply(config, Event::Kill(queue));
        }
        world.drain(config);
        if config.firmware.is_some() {
            world.go_on(config, hangs);
            if world.is_given_up() {
                return;
            }
        }
        world.check_end(config);
    }

    fn is_given_up(&self) -> bool {
        let over = self.reset == Reset::Failed || self.hopeless;
        assert!(!over || self.gave_up, "nobody was told that nothing helps");
        over
    }

    fn go_on(&mut self, config: &Config, hangs: bool) {
        // Each round ends at least one job, or is the last.
        for _ in 0..=2 * JOBS {
            for event in self.events(config) {
                let due = match event {
                    Event::Reserve(_) | Event::Commit(_) => true,
                    Event::Dependency(job, _) => self.jobs[job].wait == Wait::Open,
                    _ => false,
                };
                if due {
                    self.apply(config, event);
                }
            }
            self.drain(config);
            for ring in 0..config.ring_count() {
                self.finish_ring(config, ring, hangs);
            }
            self.drain(config);
            self.finish_reset(config);
            self.answer_all(config, hangs);
            if hangs {
                for _ in 0..config.ticks {
                    self.apply(config, Event::Pass);
                }
                self.apply(config, Event::Tick);
            }
            self.drain(config);
        }
    }

    /// The firmware lets go of whatever it was asked about; or has not been told by the driver, and says nothing.
    fn answer_all(&mut self, config: &Config, hangs: bool) {
        for event in self.firmware_events() {
            let happens = match event {
                Event::Answer(queue, answer) => {
                    let still_asked = matches!(self.held[queue].question, Question::InHand { .. });
                    let expected = if self.held[queue].may_read { LetGo::Asked } else { LetGo::Done };
                    still_asked && answer == expected
                }
                Event::FirmwareLetsGo(_) => !hangs,
                _ => true,
            };
            if happens {
                self.apply(config, event);
            }
        }
    }

    fn finish_reset(&mut self, config: &Config) {
        if self.reset == Reset::Asked {
            self.apply(config, Event::BeginDeviceReset);
        }
        if matches!(self.reset, Reset::Begun(_)) {
            self.apply(config, Event::HoldDevice);
        }
        if self.reset == Reset::Held {
            self.apply(config, Event::DeviceResetDone(true));
        }
    }

    fn empty_hand(&mut self, config: &Config, ring: u8) {
        while self.engines[usize::from(ring)].in_hand > 0 {
            self.apply(config, Event::Write(ring));
        }
        self.apply(config, Event::Started(ring));
    }

    fn finish_ring(&mut self, config: &Config, ring: u8, hangs: bool) {
        let index = usize::from(ring);
        if self.engines[index].reset == Reset::Asked {
            self.apply(config, Event::BeginReset(ring));
        }
        if matches!(self.engines[index].reset, Reset::Begun(_)) {
            self.apply(config, Event::Hold(ring));
        }
        if self.engines[index].reset == Reset::Held {
            self.apply(config, Event::Prove(ring));
        }
        if self.engines[index].reset == Reset::Proven {
            self.apply(config, Event::ResetDone(ring, true));
        }
        if hangs {
            return;
        }
        self.apply(config, Event::TellFault(ring));
        if self.engines[index].aborting.is_some_and(|(_, given_up)| given_up) {
            self.apply(config, Event::TellAborted(ring));
        }
        while let Some(job) = self.engines[index].executing().filter(|_| !self.engines[index].stopped) {
            let done = if config.out_of_order { Event::Finish(ring, job) } else { Event::Complete(ring) };
            self.apply(config, done);
        }
        self.apply(config, Event::Report(ring));
    }

    fn drain(&mut self, config: &Config) {
        while self.poll(config).is_some() {}
        for ring in 0..config.ring_count() {
            self.empty_hand(config, ring);
        }
    }
}
