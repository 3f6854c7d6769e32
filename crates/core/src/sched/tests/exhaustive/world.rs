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
    pub(super) limit: Option<Duration>,
    pub(super) restartable: bool,
    pub(super) after: After,
}

/// What is explored: [`QUEUES`] queues, [`JOBS`] jobs, up to two rings.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // facts that do not exclude each other
pub(super) struct Config {
    /// The ring of each queue.
    pub(super) rings: [u8; QUEUES],
    /// Credits of each ring.
    pub(super) credits: [u32; 2],
    /// Job slots: fewer than jobs means that slots are used again.
    pub(super) slots: usize,
    pub(super) jobs: [Plan; JOBS],
    /// So many of them are submitted.
    pub(super) submitted: usize,
    /// Rings may fault, not only hang.
    pub(super) faults: bool,
    /// The shell may be slow to write a job that it was handed, fail to, or be slow to say that it has.
    pub(super) slow_hands: bool,
    /// The driver may see a job move that is overdue, and the job then gets one extension.
    pub(super) vouched: bool,
    /// The driver may find that a ring has not begun its suspect.
    pub(super) unbegun: bool,
    /// The proof of a ring is a step of its own, and may fail; else it succeeds together with the
    /// reset.
    pub(super) proofs: bool,
    /// Rings report each job by itself, and complete those of different queues in any order.
    pub(super) out_of_order: bool,
    /// The scheduler knows that they keep no order, and each job's time begins when the ring has it.
    pub(super) unordered: bool,
    /// Whoever submits may run the job.
    pub(super) by_submitter: bool,
    /// Rings may be able to give up a job alone.
    pub(super) aborts: bool,
    /// With one, at most one queue is busy.
    pub(super) event_slots: Option<u8>,
    /// A firmware holds something of every queue, and this must be reset if it does not let go.
    pub(super) firmware: Option<Firmware>,
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
    /// A ring that works out of order finishes a job.
    Finish(u8, usize),
    /// The shell is told of that, in time or late.
    ReportOne(u8, usize),
    /// The shell reads the ring's number, in time or late.
    Report(u8),
    /// The shell writes the oldest job of a ring that it has in hand.
    Write(u8),
    /// It cannot.
    Refuse(u8),
    /// It says that it has.
    Started(u8),
    /// The ring stops with a fault, at its oldest job.
    Fault(u8),
    /// The shell has read of the fault, and of the ring's number beside it; it tells so in time or late.
    TellFault(u8),
    Pass,
    Tick,
    /// The shell has looked, reads the ring's number, and asks whether the ring must be reset still.
    BeginReset(u8),
    /// A reset takes hold: from here on the ring reads nothing and shows the announced number.
    Hold(u8),
    /// After that the ring does a job of the driver's own, which writes the number after the
    /// announced one.
    Prove(u8),
    /// The reset and the proof have succeeded, or one of them has not.
    ResetDone(u8, bool),
    /// The driver finds that the ring has not begun its suspect.
    NotBegun(u8),
    /// Instead of the reset.
    StillRunning(u8),
    /// The ring is asked to give up its suspect, and answers.
    Abort(u8, Abort),
    /// It gives it up, as it was told to; nobody knows yet.
    GiveJobUp(u8),
    /// The shell is told.
    TellAborted(u8),
    /// The same for the whole device.
    BeginDeviceReset,
    HoldDevice,
    DeviceResetDone(bool),
    Kill(usize),
    /// The driver asks the firmware to let go of a queue, and answers.
    Answer(usize, LetGo),
    /// The firmware lets go of it; nobody knows yet.
    FirmwareLetsGo(usize),
    /// The shell is told.
    TellLetGo(usize),
    Lose,
    /// The device is cut off from memory.
    Cut,
    /// The shell takes one action and carries it out.
    Poll,
    /// The thread that has submitted a job asks whether it may run it.
    RunNow(usize),
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
#[allow(clippy::struct_excessive_bools)] // facts that do not exclude each other
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
    /// When it has had its time, if that has begun.
    pub(super) deadline: Option<Timestamp>,
    /// How often the driver vouched for it.
    pub(super) vouched: u32,
    /// Its ring was asked to give it up.
    pub(super) aborted: bool,
    /// Its ring was reset under it, or did not take it.
    pub(super) lost: Option<Place>,
    pub(super) signalled: Option<Result<(), FenceError>>,
    pub(super) released: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// It is what the reset was for.
    Suspect,
    /// It was none: the job could not be written to its ring.
    Refused,
    Victim,
}

/// Everything there is. Two equal worlds have the same future.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // facts that do not exclude each other
pub(super) struct World {
    pub(super) scheduler: TestScheduler,
    pub(super) now: Timestamp,
    pub(super) queues: [QueueId; QUEUES],
    pub(super) killed: [bool; QUEUES],
    pub(super) held: [Held; QUEUES],
    pub(super) jobs: [Progress; JOBS],
    /// How long each may take.
    pub(super) limits: [Duration; JOBS],
    pub(super) engines: Vec<Engine>,
    /// That of the device.
    pub(super) reset: Reset,
    pub(super) lost: bool,
    pub(super) cut: bool,
    /// All that could be reset was, in vain.
    pub(super) hopeless: bool,
    pub(super) gave_up: bool,
}

impl World {
    pub(super) fn new(config: &Config) -> Self {
        let rings = usize::from(config.ring_count());
        let limits = Limits {
            ring_credits: config.credits[0],
            job_timeout: TIMEOUT,
            extensions: u32::from(config.vouched),
            event_slots: config.event_slots,
            let_go: TIMEOUT,
            firmware: config.firmware.unwrap_or_default(),
        };
        let mut stores = stores([config.slots, QUEUES, rings, 0]);
        // The first ring has what all have, the second its own number.
        stores.rings.iter_mut().skip(1).for_each(|ring| *ring = RingSlot::with_credits(config.credits[1]));
        for ring in stores.rings.iter_mut().filter(|_| config.unordered) {
            *ring = core::mem::take(ring).unordered();
        }
        let mut scheduler = Scheduler::new(stores, limits);
        let queues = config.rings.map(|ring| scheduler.open_queue(RingIndex(ring), Priority::Normal).unwrap());
        for (index, queue) in queues.iter().enumerate().filter(|_| config.firmware.is_some()) {
            scheduler.firmware_holds(*queue, firmware::payload(index)).unwrap();
        }
        let mut jobs = config.jobs.map(|plan| Progress {
            stage: Stage::Planned,
            handle: None,
            wait: if plan.after == After::Nothing { Wait::Over } else { Wait::Open },
            rank: 0,
            ran: false,
            completed: false,
            deadline: None,
            vouched: 0,
            aborted: false,
            lost: None,
            signalled: None,
            released: false,
        });
        jobs[config.submitted..].iter_mut().for_each(|job| job.stage = Stage::Withdrawn);
        let engine = Engine {
            register: Seqno::ZERO,
            given: vec![],
            completed: 0,
            finished: vec![],
            reset: Reset::None,
            suspect: None,
            stopped: false,
            stopped_at: None,
            told: false,
            news: None,
            in_hand: 0,
            known: 0,
            forgiven: false,
            acquitted: false,
            aborting: None,
            vain: Vain::Nothing,
        };
        Self {
            scheduler,
            now: Timestamp::default(),
            queues,
            killed: [false; QUEUES],
            held: [Held::new(config.firmware.is_some()); QUEUES],
            jobs,
            limits: config.jobs.map(|plan| plan.limit.unwrap_or(TIMEOUT)),
            engines: vec![engine; rings],
            reset: Reset::None,
            lost: false,
            cut: false,
            hopeless: false,
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
            let may_ask = config.by_submitter && progress.stage == Stage::Committed && progress.signalled.is_none();
            events.extend(may_ask.then_some(Event::RunNow(job)));
            events.extend(self.waited_for(config, job).map(|result| Event::Dependency(job, result)));
        }
        for (ring, engine) in (0..).zip(&self.engines) {
            if self.cut {
                continue;
            }
            let held = engine.reset.has_taken_hold() || self.reset.has_taken_hold();
            let runs = !held && !engine.stopped;
            if let Some((aborting, given_up)) = engine.aborting.filter(|_| !held) {
                let may_give_up = engine.may_finish(config).any(|job| job == aborting);
                events.extend(given_up.then_some(Event::TellAborted(ring)));
                events.extend(may_give_up.then_some(Event::GiveJobUp(ring)));
            }
            if config.out_of_order {
                let may_finish = engine.may_finish(config).filter(|_| runs);
                events.extend(may_finish.map(|job| Event::Finish(ring, job)));
                events.extend(engine.may_report(config).map(|job| Event::ReportOne(ring, job)));
            } else if runs && engine.executing().is_some() {
                events.push(Event::Complete(ring));
            }
            events.push(Event::Report(ring));
            if engine.in_hand > 0 {
                events.extend([Event::Write(ring), Event::Refuse(ring)]);
            }
            events.extend((engine.known < engine.written()).then_some(Event::Started(ring)));
            events.extend((config.faults && runs && engine.in_hand == 0).then_some(Event::Fault(ring)));
            events.extend(engine.news.map(|_| Event::TellFault(ring)));
            // The shell does one thing after the other.
            let free = self.engines.iter().all(|engine| engine.known == engine.given.len());
            let looked_at = engine.reset == Reset::Asked || self.reset == Reset::Asked;
            let may_be_acquitted = config.unbegun && looked_at && free && !engine.acquitted;
            let suspect = self.scheduler.suspect(RingIndex(ring)).filter(|_| may_be_acquitted);
            events.extend(suspect.map(|_| Event::NotBegun(ring)));
            match engine.reset {
                Reset::Asked => {
                    events.extend(free.then_some(Event::BeginReset(ring)));
                    events.extend((free && config.vouched).then_some(Event::StillRunning(ring)));
                    let may_abort = free && config.aborts && self.may_abort(engine);
                    // Asked how far it is before, the ring names what it has finished.
                    let may_abort = may_abort && engine.suspect.is_some_and(|job| !engine.finished.contains(&job));
                    let answers = [Abort::Cannot, Abort::Asked, Abort::Done].into_iter().filter(|_| may_abort);
                    events.extend(answers.map(|answer| Event::Abort(ring, answer)));
                }
                Reset::Begun(_) => events.extend([Event::Hold(ring), Event::ResetDone(ring, false)]),
                Reset::Held if config.proofs => events.extend([Event::Prove(ring), Event::ResetDone(ring, false)]),
                Reset::Held => events.push(Event::Prove(ring)),
                Reset::Proven => events.push(Event::ResetDone(ring, true)),
                Reset::None | Reset::Failed => {}
            }
        }
        let free = self.engines.iter().all(|engine| engine.known == engine.given.len());
        match self.reset {
            Reset::Asked if !self.cut && free => events.push(Event::BeginDeviceReset),
            Reset::Begun(_) if !self.cut => events.extend([Event::HoldDevice, Event::DeviceResetDone(false)]),
            Reset::Held if !self.cut && config.proofs => events.extend([true, false].map(Event::DeviceResetDone)),
            Reset::Held if !self.cut => events.push(Event::DeviceResetDone(true)),
            _ => {}
        }
        if let Some(deadline) = self.scheduler.next_deadline() {
            events.push(if deadline > self.now { Event::Pass } else { Event::Tick });
        }
        events.extend((0..QUEUES).filter(|queue| !self.killed[*queue]).map(Event::Kill));
        events.extend(self.firmware_events());
        events.extend((!self.lost).then_some(Event::Lose));
        events.extend((self.lost && !self.cut).then_some(Event::Cut));
        events
    }

    /// Whether a ring is to be asked to give up its suspect before it is reset.
    pub(super) fn may_abort(&self, engine: &Engine) -> bool {
        let over = self.lost || self.hopeless || self.reset != Reset::None;
        let stuck = self.engines.iter().any(|engine| engine.reset == Reset::Failed);
        let suspect = engine.guilty().filter(|_| !over && !stuck && !engine.told && !engine.forgiven);
        suspect.is_some_and(|job| !self.jobs[job].aborted)
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
            Event::RunNow(job) => return self.run_now(config, job),
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
            Event::Finish(ring, job) => {
                self.engines[usize::from(ring)].finished.push(job);
                self.jobs[job].completed = true;
            }
            Event::ReportOne(ring, job) => return self.report_one(config, ring, job),
            Event::Report(ring) => return self.report(config, ring),
            Event::Write(ring) => self.engines[usize::from(ring)].in_hand -= 1,
            Event::Refuse(ring) => return Some(self.refuse(ring)),
            Event::Started(ring) => self.started(config, ring),
            Event::Fault(ring) => {
                let engine = &mut self.engines[usize::from(ring)];
                let job = engine.executing();
                (engine.stopped, engine.stopped_at, engine.news) = (true, job, Some(engine.register));
                if job.is_none() {
                    // A job given to the stopped ring later could not be told from the job it stopped at.
                    self.tell_fault(config, ring);
                }
            }
            Event::TellFault(ring) => self.tell_fault(config, ring),
            Event::Pass => self.now = self.now.plus(TIMEOUT / config.ticks),
            Event::Tick => return self.tick(),
            Event::BeginReset(ring) => return self.begin_reset(config, ring),
            Event::Hold(ring) => {
                let engine = &mut self.engines[usize::from(ring)];
                if let Reset::Begun(announced) = engine.reset {
                    engine.register = announced;
                    engine.reset = Reset::Held;
                }
            }
            Event::Prove(ring) => {
                let engine = &mut self.engines[usize::from(ring)];
                (engine.register, engine.reset) = (engine.register.next(), Reset::Proven);
                if !config.proofs {
                    self.reset_done(config, ring, true);
                }
            }
            Event::ResetDone(ring, succeeded) => return self.reset_done(config, ring, succeeded),
            Event::NotBegun(ring) => return Some(self.not_begun(ring)),
            Event::StillRunning(ring) => return self.still_running(config, ring),
            Event::Abort(ring, answer) => return self.abort(config, ring, answer),
            Event::GiveJobUp(ring) => {
                if let Some((_, given_up)) = &mut self.engines[usize::from(ring)].aborting {
                    *given_up = true;
                }
            }
            Event::TellAborted(ring) => return self.tell_aborted(config, ring),
            Event::BeginDeviceReset => {
                for ring in 0..config.ring_count() {
                    self.report(config, ring);
                }
                let begins = self.scheduler.begin_device_reset();
                assert_eq!(begins, !self.lost, "only a loss makes it needless");
                self.reset = if begins { Reset::Begun(Seqno::ZERO) } else { Reset::None };
            }
            Event::HoldDevice => {
                self.reset = Reset::Held;
                self.engines.iter_mut().for_each(|engine| engine.register = Seqno::ZERO);
            }
            Event::DeviceResetDone(succeeded) => self.device_reset_done(config, succeeded),
            Event::Kill(queue) => {
                self.killed[queue] = true;
                self.scheduler.kill_queue(self.queues[queue]);
            }
            Event::Answer(queue, answer) => return self.answer(config, queue, answer),
            Event::FirmwareLetsGo(queue) => self.held[queue].may_read = false,
            Event::TellLetGo(queue) => return self.tell_let_go(config, queue),
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
}
