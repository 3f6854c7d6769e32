//! The worker: the thread that carries out what the core wants done. It has the [seat](super::seat) at the rings while it
//! has anything to do.
//!
//! It takes several actions under one lock and carries them out in their order with the lock released. All signals of a
//! scheduler that has not been lost are its own, so those of one queue come in their order.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::Timestamp;
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{self, Action, QueueId, RingIndex};
use lifeboat_sync::deadline::later;
use lifeboat_sync::lint::MutexGuard;

use super::AtRest;
use super::resets::Trouble;
use super::seat::{Asked, Ran, Run, Seat};
use super::shared::{SchedulerInner, SchedulerState, Worker};
use super::waits::Held;
use crate::fence::Unsignalled;
use crate::panics::contained;
use crate::{primitive, spin};

/// Actions taken under one lock. More would save little, and a completion that comes meanwhile waits for all of them.
const BATCH: usize = 32;

/// One action but a signal, with all that is needed to carry it out without the lock.
enum Step<J> {
    Release(Held<J>),
    Run(Run<J>),
    LetGo(LetGo<J>),
    GiveUp,
}

/// A queue that the firmware of its ring is to let go of.
struct LetGo<J> {
    queue: QueueId,
    ring: RingIndex,
    kept: Arc<J>,
    last_look: bool,
}

/// A ring has been given all jobs up to a number.
struct Given {
    ring: RingIndex,
    seqno: Seqno,
    /// When `run` had returned; `None` while more of it follows.
    at: Option<Timestamp>,
}

pub(super) struct Runner<'a, J> {
    pub(super) shared: &'a SchedulerInner<J>,
    /// As long as the worker has anything to do; at rest it is in the [state](SchedulerState::seat).
    seat: Option<Seat<J>>,
    /// Signals in hand. Given before anything else that is in hand: a job that is run may stall at a register, and nobody
    /// but this thread can give what it has taken. Never grows (SCHED-3).
    signals: Vec<(Unsignalled, Result<(), FenceError>)>,
    /// What else is in hand. Never grows either.
    steps: Vec<Step<J>>,
    /// What has been carried out of it that the core does not know. Never grows either.
    given: Vec<Given>,
    /// For a reset of the device. As long as there are rings.
    pub(super) numbers: Vec<Seqno>,
    /// When the driver wants to look again.
    look_at: Option<Timestamp>,
}

pub(super) type Guard<'a, J> = MutexGuard<'a, SchedulerState<J>>;

impl<'a, J> Runner<'a, J> {
    pub(super) fn new(shared: &'a SchedulerInner<J>, seat: Seat<J>) -> Self {
        let numbers = Vec::with_capacity(shared.rings.into());
        let (signals, steps) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let given = Vec::with_capacity(BATCH);
        Self { shared, seat: Some(seat), signals, steps, given, numbers, look_at: None }
    }

    /// For rings that no thread works for: all is ended on this one.
    pub(super) fn end(mut self) {
        self.shared.lose(FenceError::Canceled, true);
        self.finish(&mut self.shared.state.lock());
    }

    /// Its life: until it is asked to end.
    pub(super) fn work(mut self) {
        let shared = self.shared;
        let mut state = shared.state.lock();
        state.worker_thread = Some(primitive::thread::current().id());
        if !primitive::MODEL {
            // A thread's first wait registers it with the lock library, which allocates: now, while there is no job.
            let _ = shared.work.wait_until(&mut state, Instant::now());
        }
        loop {
            if !self.sit(&mut state) {
                if !self.give_signals(&mut state) {
                    self.wait_for_seat(&mut state);
                }
                continue;
            }
            // One clock for a round: reading it costs as much as a lock.
            let now = shared.now();
            let busy = self.carry_out(&mut state);
            // Time is judged also while there is work: a ring that hangs must not wait for the others to rest. Nor must
            // what the driver wants to look at.
            let looked = self.look(&mut state, now);
            let judged = self.judge(&mut state, now);
            // A driver that always wants to look keeps nobody from ending it.
            if state.worker != Worker::Running && !busy {
                break;
            }
            if judged || looked || busy {
                continue;
            }
            self.idle(&mut state);
        }
        self.finish(&mut state);
    }

    /// Takes the seat. `false` if a thread that has submitted a job is running that.
    fn sit(&mut self, state: &mut SchedulerState<J>) -> bool {
        if self.seat.is_none() {
            self.seat = state.seat.take();
        }
        state.worker_stands = self.seat.is_none();
        self.seat.is_some()
    }

    /// Without the seat: gives the signals that are owed. `false` if there are none.
    fn give_signals(&mut self, state: &mut Guard<'_, J>) -> bool {
        while self.signals.len() < BATCH {
            let Some(Action::Signal { fence, result }) = state.core.poll_signal() else { break };
            state.count(result);
            self.signals.push((fence, result));
        }
        if self.signals.is_empty() {
            return false;
        }
        let shared = self.shared;
        shared.carry_out(state, || self.signals.drain(..).for_each(|(fence, result)| fence.end(result)));
        true
    }

    /// Waits until the seat is given back, or something is fed.
    fn wait_for_seat(&mut self, state: &mut Guard<'_, J>) {
        self.shared.quiet(state);
        state.worker_sleeps = true;
        self.shared.work.wait(state);
        state.worker_sleeps = false;
    }

    /// The end of its life.
    fn finish(&mut self, state: &mut Guard<'_, J>) {
        let shared = self.shared;
        let at_rest = shared.carry_out(state, || self.seat.as_mut().map_or(AtRest::NotYet, Seat::quiesce));
        if at_rest == AtRest::Yes {
            state.core.hardware_gone();
        }
        while self.carry_out(state) {}
        shared.end_worker(state);
    }

    /// Takes what there is to do, up to a limit, and does it. `false` if there was nothing.
    fn carry_out(&mut self, state: &mut Guard<'_, J>) -> bool {
        let trouble = self.take(state);
        if self.signals.is_empty() && self.steps.is_empty() && trouble.is_none() {
            return false;
        }
        let shared = self.shared;
        shared.carry_out(state, || self.perform());
        for Given { ring, seqno, at } in self.given.drain(..) {
            state.core.started(ring, seqno, at.unwrap_or_default());
        }
        if let Some(trouble) = trouble {
            self.see_to(state, trouble);
        }
        true
    }

    /// Fills `signals` and `steps`. A reset comes last, and apart: its result is to be fed before anything else is asked.
    fn take(&mut self, state: &mut SchedulerState<J>) -> Option<Trouble<J>> {
        while self.signals.len() + self.steps.len() < BATCH {
            match state.core.poll_action()? {
                Action::Signal { fence, result } => {
                    state.count(result);
                    self.signals.push((fence, result));
                }
                Action::Release { payload } => self.steps.push(Step::Release(payload)),
                Action::Run { job: id, ring, seqno, .. } => {
                    // The job comes along: the core may give its own away before this is carried out.
                    let Some(job) = state.core.payload(id).map(|held| held.job.clone()) else { continue };
                    self.steps.push(Step::Run(Run { id, ring, job, seqno }));
                }
                Action::ResetRing { ring, suspect } => {
                    let suspect = suspect.and_then(|job| state.core.payload(job)).map(|held| held.job.clone());
                    return Some(Trouble::Ring { ring, suspect });
                }
                Action::ResetDevice => return Some(Trouble::Device),
                Action::LetGo { queue, ring, last_look } => {
                    let Some(kept) = state.core.held(queue).map(|held| held.job.clone()) else { continue };
                    self.steps.push(Step::LetGo(LetGo { queue, ring, kept, last_look }));
                }
                Action::GiveUp => {
                    self.steps.push(Step::GiveUp);
                    break;
                }
            }
        }
        None
    }

    /// Carries out what was taken.
    fn perform(&mut self) {
        for (fence, result) in self.signals.drain(..) {
            fence.end(result);
        }
        // Not held while the rings are borrowed; its memory is used again.
        let mut steps = std::mem::take(&mut self.steps);
        for step in steps.drain(..) {
            if !matches!(step, Step::Run(_)) {
                self.stamp();
            }
            match step {
                // A job is a user's as much as the driver's: its drop ends nothing but itself.
                Step::Release(job) => contained("a job's drop", || drop(job)),
                Step::Run(run) => self.run(run),
                Step::LetGo(let_go) => self.let_go(let_go),
                Step::GiveUp => {
                    if let Some(seat) = &mut self.seat {
                        seat.give_up();
                    }
                }
            }
        }
        self.stamp();
        self.steps = steps;
    }

    /// The time of what has been given since the last call begins now: `run` has returned for it. One look at the clock for
    /// all that was given in a row.
    fn stamp(&mut self) {
        if self.given.last().is_some_and(|given| given.at.is_none()) {
            let now = self.shared.now();
            for given in self.given.iter_mut().rev().take_while(|given| given.at.is_none()) {
                given.at = Some(now);
            }
        }
    }

    fn run(&mut self, run: Run<J>) {
        match self.seat.as_mut().map_or(Ran::GivenUp, |seat| seat.run(&run)) {
            Ran::Given => self.given(run.ring, run.seqno),
            // At once: the number of a job that is given to the ring after it would complete it.
            Ran::Refused => self.shared.event(|core| core.start_failed(run.id)),
            Ran::GivenUp => {}
        }
        // Perhaps the last of it.
        contained("a job's drop", || drop(run));
    }

    /// Asks a firmware to let go of a queue. Given up, it is asked nothing, and the loss is its answer.
    fn let_go(&mut self, let_go: LetGo<J>) {
        let LetGo { queue, ring, kept, last_look } = let_go;
        let answer = self.ask("asking a firmware to let go", |rings| rings.let_go(ring, queue, &kept, last_look));
        if let Some(answer) = answer {
            if last_look && answer != sched::LetGo::Done {
                tracing::warn!(ring = ring.0, ?queue, "a firmware does not let go of a queue, and is reset");
            }
            // The firmware's time begins when it has been asked.
            let now = self.shared.now();
            self.shared.event(|core| core.let_go_answered(queue, answer, now));
        }
        // Perhaps the last of it, if the firmware has answered already.
        contained("a job's drop", || drop(kept));
    }

    fn given(&mut self, ring: RingIndex, seqno: Seqno) {
        match self.given.last_mut() {
            Some(last) if last.ring == ring && last.at.is_none() => last.seqno = seqno,
            _ => self.given.push(Given { ring, seqno, at: None }),
        }
    }

    /// Asks something of the rings, unless they are given up.
    pub(super) fn ask<T>(&mut self, what: &str, f: impl FnOnce(&mut dyn Asked<J>) -> T) -> Option<T> {
        self.seat.as_mut()?.ask(what, f)
    }

    fn is_given_up(&self) -> bool {
        self.seat.as_ref().is_none_or(Seat::is_given_up)
    }

    /// Waits for an event, or until the driver wants to look, or a job is overdue.
    fn idle(&mut self, state: &mut Guard<'_, J>) {
        let shared = self.shared;
        let given_up = self.is_given_up();
        shared.quiet(state);
        // From here on whoever submits may run a job.
        state.seat = self.seat.take();
        // Work often comes in quick succession. Bounded: a device without work costs nothing.
        MutexGuard::unlocked(state, || spin::briefly(|| shared.rung()));
        if state.fed || shared.rung() {
            return;
        }
        let job = if given_up { None } else { state.core.next_deadline() };
        let look = if given_up { None } else { self.look_at };
        let due = job.into_iter().chain(look).min();
        // A deadline that was set for a job stays, although the job has ended: then a thread that runs the next one, whose
        // time is over later, need not wake the worker for that. It wakes once in vain if no job comes.
        let set_before = state.sleeps_until.filter(|at| !given_up && *at > shared.now());
        state.sleeps_until = due.into_iter().chain(set_before).min();
        state.worker_sleeps = true;
        if let Some(due) = state.sleeps_until {
            let deadline = later(shared.epoch, due.since_beginning());
            shared.work.wait_until(state, deadline);
        } else {
            shared.work.wait(state);
        }
        state.worker_sleeps = false;
    }

    /// Lets the driver look, if it wants to by now or was nudged.
    fn look(&mut self, state: &mut Guard<'_, J>, now: Timestamp) -> bool {
        let due = self.look_at.is_some_and(|at| at <= now);
        if self.is_given_up() || !(due || state.nudged) {
            return false;
        }
        state.nudged = false;
        let shared = self.shared;
        let next = shared.carry_out(state, || self.ask("looking at a device", |rings| rings.look())).flatten();
        self.look_at = next.map(|at| Timestamp::new(at.saturating_duration_since(shared.epoch)));
        true
    }

    /// If a job seems overdue, asks the rings how far they are, and then the core. `false` if none does. The clock was read
    /// before the rings are asked: what is overdue by it was so when they answered.
    fn judge(&mut self, state: &mut Guard<'_, J>, now: Timestamp) -> bool {
        if self.is_given_up() {
            return false;
        }
        let shared = self.shared;
        if state.core.next_deadline().is_none_or(|deadline| deadline > now) {
            return false;
        }
        for ring in (0..shared.rings).map(RingIndex) {
            self.ask_progress(state, ring);
        }
        state.core.tick(now);
        true
    }
}

/// If its life ends by a panic, of the core or of itself, the device is given up and lost. What is owed is signalled
/// here, where no lock is held and no interrupt is handled.
impl<J> Drop for Runner<'_, J> {
    fn drop(&mut self) {
        if primitive::thread::panicking() {
            let mut state = self.shared.state.lock();
            let seat = self.seat.take().or_else(|| state.seat.take());
            self.shared.end_worker(&mut state);
            drop(state);
            tracing::error!("a scheduler's worker panicked");
            // With the rings, unless a thread that runs a job has them.
            drop(seat);
            self.shared.lose(FenceError::Lost, false);
        }
    }
}
