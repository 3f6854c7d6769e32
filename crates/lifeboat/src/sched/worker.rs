//! The worker: the thread that owns the rings and carries out what the core wants done.
//!
//! It takes several actions under one lock and carries them out in their order with the lock released. All signals of a
//! scheduler that has not been lost are its own, so those of one queue come in their order.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::Timestamp;
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{self, Action, ErrorScope, JobId, QueueId, RingIndex};
use lifeboat_sync::deadline::later;
use lifeboat_sync::lint::MutexGuard;

use super::resets::Trouble;
use super::shared::{Shared, State, Worker};
use super::waits::Held;
use super::{AtRest, Rings};
use crate::fence::Unsignalled;
use crate::panics::{caught, contained};
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

/// A job to be given to its ring.
struct Run<J> {
    id: JobId,
    ring: RingIndex,
    job: Arc<J>,
    seqno: Seqno,
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

pub(super) struct Runner<'a, R: Rings> {
    pub(super) shared: &'a Shared<R::Job>,
    /// `None` at the end of its life.
    rings: Option<R>,
    /// Signals in hand. Given before anything else that is in hand: a job that is run may stall at a register, and nobody
    /// but this thread can give what it has taken. Never grows (SCHED-3).
    signals: Vec<(Unsignalled, Result<(), FenceError>)>,
    /// What else is in hand. Never grows either.
    steps: Vec<Step<R::Job>>,
    /// What has been carried out of it that the core does not know. Never grows either.
    given: Vec<Given>,
    /// For a reset of the device. As long as there are rings.
    pub(super) numbers: Vec<Seqno>,
    /// When the driver wants to look again.
    look_at: Option<Timestamp>,
    /// The rings are asked for nothing more.
    given_up: bool,
}

pub(super) type Guard<'a, J> = MutexGuard<'a, State<J>>;

impl<'a, R: Rings> Runner<'a, R> {
    pub(super) fn new(shared: &'a Shared<R::Job>, rings: R) -> Self {
        let numbers = Vec::with_capacity(shared.rings.into());
        let (signals, steps) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let given = Vec::with_capacity(BATCH);
        Self { shared, rings: Some(rings), signals, steps, given, numbers, look_at: None, given_up: false }
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

    /// The end of its life.
    fn finish(&mut self, state: &mut Guard<'_, R::Job>) {
        let shared = self.shared;
        let at_rest = shared.carry_out(state, || self.quiesce());
        if at_rest == AtRest::Yes {
            state.core.hardware_gone();
        }
        while self.carry_out(state) {}
        shared.end_worker(state);
    }

    /// Takes what there is to do, up to a limit, and does it. `false` if there was nothing.
    fn carry_out(&mut self, state: &mut Guard<'_, R::Job>) -> bool {
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
    fn take(&mut self, state: &mut State<R::Job>) -> Option<Trouble<R::Job>> {
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
                Step::GiveUp => self.give_up(),
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

    fn run(&mut self, run: Run<R::Job>) {
        let Run { id, ring, job, seqno } = run;
        let result = self.ask("running a job", |rings| {
            let error = rings.run(ring, &job, seqno).err()?;
            let scope = rings.scope(&error);
            tracing::warn!(ring = ring.0, %error, ?scope, "a job could not be given to the device");
            Some(scope)
        });
        match result {
            Some(None) => self.given(ring, seqno),
            // At once: the number of a job that is given to the ring after it would complete it.
            Some(Some(ErrorScope::Job)) => self.shared.event(|core| core.start_failed(id)),
            Some(Some(ErrorScope::Device)) => self.give_up(),
            None => {}
        }
        // Perhaps the last of it.
        contained("a job's drop", || drop(job));
    }

    /// Asks a firmware to let go of a queue. Given up, it is asked nothing, and the loss is its answer.
    fn let_go(&mut self, let_go: LetGo<R::Job>) {
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

    fn give_up(&mut self) {
        if !self.given_up {
            self.ask("giving up a device", Rings::give_up);
            self.given_up = true;
        }
    }

    fn quiesce(&mut self) -> AtRest {
        let at_rest = self.contain("bringing a device to rest", |runner| runner.rings.as_mut().map(Rings::quiesce));
        self.contain("dropping the rings", |runner| drop(runner.rings.take()));
        at_rest.flatten().unwrap_or(AtRest::NotYet)
    }

    /// Asks something of the rings, unless they are given up.
    pub(super) fn ask<T>(&mut self, what: &str, f: impl FnOnce(&mut R) -> T) -> Option<T> {
        if self.given_up {
            return None;
        }
        self.contain(what, |runner| runner.rings.as_mut().map(f)).flatten()
    }

    /// A driver's panic ends the device, not the duty to signal: what state the rings are in is no longer known.
    fn contain<T>(&mut self, what: &str, f: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let result = caught(what, || f(self));
        if result.is_none() && !self.given_up {
            self.given_up = true;
            contained("giving up a device", || {
                self.rings.as_mut().map(Rings::give_up);
            });
        }
        result
    }

    /// Waits for an event, or until the driver wants to look, or a job is overdue.
    fn idle(&mut self, state: &mut Guard<'_, R::Job>) {
        let shared = self.shared;
        shared.quiet(state);
        // Work often comes in quick succession. Bounded: a device without work costs nothing.
        MutexGuard::unlocked(state, || spin::briefly(|| shared.rung()));
        if state.fed || shared.rung() {
            return;
        }
        let job = if self.given_up { None } else { state.core.next_deadline() };
        let look = if self.given_up { None } else { self.look_at };
        state.worker_sleeps = true;
        if let Some(due) = job.into_iter().chain(look).min() {
            let deadline = later(shared.epoch, due.since_beginning());
            shared.work.wait_until(state, deadline);
        } else {
            shared.work.wait(state);
        }
        state.worker_sleeps = false;
    }

    /// Lets the driver look, if it wants to by now or was nudged.
    fn look(&mut self, state: &mut Guard<'_, R::Job>, now: Timestamp) -> bool {
        let due = self.look_at.is_some_and(|at| at <= now);
        if self.given_up || !(due || state.nudged) {
            return false;
        }
        state.nudged = false;
        let shared = self.shared;
        let next = shared.carry_out(state, || self.ask("looking at a device", Rings::look)).flatten();
        self.look_at = next.map(|at| Timestamp::new(at.saturating_duration_since(shared.epoch)));
        true
    }

    /// If a job seems overdue, asks the rings how far they are, and then the core. `false` if none does. The clock was read
    /// before the rings are asked: what is overdue by it was so when they answered.
    fn judge(&mut self, state: &mut Guard<'_, R::Job>, now: Timestamp) -> bool {
        if self.given_up {
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
impl<R: Rings> Drop for Runner<'_, R> {
    fn drop(&mut self) {
        if let Some(rings) = self.rings.as_mut().filter(|_| primitive::thread::panicking()) {
            self.shared.end_worker(&mut self.shared.state.lock());
            tracing::error!("a scheduler's worker panicked");
            contained("giving up a device", || rings.give_up());
            self.shared.lose(FenceError::Lost, false);
        }
    }
}
