//! Random events, against the model after each of them.

use proptest::prelude::*;

use super::model::firmware::{Holding, QUEUE_PAYLOADS};
use super::model::{Model, RingIs, Stage};
use super::*;

const JOBS: usize = 12;
const RINGS: usize = 2;
const CREDITS: u32 = 4;
pub(super) const EXTENSIONS: u32 = 1;

#[derive(Debug, Clone)]
enum Event {
    Open {
        ring: u8,
        priority: Priority,
        /// Of the contexts there were, or none.
        context: usize,
    },
    OpenContext {
        limit: u32,
    },
    CloseContext {
        context: usize,
    },
    Reserve {
        queue: usize,
        spec: JobSpec,
    },
    /// Of the reservations that are open, so that anything may happen since the reservation.
    Commit {
        reservation: usize,
        /// Whoever submits runs the job, if the scheduler says so.
        runs: bool,
    },
    Cancel {
        reservation: usize,
    },
    Dependency {
        job: usize,
        failed: bool,
    },
    /// The completion of the job that many places behind the oldest.
    Complete {
        ring: u8,
        place: usize,
    },
    /// The completion of that job alone.
    CompleteOne {
        ring: u8,
        place: usize,
    },
    /// A number from the past (counted from the last one given out) or the future.
    Spurious {
        ring: u8,
        back: usize,
        /// Told of a job alone.
        one: bool,
    },
    Fault {
        ring: u8,
        back: usize,
    },
    Pass {
        millis: u64,
    },
    Tick,
    ResetDone {
        ring: u8,
        succeeded: bool,
    },
    DeviceResetDone {
        succeeded: bool,
    },
    /// The driver has looked: the ring, or the device, is to be reset.
    BeginReset {
        ring: u8,
    },
    BeginDeviceReset,
    /// The driver has looked, and says that the suspect moves.
    StillRunning {
        ring: u8,
    },
    /// The driver has looked whether the ring has begun the suspect.
    SuspectBegan {
        ring: u8,
        began: Began,
    },
    Stop,
    Start,
    Reprioritize {
        queue: usize,
        priority: Priority,
    },
    /// One more ring than there is.
    Move {
        queue: usize,
        ring: u8,
    },
    Kill {
        queue: usize,
    },
    /// A firmware is told of a queue.
    Hold {
        queue: usize,
    },
    /// The driver answers, to whatever was asked last.
    Answer {
        queue: usize,
        answer: LetGo,
    },
    FirmwareLetGo {
        queue: usize,
    },
    Lose {
        error: FenceError,
    },
    HardwareGone,
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![1 => Just(Priority::High), 2 => Just(Priority::Normal), 1 => Just(Priority::Low)]
}

/// What of a job is not its size.
fn spec() -> impl Strategy<Value = JobSpec> {
    let policy = prop_oneof![3 => Just(IfDependencyFails::Cancel), 1 => Just(IfDependencyFails::Run)];
    let time_limit = prop::option::weighted(0.3, prop_oneof![Just(TIMEOUT / 2), Just(TIMEOUT * 3)]);
    (prop::bool::weighted(0.7), policy, time_limit).prop_map(|(restartable, if_dependency_fails, time_limit)| JobSpec {
        cost: 1,
        time_limit,
        dependencies: 2,
        restartable,
        if_dependency_fails,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let error = prop_oneof![Just(FenceError::Lost), Just(FenceError::Canceled)];
    prop_oneof![
        40 => (0..8usize, 1..8u32, 0..3u32, spec()).prop_map(|(queue, cost, dependencies, spec)| {
            // Most jobs wait for nothing, and are so small that several fit the ring.
            let (cost, dependencies) = (cost.saturating_sub(4).max(1), dependencies.saturating_sub(1));
            Event::Reserve { queue, spec: JobSpec { cost, dependencies, ..spec } }
        }),
        1 => (0..8usize, spec()).prop_map(|(queue, spec)| Event::Reserve { queue, spec: JobSpec { cost: 5, ..spec } }),
        3 => (0..8usize, spec()).prop_map(|(queue, spec)| Event::Reserve { queue, spec: JobSpec { cost: 1, ..spec } }),
        40 => (0..4usize, any::<bool>()).prop_map(|(reservation, runs)| Event::Commit { reservation, runs }),
        2 => (0..4usize).prop_map(|reservation| Event::Cancel { reservation }),
        20 => (0..JOBS, prop::bool::weighted(0.2)).prop_map(|(job, failed)| Event::Dependency { job, failed }),
        30 => (0..2u8, 0..3usize).prop_map(|(ring, place)| Event::Complete { ring, place }),
        30 => (0..2u8, 0..4usize).prop_map(|(ring, place)| Event::CompleteOne { ring, place }),
        12 => (0..2u8, 0..8usize, any::<bool>()).prop_map(|(ring, back, one)| Event::Spurious { ring, back, one }),
        6 => (0..2u8, 0..6usize).prop_map(|(ring, back)| Event::Fault { ring, back }),
        8 => (0..80u64).prop_map(|millis| Event::Pass { millis }),
        12 => Just(Event::Tick),
        12 => (0..2u8).prop_map(|ring| Event::BeginReset { ring }),
        9 => Just(Event::BeginDeviceReset),
        12 => (0..2u8, prop::bool::weighted(0.9)).prop_map(|(ring, succeeded)| Event::ResetDone { ring, succeeded }),
        9 => prop::bool::weighted(0.9).prop_map(|succeeded| Event::DeviceResetDone { succeeded }),
        5 => (0..2u8).prop_map(|ring| Event::StillRunning { ring }),
        4 => (0..2u8, prop_oneof![2 => Just(Began::No), 1 => Just(Began::Yes), 1 => Just(Began::Unknown)])
            .prop_map(|(ring, began)| Event::SuspectBegan { ring, began }),
        2 => Just(Event::Stop),
        6 => Just(Event::Start),
        4 => (0..2u8, priority(), 0..3usize).prop_map(|(ring, priority, context)| Event::Open { ring, priority, context }),
        2 => (0..4u32).prop_map(|limit| Event::OpenContext { limit }),
        2 => (0..3usize).prop_map(|context| Event::CloseContext { context }),
        8 => (0..8usize, priority()).prop_map(|(queue, priority)| Event::Reprioritize { queue, priority }),
        8 => (0..8usize, 0..5u8).prop_map(|(queue, ring)| Event::Move { queue, ring: ring.div_ceil(2) }),
        3 => (0..8usize).prop_map(|queue| Event::Kill { queue }),
        12 => (0..8usize).prop_map(|queue| Event::Hold { queue }),
        20 => (0..8usize, prop_oneof![1 => Just(LetGo::Done), 3 => Just(LetGo::Asked), 1 => Just(LetGo::Cannot)])
            .prop_map(|(queue, answer)| Event::Answer { queue, answer }),
        12 => (0..8usize).prop_map(|queue| Event::FirmwareLetGo { queue }),
        1 => error.prop_map(|error| Event::Lose { error }),
        2 => Just(Event::HardwareGone),
    ]
}

/// The scheduler and the model, fed with the same.
struct Pair {
    scheduler: TestScheduler,
    model: Model,
    now: Timestamp,
    reservations: Vec<(usize, Reservation)>,
}

impl Pair {
    fn new(event_slots: Option<u8>, unordered: [bool; RINGS], firmware: Firmware) -> Self {
        let limits = Limits { extensions: EXTENSIONS, event_slots, firmware, ..Limits::new(CREDITS, TIMEOUT) };
        let mut bench = Bench::with(JOBS, RINGS, limits);
        for (ring, unordered) in bench.scheduler.rings.iter_mut().zip(unordered) {
            ring.unordered = unordered;
        }
        let model = Model::new(&unordered, limits);
        let mut pair = Self { scheduler: bench.scheduler, model, now: bench.now, reservations: vec![] };
        pair.open_context(2);
        pair.open_context(1);
        for (ring, context) in [(0, Some(0)), (1, Some(0)), (0, Some(1)), (1, None)] {
            pair.open(ring, Priority::Normal, context);
        }
        pair
    }

    fn open(&mut self, ring: u8, priority: Priority, context: Option<usize>) {
        let opened = match context.map(|context| &self.model.contexts[context]) {
            Some(context) => self.scheduler.open_queue_of(context.handle, RingIndex(ring), priority),
            None => self.scheduler.open_queue(RingIndex(ring), priority),
        };
        if let Ok(handle) = opened {
            assert!(!context.is_some_and(|context| self.model.contexts[context].closed));
            self.model.queue_opened(handle, usize::from(ring), priority, context);
        }
    }

    fn open_context(&mut self, limit: u32) {
        if let Some(handle) = self.scheduler.open_context(limit) {
            self.model.context_opened(handle, limit);
        }
    }

    fn close_context(&mut self, context: usize) {
        // Also twice.
        self.scheduler.close_context(self.model.contexts[context].handle);
        self.model.contexts[context].closed = true;
    }

    fn reserve(&mut self, queue: usize, spec: JobSpec) {
        let refusal = self.model.refusal(queue, spec, JOBS);
        match self.scheduler.reserve(self.model.queues[queue].handle, spec) {
            Ok(reservation) => {
                assert_eq!(refusal, None);
                let job = self.model.reserved(queue, spec, reservation.job());
                self.reservations.push((job, reservation));
            }
            Err(error) => assert_eq!(refusal, Some(error)),
        }
    }

    fn commit(&mut self, reservation: usize) -> JobId {
        let (job, reservation) = self.reservations.remove(reservation);
        let number = u32::try_from(job).unwrap();
        let handle = self.scheduler.commit(reservation, number, number);
        assert_eq!(handle, self.model.jobs[job].handle);
        self.model.committed(job);
        handle
    }

    fn run_now(&mut self, job: JobId) {
        if let Some(action) = self.scheduler.run_now(job) {
            let Action::Run { job: run, ring, seqno, event } = action else { panic!("{action:?}") };
            assert_eq!(run, job);
            self.ran(run, ring, seqno, event);
        }
    }

    fn ran(&mut self, job: JobId, ring: RingIndex, seqno: Seqno, event: Option<EventSlot>) {
        let payload = *self.scheduler.payload(job).unwrap();
        self.model.reported_through(payload, event);
        self.model.started(job, payload, ring, seqno, self.now);
        self.scheduler.started(ring, seqno, self.now);
    }

    fn cancel(&mut self, reservation: usize) {
        let (job, reservation) = self.reservations.remove(reservation);
        self.scheduler.cancel(reservation);
        self.model.jobs[job].stage = Stage::Gone;
    }

    fn done(&mut self, ring: u8, seqno: Seqno) {
        self.scheduler.hw_done(RingIndex(ring), seqno, self.now);
        self.model.hw_done(usize::from(ring), seqno, self.now);
    }

    fn done_one(&mut self, ring: u8, seqno: Seqno) {
        self.scheduler.hw_done_one(RingIndex(ring), seqno, self.now);
        self.model.hw_done_one(usize::from(ring), seqno, self.now);
    }

    fn dependency(&mut self, job: usize, failed: bool) {
        // More often than was agreed is allowed only where it is ignored.
        let Some(model) = self.model.jobs.get(job) else { return };
        if model.unreported > 0 || !matches!(model.stage, Stage::Reserved | Stage::Queued) {
            let result = if failed { Err(FenceError::Lost) } else { Ok(()) };
            self.scheduler.dependency_done(model.handle, result);
            self.model.dependency_done(job, failed);
        }
    }

    fn reprioritize(&mut self, queue: usize, priority: Priority) {
        let result = self.scheduler.set_priority(self.model.queues[queue].handle, priority);
        assert_eq!(result.err(), self.model.change_refusal(queue, None));
        if result.is_ok() {
            self.model.changed(queue, priority, self.model.queues[queue].ring);
        }
    }

    fn move_queue(&mut self, queue: usize, ring: u8) {
        let result = self.scheduler.move_queue(self.model.queues[queue].handle, RingIndex(ring));
        let ring = usize::from(ring);
        assert_eq!(result.err(), self.model.change_refusal(queue, Some(ring)));
        if result.is_ok() {
            self.model.changed(queue, self.model.queues[queue].priority, ring);
        }
    }

    fn kill(&mut self, queue: usize) {
        // Also twice: the handle is then stale, or soon will be.
        self.scheduler.kill_queue(self.model.queues[queue].handle);
        self.model.killed(queue);
    }

    fn begin_reset(&mut self, ring: u8) {
        let number = self.scheduler.begin_reset(RingIndex(ring));
        self.model.begin_reset(usize::from(ring), number);
    }

    fn begin_device_reset(&mut self) {
        let begins = self.scheduler.begin_device_reset();
        self.model.begin_device_reset(begins, &self.scheduler);
    }

    fn reset_done(&mut self, ring: u8, succeeded: bool) {
        self.scheduler.reset_done(RingIndex(ring), succeeded);
        self.model.reset_done(usize::from(ring), succeeded);
    }

    fn device_reset_done(&mut self, succeeded: bool) {
        self.scheduler.device_reset_done(succeeded);
        self.model.device_reset_done(succeeded);
    }

    fn start(&mut self) {
        self.scheduler.start(self.now);
        self.model.start(self.now);
    }

    fn lose(&mut self, error: FenceError) {
        self.scheduler.lose(error);
        self.model.lose(error);
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Open { ring, priority, context } => {
                // The latest ones, or none.
                let context = (self.model.contexts.len() + context).checked_sub(2);
                self.open(ring, priority, context.filter(|context| *context < self.model.contexts.len()));
            }
            Event::OpenContext { limit } => self.open_context(limit),
            Event::CloseContext { context } => {
                let last = self.model.contexts.len() - 1;
                self.close_context(last.saturating_sub(context));
            }
            Event::Reserve { queue, spec } => self.reserve(queue % self.model.queues.len(), spec),
            Event::Commit { reservation, runs } if reservation < self.reservations.len() => {
                let job = self.commit(reservation);
                if runs {
                    self.run_now(job);
                }
            }
            Event::Cancel { reservation } if reservation < self.reservations.len() => self.cancel(reservation),
            Event::Commit { .. } | Event::Cancel { .. } => {}
            // The latest ones: the others are long gone.
            Event::Dependency { job, failed } => {
                self.dependency((self.model.jobs.len() + job).saturating_sub(JOBS), failed);
            }
            Event::Complete { ring, place } => {
                let running = &self.model.rings[usize::from(ring)].running;
                if let Some((seqno, _)) = running.get(place).or(running.first()).copied() {
                    self.done(ring, seqno);
                }
            }
            Event::CompleteOne { ring, place } => {
                let running = &self.model.rings[usize::from(ring)].running;
                if let Some((seqno, _)) = running.get(place).or(running.last()).copied() {
                    self.done_one(ring, seqno);
                }
            }
            Event::Spurious { ring, back, one } => {
                let numbers = &self.model.rings[usize::from(ring)].numbers;
                let last = numbers[numbers.len() - 1];
                let spurious = match back {
                    0 => last.next(),
                    1 => last.next().next(),
                    back => numbers[(numbers.len() + 1).saturating_sub(back)],
                };
                if one {
                    self.done_one(ring, spurious);
                } else {
                    self.done(ring, spurious);
                }
            }
            Event::Fault { ring, back } => {
                // Half of them with the ring's own number.
                let slot = &self.model.rings[usize::from(ring)];
                let seqno = slot.numbers[slot.at.saturating_sub(back.saturating_sub(2))];
                self.scheduler.faulted(RingIndex(ring), seqno, self.now);
                self.model.fault(usize::from(ring), seqno, self.now);
            }
            Event::Pass { millis } => self.now = self.now.plus(Duration::from_millis(millis)),
            Event::Tick => {
                self.scheduler.tick(self.now);
                self.model.tick(self.now);
            }
            Event::BeginReset { ring } => self.begin_reset(ring),
            Event::BeginDeviceReset => self.begin_device_reset(),
            Event::ResetDone { ring, succeeded } => self.reset_done(ring, succeeded),
            Event::DeviceResetDone { succeeded } => self.device_reset_done(succeeded),
            Event::StillRunning { ring } => {
                let granted = self.scheduler.still_running(RingIndex(ring), self.now);
                assert_eq!(granted, self.model.still_running(usize::from(ring), self.now));
            }
            Event::SuspectBegan { ring, began } => {
                if let Some(job) = self.scheduler.suspect(RingIndex(ring)) {
                    self.scheduler.suspect_began(job, began);
                }
                self.model.suspect_began(usize::from(ring), began);
            }
            Event::Stop => {
                self.scheduler.stop();
                self.model.stop();
            }
            Event::Start => self.start(),
            Event::Reprioritize { queue, priority } => {
                self.reprioritize(queue % self.model.queues.len(), priority);
            }
            Event::Move { queue, ring } => self.move_queue(queue % self.model.queues.len(), ring),
            Event::Kill { queue } => self.kill(queue % self.model.queues.len()),
            Event::Hold { queue } => self.hold(queue % self.model.queues.len()),
            Event::Answer { queue, answer } => self.answer(queue % self.model.queues.len(), answer),
            Event::FirmwareLetGo { queue } => self.firmware_let_go(queue % self.model.queues.len()),
            Event::Lose { error } => self.lose(error),
            Event::HardwareGone => {
                self.scheduler.hardware_gone();
                self.model.hardware_gone();
            }
        }
        self.model.owe_questions();
    }

    fn hold(&mut self, queue: usize) {
        let payload = QUEUE_PAYLOADS + u32::try_from(queue).unwrap();
        let held = self.scheduler.firmware_holds(self.model.queues[queue].handle, payload);
        assert_eq!(held, self.model.may_hold(queue).then_some(()).ok_or(payload));
        if held.is_ok() {
            self.model.held(queue);
        }
    }

    fn firmware_let_go(&mut self, queue: usize) {
        self.scheduler.firmware_let_go(self.model.queues[queue].handle, self.now);
        self.model.firmware_let_go(queue);
    }

    fn answer(&mut self, queue: usize, answer: LetGo) {
        self.scheduler.let_go_answered(self.model.queues[queue].handle, answer, self.now);
        self.model.let_go_answered(queue, answer, self.now);
    }

    fn drain(&mut self) {
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Signal { fence, result } => self.model.signalled(fence, result),
                Action::Release { payload } => self.model.released(payload),
                Action::ResetRing { ring, suspect } => {
                    let suspect = suspect.map(|job| *self.scheduler.payload(job).unwrap());
                    self.model.asked(ring, suspect);
                }
                Action::ResetDevice => self.model.asked_of_device(),
                Action::GiveUp => self.model.gave_up(),
                Action::LetGo { queue, ring, last_look } => self.model.asked_to_let_go(queue, ring, last_look),
                Action::Run { job, ring, seqno, event } => {
                    self.model.assert_nothing_before_work();
                    self.ran(job, ring, seqno, event);
                }
            }
        }
        self.model.assert_settled();
    }

    fn check(&self) {
        assert_eq!(self.scheduler.job_count(), self.model.alive());
        fairness::assert_charges_add_up(&self.scheduler);
        assert_eq!(self.scheduler.next_deadline(), self.model.next_deadline());
        for (ring, model) in self.scheduler.rings.iter().zip(&self.model.rings) {
            assert_eq!(ring.credits, model.credits, "credits are neither lost nor made");
        }
        for (number, context) in self.model.contexts.iter().enumerate() {
            let (expected, may_be_gone) = self.model.reset_stats(number);
            let stats = self.scheduler.reset_stats(context.handle);
            assert!(stats == Some(expected) || stats.is_none() && may_be_gone, "{stats:?}, not {expected:?}");
        }
        for (number, queue) in (QUEUE_PAYLOADS..).zip(&self.model.queues) {
            let kept = queue.holding != Holding::Nothing;
            assert_eq!(self.scheduler.held(queue.handle), kept.then_some(&number));
        }
        for (number, job) in (0..).zip(&self.model.jobs) {
            let kept = !matches!(job.stage, Stage::Reserved | Stage::Gone);
            assert_eq!(self.scheduler.payload(job.handle), kept.then_some(&number));
        }
    }

    /// Everything goes well from here on, and all users leave.
    fn finish(&mut self) {
        for queue in 0..self.model.queues.len() {
            self.kill(queue);
        }
        self.model.owe_questions();
        while !self.reservations.is_empty() {
            let _ = self.commit(0);
        }
        self.start();
        for _ in 0..JOBS {
            for ring in [0, 1] {
                self.drain();
                for queue in 0..self.model.queues.len() {
                    self.answer(queue, LetGo::Done);
                    self.firmware_let_go(queue);
                }
                self.begin_reset(ring);
                self.reset_done(ring, true);
                self.begin_device_reset();
                self.device_reset_done(true);
                self.model.owe_questions();
                if let Some((seqno, _)) = self.model.rings[usize::from(ring)].running.last().copied() {
                    self.done(ring, seqno);
                    self.model.owe_questions();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    /// Whatever happens, in any order, each fence signals once and says how its job ended, each payload is released once
    /// the hardware is done with it, and in the end nothing is left. The shell carries out actions now and then, not after each event.
    #[test]
    fn fence_1_and_2_and_4_and_sched_1_and_2_and_4_and_6_and_7_and_11_and_12_hold_for_random_events(
        events in prop::collection::vec((event(), prop::bool::weighted(0.7)), 1..150),
        loses in any::<bool>(),
        event_slots in prop_oneof![2 => Just(None), 1 => Just(Some(1)), 1 => Just(Some(2))],
        unordered in any::<[bool; RINGS]>(),
        firmware in prop_oneof![Just(Firmware::OfEachRing), Just(Firmware::OfTheDevice)],
    ) {
        let mut pair = Pair::new(event_slots, unordered, firmware);
        for (event, drain) in &events {
            pair.apply(event);
            pair.check();
            if *drain {
                pair.drain();
                pair.check();
            }
        }
        let is_dead = |pair: &Pair| pair.model.rings.iter().any(|ring| ring.is == RingIs::Dead);
        if !loses && !is_dead(&pair) {
            pair.finish();
        }
        // What was in vain before may be given up on the way.
        if loses || is_dead(&pair) {
            pair.lose(FenceError::Lost);
            while !pair.reservations.is_empty() {
                let _ = pair.commit(0);
            }
            pair.drain();
            pair.apply(&Event::HardwareGone);
            for queue in 0..pair.model.queues.len() {
                pair.kill(queue);
            }
        }
        pair.drain();
        pair.check();
        prop_assert_eq!(pair.scheduler.job_count(), 0);
        let free = core::iter::from_fn(|| pair.scheduler.open_queue(RingIndex(0), Priority::Normal).ok()).count();
        prop_assert_eq!(free, 4, "a queue outlived its user");
        (0..pair.model.contexts.len()).for_each(|context| pair.close_context(context));
        let free = core::iter::from_fn(|| pair.scheduler.open_context(1)).count();
        prop_assert_eq!(free, 2, "a context outlived its user");
    }
}
