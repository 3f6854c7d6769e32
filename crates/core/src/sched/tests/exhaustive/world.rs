//! A scheduler together with all that surrounds it: users, rings and a shell, each of which may do its next step at any
//! moment.

use super::*;

/// What a job waits for before it may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    /// The fence of another job of this scheduler, whose end decides whether the wait was in vain.
    Job(usize),
    /// A fence of somebody else, which may end in either way.
    Foreign,
}

/// A job that users will submit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) queue: usize,
    pub(super) cost: u32,
    pub(super) restartable: bool,
    pub(super) after: After,
}

/// What is explored: [`QUEUES`] queues, [`JOBS`] jobs, up to two rings.
#[derive(Debug, Clone)]
pub(super) struct Config {
    /// The ring of each queue.
    pub(super) rings: [u8; QUEUES],
    pub(super) credits: u32,
    /// Job slots: fewer than jobs means that slots are used again.
    pub(super) slots: usize,
    pub(super) jobs: [Plan; JOBS],
    /// Rings may fault, not only hang.
    pub(super) faults: bool,
    /// The driver may see a job move that is overdue, and the job then gets one extension.
    pub(super) vouched: bool,
    /// With one, at most one queue is busy.
    pub(super) event_slots: Option<u8>,
    /// In how many steps a job's time runs out.
    pub(super) ticks: u32,
}

impl Config {
    pub(super) fn ring_count(&self) -> u8 {
        self.rings.iter().max().unwrap() + 1
    }

    pub(super) fn ring_of(&self, job: usize) -> usize {
        usize::from(self.rings[self.jobs[job].queue])
    }
}

/// One step of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Reserve(usize),
    Commit(usize),
    Cancel(usize),
    /// The shell reports that the fence a job waits for has signalled.
    Dependency(usize, Result<(), FenceError>),
    /// The ring finishes its oldest job and writes its number; nobody knows yet.
    Complete(u8),
    /// The shell reads the ring's number, in time or late.
    Report(u8),
    Fault(u8),
    Pass,
    Tick,
    /// A reset that was asked for takes hold: from here on the ring reads nothing and shows the announced number.
    Hold(u8),
    ResetDone(u8, bool),
    /// Instead of the reset.
    StillRunning(u8),
    /// The same for the whole device.
    HoldDevice,
    DeviceResetDone(bool),
    Kill(usize),
    Lose,
    /// The device is cut off from memory.
    Cut,
    /// The shell takes one action and carries it out.
    Poll,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Planned,
    Reserved(Reservation),
    /// Given back, or refused for good.
    Withdrawn,
    Committed,
}

/// How far the fence that a job waits for has come, as the scheduler knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wait {
    Open,
    Over,
    Failed,
}

/// What the world knows of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    pub(super) handle: Option<JobId>,
    pub(super) wait: Wait,
    /// Place in the order in which the jobs were committed.
    pub(super) rank: usize,
    /// It is on its ring, or the ring has completed it.
    pub(super) ran: bool,
    /// The ring has completed it.
    pub(super) completed: bool,
    /// Its ring was reset under it.
    pub(super) lost: Option<Place>,
    pub(super) signalled: Option<Result<(), FenceError>>,
    pub(super) released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// It was the oldest when the ring became overdue or faulted, and still is.
    Suspect,
    Victim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reset {
    None,
    Asked(Seqno),
    Held,
    Failed,
}

/// A ring as the hardware has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Engine {
    /// What its number reads.
    pub(super) register: Seqno,
    /// Jobs given to it whose end has not been reported, oldest first.
    pub(super) given: Vec<(Seqno, usize)>,
    /// How many of them it has completed.
    pub(super) completed: usize,
    /// When its oldest job has had its time.
    pub(super) deadline: Option<Timestamp>,
    pub(super) reset: Reset,
    /// The job that was the oldest when the ring became overdue or faulted.
    pub(super) suspect: Option<usize>,
    /// It stopped with a fault, and nothing talks that away.
    pub(super) faulted: bool,
    /// How often the driver vouched for the oldest job.
    pub(super) vouched: u32,
}

/// Everything there is. Two equal worlds have the same future.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) scheduler: TestScheduler,
    pub(super) now: Timestamp,
    pub(super) queues: [QueueId; QUEUES],
    pub(super) killed: [bool; QUEUES],
    pub(super) jobs: [Progress; JOBS],
    pub(super) engines: Vec<Engine>,
    /// That of the device.
    pub(super) reset: Reset,
    pub(super) lost: bool,
    pub(super) cut: bool,
    pub(super) gave_up: bool,
}

impl World {
    pub(super) fn new(config: &Config) -> Self {
        let rings = usize::from(config.ring_count());
        let limits = Limits {
            ring_credits: config.credits,
            job_timeout: TIMEOUT,
            extensions: u32::from(config.vouched),
            event_slots: config.event_slots,
        };
        let mut scheduler = Scheduler::with_contexts(
            (0..config.slots).map(|_| JobSlot::default()).collect(),
            (0..QUEUES).map(|_| QueueSlot::default()).collect(),
            (0..rings).map(|_| RingSlot::default()).collect(),
            vec![],
            limits,
        );
        let queues = config.rings.map(|ring| scheduler.open_queue(RingIndex(ring), Priority::Normal).unwrap());
        let jobs = config.jobs.map(|plan| Progress {
            stage: Stage::Planned,
            handle: None,
            wait: if plan.after == After::Nothing { Wait::Over } else { Wait::Open },
            rank: 0,
            ran: false,
            completed: false,
            lost: None,
            signalled: None,
            released: false,
        });
        let engine = Engine {
            register: Seqno::ZERO,
            given: vec![],
            completed: 0,
            deadline: None,
            reset: Reset::None,
            suspect: None,
            faulted: false,
            vouched: 0,
        };
        Self {
            scheduler,
            now: Timestamp::default(),
            queues,
            killed: [false; QUEUES],
            jobs,
            engines: vec![engine; rings],
            reset: Reset::None,
            lost: false,
            cut: false,
            gave_up: false,
        }
    }

    /// All that may happen next.
    pub(super) fn events(&self, config: &Config) -> Vec<Event> {
        let mut events = vec![Event::Poll];
        for (job, progress) in self.jobs.iter().enumerate() {
            match progress.stage {
                Stage::Planned => events.push(Event::Reserve(job)),
                Stage::Reserved(_) => events.extend([Event::Commit(job), Event::Cancel(job)]),
                Stage::Committed | Stage::Withdrawn => {}
            }
            events.extend(self.waited_for(config, job).map(|result| Event::Dependency(job, result)));
        }
        for (ring, engine) in (0..).zip(&self.engines) {
            if self.cut {
                continue;
            }
            let held = engine.reset == Reset::Held || self.reset == Reset::Held;
            if !held && engine.completed < engine.given.len() {
                events.push(Event::Complete(ring));
            }
            events.push(Event::Report(ring));
            events.extend(config.faults.then_some(Event::Fault(ring)));
            match engine.reset {
                Reset::Asked(_) => {
                    events.extend([Event::Hold(ring), Event::ResetDone(ring, false)]);
                    events.extend(config.vouched.then_some(Event::StillRunning(ring)));
                }
                Reset::Held => events.push(Event::ResetDone(ring, true)),
                Reset::None | Reset::Failed => {}
            }
        }
        match self.reset {
            Reset::Asked(_) if !self.cut => events.extend([Event::HoldDevice, Event::DeviceResetDone(false)]),
            Reset::Held if !self.cut => events.push(Event::DeviceResetDone(true)),
            _ => {}
        }
        if let Some(deadline) = self.scheduler.next_deadline() {
            events.push(if deadline > self.now { Event::Pass } else { Event::Tick });
        }
        events.extend((0..QUEUES).filter(|queue| !self.killed[*queue]).map(Event::Kill));
        events.extend((!self.lost).then_some(Event::Lose));
        events.extend((self.lost && !self.cut).then_some(Event::Cut));
        events
    }

    /// The ways in which the wait of a job may end now.
    fn waited_for(&self, config: &Config, job: usize) -> impl Iterator<Item = Result<(), FenceError>> {
        let progress = &self.jobs[job];
        let may_come = progress.wait == Wait::Open && progress.handle.is_some();
        let ends = match config.jobs[job].after {
            // The fence of a job that is not submitted is dropped.
            After::Job(other) if self.jobs[other].stage == Stage::Withdrawn => [Some(Err(FenceError::Canceled)), None],
            After::Job(other) => [self.jobs[other].signalled, None],
            After::Foreign => [Some(Ok(())), Some(Err(FenceError::Lost))],
            After::Nothing => [None, None],
        };
        ends.into_iter().flatten().filter(move |_| may_come)
    }

    /// Lets one thing happen. Says what was notable about it.
    pub(super) fn apply(&mut self, config: &Config, event: Event) -> Option<Notable> {
        match event {
            Event::Poll => return self.poll(config),
            Event::Reserve(job) => return self.reserve(config, job),
            Event::Commit(job) => self.commit(job),
            Event::Cancel(job) => {
                if let Stage::Reserved(reservation) = core::mem::replace(&mut self.jobs[job].stage, Stage::Withdrawn) {
                    self.scheduler.cancel(reservation);
                }
            }
            Event::Dependency(job, result) => {
                self.scheduler.dependency_done(self.jobs[job].handle.unwrap(), result);
                self.jobs[job].wait = if result.is_ok() { Wait::Over } else { Wait::Failed };
            }
            Event::Complete(ring) => {
                let engine = &mut self.engines[usize::from(ring)];
                let (seqno, job) = engine.given[engine.completed];
                engine.completed += 1;
                engine.register = seqno;
                self.jobs[job].completed = true;
            }
            Event::Report(ring) => return self.report(ring),
            Event::Fault(ring) => {
                let register = self.engines[usize::from(ring)].register;
                self.suspecting(|scheduler, _| scheduler.fault(RingIndex(ring), register));
                let state = self.scheduler.rings[usize::from(ring)].state;
                let faulted = matches!(state, RingState::Suspect(Cause::Fault) | RingState::Resetting(Cause::Fault));
                self.engines[usize::from(ring)].faulted |= faulted;
            }
            Event::Pass => self.now = self.now.plus(TIMEOUT / config.ticks),
            Event::Tick => self.suspecting(TestScheduler::tick),
            Event::Hold(ring) => {
                let engine = &mut self.engines[usize::from(ring)];
                if let Reset::Asked(announced) = engine.reset {
                    engine.register = announced;
                    engine.reset = Reset::Held;
                }
            }
            Event::ResetDone(ring, succeeded) => self.reset_done(ring, succeeded),
            Event::StillRunning(ring) => return self.still_running(ring),
            Event::HoldDevice => {
                self.reset = Reset::Held;
                self.engines.iter_mut().for_each(|engine| engine.register = Seqno::ZERO);
            }
            Event::DeviceResetDone(succeeded) => self.device_reset_done(succeeded),
            Event::Kill(queue) => {
                self.killed[queue] = true;
                self.scheduler.kill_queue(self.queues[queue]);
            }
            Event::Lose => {
                self.lost = true;
                self.scheduler.lose(FenceError::Lost);
            }
            Event::Cut => {
                self.cut = true;
                self.scheduler.hardware_gone();
            }
        }
        None
    }

    fn reserve(&mut self, config: &Config, job: usize) -> Option<Notable> {
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

    fn commit(&mut self, job: usize) {
        let rank = self.jobs.iter().filter(|job| job.stage == Stage::Committed).count();
        let progress = &mut self.jobs[job];
        if let Stage::Reserved(reservation) = core::mem::replace(&mut progress.stage, Stage::Committed) {
            let number = u32::try_from(job).unwrap();
            let handle = self.scheduler.commit(reservation, number, number);
            assert_eq!(progress.handle, Some(handle));
            progress.rank = rank;
        }
    }

    /// Something after which rings may be found to hang or to have faulted.
    fn suspecting(&mut self, event: impl FnOnce(&mut TestScheduler, Timestamp)) {
        let was: Vec<RingState> = self.scheduler.rings.iter().map(|ring| ring.state).collect();
        event(&mut self.scheduler, self.now);
        for ((engine, ring), was) in self.engines.iter_mut().zip(&self.scheduler.rings).zip(was) {
            if ring.state != was && matches!(ring.state, RingState::Suspect(_)) {
                engine.suspect = engine.given.first().map(|(_, job)| *job);
            }
        }
    }

    fn report(&mut self, ring: u8) -> Option<Notable> {
        let engine = &mut self.engines[usize::from(ring)];
        let was = self.scheduler.rings[usize::from(ring)].state;
        self.scheduler.hw_done(RingIndex(ring), engine.register, self.now);
        // What is read while the device is being reset counts for nothing.
        if engine.reset != Reset::Held && self.reset == Reset::None {
            if engine.completed > 0 {
                engine.deadline = Some(self.now.plus(TIMEOUT));
                engine.vouched = 0;
            }
            engine.given.drain(..core::mem::take(&mut engine.completed));
        }
        let is = self.scheduler.rings[usize::from(ring)].state;
        ((was, is) == (RingState::Suspect(Cause::Overdue), RingState::Running)).then_some(Notable::NoHang)
    }

    fn reset_done(&mut self, ring: u8, succeeded: bool) {
        let engine = &mut self.engines[usize::from(ring)];
        engine.reset = if succeeded { Reset::None } else { Reset::Failed };
        if succeeded {
            self.abandon(ring);
        }
        self.scheduler.reset_done(RingIndex(ring), succeeded);
    }

    fn device_reset_done(&mut self, succeeded: bool) {
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

    /// What was on a ring is not there any more.
    fn abandon(&mut self, ring: u8) {
        let engine = &mut self.engines[usize::from(ring)];
        for (index, (_, job)) in engine.given.drain(..).enumerate() {
            let guilty = index == 0 && engine.suspect == Some(job);
            self.jobs[job].lost = Some(if guilty { Place::Suspect } else { Place::Victim });
            self.jobs[job].ran = false;
        }
        (engine.completed, engine.vouched, engine.faulted) = (0, 0, false);
    }

    fn still_running(&mut self, ring: u8) -> Option<Notable> {
        let granted = self.scheduler.still_running(RingIndex(ring), self.now);
        let engine = &mut self.engines[usize::from(ring)];
        let completed = engine.given.first().map(|(_, job)| *job) != engine.suspect;
        let expected = !self.lost && !engine.faulted && (completed || engine.vouched == 0);
        assert_eq!(granted, expected, "the driver's word counts once for each job, and not against a fault");
        if !granted {
            return None;
        }
        engine.vouched += u32::from(!completed);
        engine.reset = Reset::None;
        engine.deadline = Some(self.now.plus(TIMEOUT));
        Some(Notable::Vouched)
    }

    /// Whether the hardware may read what a job keeps alive.
    pub(super) fn may_read(&self, job: usize) -> bool {
        let reads = |engine: &Engine| {
            let held = engine.reset == Reset::Held || self.reset == Reset::Held;
            !held && engine.given[engine.completed..].iter().any(|(_, given)| *given == job)
        };
        !self.cut && self.engines.iter().any(reads)
    }
}
