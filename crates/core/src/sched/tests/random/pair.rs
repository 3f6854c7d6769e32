//! The scheduler and the model side by side: each event goes to both, and both must agree afterwards.

use super::super::model::firmware::{Holding, QUEUE_PAYLOADS};
use super::super::model::{Model, Stage};
use super::*;

/// The scheduler and the model, fed with the same.
pub(super) struct Pair {
    pub(super) scheduler: TestScheduler,
    pub(super) model: Model,
    pub(super) now: Timestamp,
    pub(super) reservations: Vec<(usize, Reservation)>,
}

impl Pair {
    pub(super) fn new(event_slots: Option<u8>, unordered: [bool; RINGS], firmware: Firmware) -> Self {
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

    pub(super) fn close_context(&mut self, context: usize) {
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

    pub(super) fn commit(&mut self, reservation: usize) -> JobId {
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

    fn fault(&mut self, ring: u8, back: usize) {
        // Half of them with the ring's own number.
        let slot = &self.model.rings[usize::from(ring)];
        let seqno = slot.numbers[slot.at.saturating_sub(back.saturating_sub(2))];
        self.scheduler.faulted(RingIndex(ring), seqno, self.now);
        self.model.fault(usize::from(ring), seqno, self.now);
    }

    fn begin_abort(&mut self, ring: u8) {
        let begun = self.scheduler.begin_abort(RingIndex(ring));
        assert_eq!(begun, self.model.begin_abort(usize::from(ring)));
    }

    fn abort_answered(&mut self, ring: u8, answer: Abort) {
        let left_alone = self.scheduler.abort_answered(RingIndex(ring), answer, self.now);
        assert_eq!(left_alone, self.model.abort_answered(usize::from(ring), answer, self.now));
    }

    fn aborted(&mut self, ring: u8, seqno: Seqno) {
        self.scheduler.aborted(RingIndex(ring), seqno, self.now);
        self.model.aborted(usize::from(ring), seqno, self.now);
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

    pub(super) fn kill(&mut self, queue: usize) {
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

    pub(super) fn lose(&mut self, error: FenceError) {
        self.scheduler.lose(error);
        self.model.lose(error);
    }

    pub(super) fn apply(&mut self, event: &Event) {
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
            Event::Spurious { ring, back, told } => {
                let numbers = &self.model.rings[usize::from(ring)].numbers;
                let last = numbers[numbers.len() - 1];
                let spurious = match back {
                    0 => last.next(),
                    1 => last.next().next(),
                    back => numbers[(numbers.len() + 1).saturating_sub(back)],
                };
                match told {
                    Told::DoneUpTo => self.done(ring, spurious),
                    Told::DoneOne => self.done_one(ring, spurious),
                    Told::Aborted => self.aborted(ring, spurious),
                }
            }
            Event::Fault { ring, back } => self.fault(ring, back),
            Event::Pass { millis } => self.now = self.now.plus(Duration::from_millis(millis)),
            Event::Tick => self.tick(),
            Event::PassUntilDue => {
                self.now = self.model.next_deadline().map_or(self.now, |due| due.max(self.now));
                self.tick();
            }
            Event::BeginReset { ring } => self.begin_reset(ring),
            Event::BeginDeviceReset => self.begin_device_reset(),
            Event::ResetDone { ring, succeeded } => self.reset_done(ring, succeeded),
            Event::DeviceResetDone { succeeded } => self.device_reset_done(succeeded),
            Event::StillRunning { ring } => {
                let granted = self.scheduler.still_running(RingIndex(ring), self.now);
                assert_eq!(granted, self.model.still_running(usize::from(ring), self.now));
            }
            Event::BeginAbort { ring } => self.begin_abort(ring),
            Event::AbortAnswered { ring, answer } => self.abort_answered(ring, answer),
            Event::Aborted { ring, place } => {
                let running = &self.model.rings[usize::from(ring)].running;
                if let Some((seqno, _)) = running.get(place).or(running.first()).copied() {
                    self.aborted(ring, seqno);
                }
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

    fn tick(&mut self) {
        self.scheduler.tick(self.now);
        self.model.tick(self.now);
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

    pub(super) fn drain(&mut self) {
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

    pub(super) fn check(&self) {
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
    pub(super) fn finish(&mut self) {
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
