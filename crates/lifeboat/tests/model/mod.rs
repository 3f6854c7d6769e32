//! Hardware that does what a test says, and a witness of what the scheduler does to it. For threads and for models: it
//! waits for nothing, and calls the scheduler with none of its own locks held.
#![allow(dead_code)] // each test uses its part
#![allow(clippy::struct_excessive_bools)] // mistakes are independent
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
#[cfg(not(shuttle))]
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lifeboat::core::fence::{FenceError, Seqno};
use lifeboat::sched::{AtRest, ErrorScope, Events, NewJob, OpenError, Options, Queue, RingIndex, Rings, Scheduler};
use lifeboat::{Fence, Module, Priority, Unsignalled, WaitError};
#[cfg(shuttle)]
use shuttle::sync::{Condvar, Mutex, MutexGuard};

/// What a job keeps alive. Dropped twice or while the hardware reads it, that is a mistake.
pub(crate) struct Job {
    number: usize,
    hardware: Arc<Hardware>,
}

/// What the device does with jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each completes when it is given.
    AtOnce,
    /// [`Hardware::complete`] completes them; what is left stops when the device is brought to rest.
    ByHand,
    /// The first ring is by hand, the others are at once.
    FirstByHand,
}

/// The device, as the test has it. It holds what the scheduler's payloads refer to, never the other way round.
pub(crate) struct Hardware {
    state: Mutex<ModelState>,
    /// A job or the rings are gone.
    gone: Condvar,
}

type AtLook = Box<dyn FnOnce(&Events<Job>) + Send>;

#[derive(Default)]
struct ModelState {
    /// Jobs that it reads, oldest first, with what reports each.
    reading: VecDeque<(usize, RingIndex, Seqno)>,
    made: usize,
    dropped: Vec<usize>,
    ran: Vec<usize>,
    last_run: Option<Instant>,
    /// The number that each ring was given last.
    written: Vec<(RingIndex, Seqno)>,
    resets: usize,
    device_resets: usize,
    looks: usize,
    brought_up: bool,
    given_up: bool,
    quiesced: bool,
    rings_dropped: bool,
    /// What the scheduler did wrong. Kept and not panicked over: the worker would contain that.
    mistakes: Vec<&'static str>,
    /// What the next calls do.
    plan: Plan,
    /// Runs at a quiesce, for tests that want to be there.
    at_quiesce: Option<Box<dyn FnOnce() + Send>>,
    /// The same, when the driver is to look at an overdue job.
    at_look: Option<AtLook>,
}

/// Mistakes and oddities, for one call each unless it says otherwise.
#[derive(Default, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) run_fails: bool,
    /// For all calls: an error of `run` concerns the job alone.
    pub(crate) errors_are_of_jobs: bool,
    pub(crate) run_panics: bool,
    pub(crate) reset_fails: bool,
    pub(crate) device_reset_fails: bool,
    /// For all jobs.
    pub(crate) drops_panic: bool,
    /// For all calls: jobs that are overdue are seen to move.
    pub(crate) moves: bool,
    /// For all calls: somebody else brings it to rest.
    pub(crate) not_at_rest: bool,
    /// For all calls: giving it up loses the scheduler, as a driver without an unplug does.
    pub(crate) give_up_loses: bool,
    pub(crate) look_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken on purpose")
    }
}

/// The rings, as the worker has them.
struct ModelRings {
    mode: Mode,
    events: Events<Job>,
    hardware: Arc<Hardware>,
}

impl Hardware {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), gone: Condvar::new() })
    }

    pub(crate) fn open(self: &Arc<Self>, mode: Mode, options: &Options) -> Scheduler<Job> {
        self.try_open(mode, options).unwrap()
    }

    pub(crate) fn try_open(
        self: &Arc<Self>,
        mode: Mode,
        options: &Options,
    ) -> Result<Scheduler<Job>, OpenError<Broken>> {
        Scheduler::open(options, |events| {
            self.state().brought_up = true;
            Ok(ModelRings { mode, events: events.clone(), hardware: self.clone() })
        })
    }

    pub(crate) fn brought_up(&self) -> bool {
        self.state().brought_up
    }

    pub(crate) fn job(self: &Arc<Self>) -> Arc<Job> {
        let mut state = self.state();
        state.made += 1;
        Arc::new(Job { number: state.made - 1, hardware: self.clone() })
    }

    pub(crate) fn new_job(self: &Arc<Self>) -> NewJob<'static, Job> {
        NewJob::new(self.job())
    }

    /// Completes the oldest job on any ring, if there is one, and reports it.
    pub(crate) fn complete(&self, events: &Events<Job>) -> bool {
        let done = self.state().reading.pop_front();
        let Some((_, ring, seqno)) = done else { return false };
        events.hw_done(ring, seqno);
        true
    }

    /// The same, of one ring.
    pub(crate) fn complete_on(&self, events: &Events<Job>, ring: RingIndex) -> bool {
        let mut state = self.state();
        let Some(at) = state.reading.iter().position(|(_, on, _)| *on == ring) else { return false };
        let done = state.reading.remove(at);
        drop(state);
        done.map(|(_, ring, seqno)| events.hw_done(ring, seqno)).is_some()
    }

    /// The first ring stops with a fault in the job that it executes, if it does any.
    pub(crate) fn fault(&self, events: &Events<Job>) {
        let ring = RingIndex(0);
        let Some(seqno) = self.before_oldest(ring) else { return };
        events.fault(ring, seqno);
    }

    /// Completes the oldest job without telling anybody.
    pub(crate) fn complete_silently(&self) {
        self.state().reading.pop_front();
    }

    pub(crate) fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.state().plan);
    }

    pub(crate) fn at_quiesce(&self, f: impl FnOnce() + Send + 'static) {
        self.state().at_quiesce = Some(Box::new(f));
    }

    pub(crate) fn at_look(&self, f: impl FnOnce(&Events<Job>) + Send + 'static) {
        self.state().at_look = Some(Box::new(f));
    }

    /// Nothing is read any more, whatever it was.
    pub(crate) fn switch_off(&self) {
        self.state().reading.clear();
    }

    pub(crate) fn reading(&self) -> usize {
        self.state().reading.len()
    }

    pub(crate) fn dropped(&self) -> usize {
        self.state().dropped.len()
    }

    /// The numbers of the jobs, in the order in which they were run.
    pub(crate) fn ran(&self) -> Vec<usize> {
        self.state().ran.clone()
    }

    /// When the last one was.
    pub(crate) fn last_run(&self) -> Option<Instant> {
        self.state().last_run
    }

    pub(crate) fn resets(&self) -> usize {
        self.state().resets
    }

    pub(crate) fn device_resets(&self) -> usize {
        self.state().device_resets
    }

    pub(crate) fn looks(&self) -> usize {
        self.state().looks
    }

    pub(crate) fn given_up(&self) -> bool {
        self.state().given_up
    }

    pub(crate) fn quiesced(&self) -> bool {
        self.state().quiesced
    }

    /// Every job that was made is gone, and so are the rings.
    pub(crate) fn assert_nothing_left(&self) {
        let state = self.state();
        assert_eq!(state.mistakes, [""; 0]);
        assert!(state.rings_dropped, "the rings are still there");
        assert_eq!(state.dropped.len(), state.made, "jobs that were made, and those that are gone");
    }

    /// Waits until nothing is left; in a model, which finds those who wait for ever.
    pub(crate) fn wait_until_nothing_left(&self) {
        let mut state = self.state();
        while !(state.rings_dropped && state.dropped.len() == state.made) {
            state = self.gone.wait(state).unwrap();
        }
        drop(state);
        self.assert_nothing_left();
    }

    /// The number before that of the oldest job that a ring reads; if there is none, nothing is known here.
    fn before_oldest(&self, ring: RingIndex) -> Option<Seqno> {
        let state = self.state();
        let oldest = state.reading.iter().find(|(_, on, _)| *on == ring).map(|(_, _, seqno)| seqno.value());
        Seqno::from_register(oldest?.checked_sub(1)?)
    }

    fn state(&self) -> MutexGuard<'_, ModelState> {
        self.state.lock().unwrap()
    }
}

/// Longer than anything in these tests takes; a wait that reaches it has hung.
pub(crate) const LONG: Duration = Duration::from_secs(10);
pub(crate) const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

/// Waits until something is so.
pub(crate) fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < LONG, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A fence that the test signals.
pub(crate) fn promise() -> (Fence, Unsignalled) {
    Module::new().timeline("test", "promises").fence()
}

pub(crate) fn queue(scheduler: &Scheduler<Job>) -> Queue<Job> {
    scheduler.queue(RingIndex(0), Priority::Normal).unwrap()
}

impl Rings for ModelRings {
    type Job = Job;
    type Error = Broken;

    fn run(&mut self, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), Broken> {
        let mut state = self.hardware.state();
        if state.given_up || state.quiesced {
            state.mistakes.push("something is asked of rings that are no more");
        }
        if std::mem::take(&mut state.plan.run_fails) {
            return Err(Broken);
        }
        let panics = std::mem::take(&mut state.plan.run_panics);
        if panics {
            drop(state);
            panic!("on purpose");
        }
        if state.written.iter().any(|(on, last)| *on == ring && !seqno.is_after(*last)) {
            state.mistakes.push("a number was written after a later one");
        }
        state.written.retain(|(on, _)| *on != ring);
        state.written.push((ring, seqno));
        state.ran.push(job.number);
        state.last_run = Some(Instant::now());
        if self.mode == Mode::ByHand || (self.mode == Mode::FirstByHand && ring == RingIndex(0)) {
            state.reading.push_back((job.number, ring, seqno));
            return Ok(());
        }
        drop(state);
        self.events.hw_done(ring, seqno);
        Ok(())
    }

    fn scope(&self, _error: &Broken) -> ErrorScope {
        if self.hardware.state().plan.errors_are_of_jobs { ErrorScope::Job } else { ErrorScope::Device }
    }

    fn reset_ring(&mut self, ring: RingIndex, _seqno: Seqno) -> Result<(), Broken> {
        let mut state = self.hardware.state();
        state.resets += 1;
        if std::mem::take(&mut state.plan.reset_fails) {
            return Err(Broken);
        }
        state.reading.retain(|(_, on, _)| *on != ring);
        Ok(())
    }

    fn still_running(&mut self, _ring: RingIndex, job: &Arc<Job>) -> bool {
        let then = self.hardware.state().at_look.take();
        if let Some(then) = then {
            then(&self.events);
        }
        let state = self.hardware.state();
        state.plan.moves && state.reading.iter().any(|(number, ..)| *number == job.number)
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Broken> {
        let mut state = self.hardware.state();
        state.device_resets += 1;
        if std::mem::take(&mut state.plan.device_reset_fails) {
            return Err(Broken);
        }
        state.reading.clear();
        Ok(())
    }

    fn progress(&mut self, ring: RingIndex) -> Option<Seqno> {
        self.hardware.before_oldest(ring)
    }

    fn give_up(&mut self) {
        let mut state = self.hardware.state();
        if std::mem::replace(&mut state.given_up, true) {
            state.mistakes.push("given up twice");
        }
        let loses = state.plan.give_up_loses;
        drop(state);
        if loses {
            self.events.lose(FenceError::Lost);
        }
    }

    fn look(&mut self) -> Option<Instant> {
        let mut state = self.hardware.state();
        state.looks += 1;
        state.plan.look_at.filter(|at| *at > Instant::now())
    }

    fn quiesce(&mut self) -> AtRest {
        let then = self.hardware.state().at_quiesce.take();
        if let Some(then) = then {
            then();
        }
        let mut state = self.hardware.state();
        if std::mem::replace(&mut state.quiesced, true) {
            state.mistakes.push("brought to rest twice");
        }
        if state.plan.not_at_rest {
            return AtRest::NotYet;
        }
        state.reading.clear();
        AtRest::Yes
    }
}

impl Drop for ModelRings {
    fn drop(&mut self) {
        self.hardware.state().rings_dropped = true;
        self.hardware.gone.notify_all();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut state = self.hardware.state();
        if state.dropped.contains(&self.number) {
            state.mistakes.push("a job was dropped twice");
        }
        if state.reading.iter().any(|(number, ..)| *number == self.number) {
            state.mistakes.push("a job was dropped that the hardware still reads");
        }
        state.dropped.push(self.number);
        let panics = state.plan.drops_panic;
        drop(state);
        self.hardware.gone.notify_all();
        assert!(!panics, "on purpose");
    }
}
