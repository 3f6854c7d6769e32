//! What the worker, the users' handles and interrupt handlers share: the core in its lock.
//!
//! Events lock the core, feed it, and wake the worker if it sleeps. Actions are carried out with the lock released, so
//! that a fence callback may submit, and an interrupt never waits for hardware. Signals and releases can be carried out
//! by any thread; what touches hardware only by the thread that has the [seat](super::seat) at the rings.

use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use lifeboat_core::Timestamp;
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{self, Action, JobId, QueueId, RingIndex, RingSlot, Sizes, Storage, Stores};
use lifeboat_sync::deadline::deadline_after;
use lifeboat_sync::lint::{Condvar, Mutex, MutexGuard};

use super::Options;
use super::in_hand::{InHand, has_work_in_hand};
use super::seat::Seat;
use super::waits::Held;
use crate::fence::Unsignalled;
use crate::ledger::Ledger;
use crate::locks;
use crate::panics::contained;
use crate::primitive::atomic::AtomicBool;
use crate::primitive::thread::{self, ThreadId};

pub(crate) type Core<J> = sched::Scheduler<Heap<J>>;

/// Slots on the heap, allocated when the scheduler opens.
pub(crate) struct Heap<J>(PhantomData<J>);

impl<J> Storage for Heap<J> {
    type Fence = Unsignalled;
    type Payload = Held<J>;
    type Slots<T> = Vec<T>;

    fn slots<T: Default>(count: usize) -> Option<Vec<T>> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(count).ok()?;
        slots.resize_with(count, T::default);
        Some(slots)
    }
}

/// The number of the next scheduler of this process. Of the standard library also in a model: it orders nothing.
static NEXT_NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

pub(super) struct SchedulerInner<J> {
    /// What fences are called by, and where they are counted.
    pub(super) name: String,
    pub(super) ledger: Ledger,
    pub(super) rings: u8,
    /// A number that no other scheduler of the process has; never 0.
    pub(super) number: u64,
    /// Resets that the jobs of one context may cause.
    pub(super) guilty_limit: u32,
    /// See [`Options::run_by_submitter`].
    pub(super) run_by_submitter: bool,
    /// Where the core's time begins.
    pub(super) epoch: Instant,
    pub(super) state: Mutex<SchedulerState<J>>,
    /// Something was fed: for a worker that looks a little longer before it sleeps. Whether it may sleep is
    /// [`SchedulerState::fed`]; this one is rung after the lock is released, so that who hears it finds the lock free.
    pub(super) bell: AtomicBool,
    /// There is something for the worker. Notified only if it sleeps.
    pub(super) work: Condvar,
    /// Nothing is in hand any more, or the worker has ended. Notified only if somebody waits.
    settled: Condvar,
}

#[allow(clippy::struct_excessive_bools)] // facts that do not exclude each other
pub(super) struct SchedulerState<J> {
    pub(super) core: Core<J>,
    /// While the worker rests. `None`: the worker has it, or a thread that runs the job that it has submitted, or the
    /// rings have ended.
    pub(super) seat: Option<Seat<J>>,
    /// The worker has found it taken.
    pub(super) worker_stands: bool,
    /// When a worker that sleeps wakes by itself, if ever.
    pub(super) sleeps_until: Option<Timestamp>,
    /// Threads that are carrying out actions.
    in_hand: usize,
    /// Where the action was begun that was begun last and has not ended: for a report of what is waited for.
    doing: Option<&'static Location<'static>>,
    /// Fences that signalled because the device was lost.
    lost: usize,
    /// Fences that signalled because their jobs have completed.
    completed: u64,
    /// Something was fed since the worker last found nothing to do.
    pub(super) fed: bool,
    pub(super) worker: Worker,
    pub(super) worker_sleeps: bool,
    pub(super) worker_thread: Option<ThreadId>,
    /// Somebody wants the driver to look.
    pub(super) nudged: bool,
    /// Those who wait for `settled`.
    watchers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    Running,
    AskedToEnd,
    Ended,
}

impl<J> SchedulerInner<J> {
    /// `None` if there is no memory for it. The options have been checked.
    pub(super) fn new(options: &Options, ledger: Ledger) -> Option<Self> {
        let stores = stores(options)?;
        // Rings are not told of event slots: they would only hold jobs up.
        let limits = sched::Limits { event_slots: None, ..options.limits };
        let core = Core::with_shares(stores, limits, options.shares());
        let state = SchedulerState {
            core,
            seat: None,
            worker_stands: false,
            sleeps_until: None,
            in_hand: 0,
            doing: None,
            lost: 0,
            completed: 0,
            fed: false,
            worker: Worker::Running,
            worker_sleeps: false,
            worker_thread: None,
            // At the beginning, to know when it wants to look.
            nudged: true,
            watchers: 0,
        };
        Some(Self {
            name: options.name.clone(),
            ledger,
            rings: options.rings,
            // Relaxed: only that they differ matters.
            number: NEXT_NUMBER.fetch_add(1, Relaxed),
            guilty_limit: options.guilty_limit,
            run_by_submitter: options.run_by_submitter,
            epoch: Instant::now(),
            state: Mutex::new(&locks::ENGINE, state),
            bell: AtomicBool::new(false),
            work: Condvar::new(),
            settled: Condvar::new(),
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::new(self.epoch.elapsed())
    }

    /// Feeds the core, and wakes the worker.
    pub(super) fn event<T>(&self, feed: impl FnOnce(&mut Core<J>) -> T) -> T {
        let mut state = self.state.lock();
        let result = feed(&mut state.core);
        self.wake_worker(state);
        result
    }

    /// Tells the worker that something was fed, and releases the lock.
    pub(super) fn wake_worker(&self, mut state: MutexGuard<'_, SchedulerState<J>>) {
        state.fed = true;
        // Whoever comes next need not notify as well: this one is on its way.
        let sleeps = mem::take(&mut state.worker_sleeps);
        drop(state);
        self.bell.store(true, Release);
        if sleeps {
            self.work.notify_one();
        }
    }

    pub(super) fn nudge(&self) {
        let mut state = self.state.lock();
        state.nudged = true;
        self.wake_worker(state);
    }

    pub(super) fn hw_done(&self, ring: RingIndex, seqno: Seqno) {
        let now = self.now();
        self.event(|core| core.hw_done(ring, seqno, now));
    }

    pub(super) fn dependency_done(&self, job: JobId, outcome: Result<(), FenceError>) {
        self.event(|core| core.dependency_done(job, outcome));
    }

    /// No more work is accepted; every fence is owed `error`. With `end`, the worker ends when it has seen to that.
    pub(super) fn lose(&self, error: FenceError, end: bool) {
        let mut state = self.state.lock();
        if end && state.worker == Worker::Running {
            state.worker = Worker::AskedToEnd;
        }
        state.core.lose(error);
        self.fed(state);
    }

    /// See [`super::Queue::firmware_holds`].
    pub(super) fn firmware_holds(&self, queue: QueueId, held: Held<J>) -> Result<(), Held<J>> {
        self.state.lock().core.firmware_holds(queue, held)
    }

    /// What was fed may owe somebody a signal. If it is too late for the worker, this thread carries it out.
    pub(super) fn fed(&self, state: MutexGuard<'_, SchedulerState<J>>) {
        let too_late = state.worker == Worker::Ended;
        self.wake_worker(state);
        if too_late {
            self.deliver(Duration::ZERO);
        }
    }

    /// After the core was lost: signals all fences that are owed, here and now. Waits for nobody.
    pub(super) fn signal(&self) {
        let mut state = self.state.lock();
        if !state.core.is_over() {
            return;
        }
        while let Some(Action::Signal { fence, result }) = state.core.poll_signal() {
            state.count(result);
            self.carry_out(&mut state, || fence.end(result));
        }
    }

    /// After the core was lost: carries out all that is owed, here and now, and waits for what other threads have in
    /// hand. `false` if one of them still had something in hand when `limit` had passed. A thread that has something of
    /// a scheduler in hand itself, as in a fence callback, only signals, and gets `false` at once: what it would wait for
    /// may be its own, and the drop of one job does not nest in that of another.
    pub(super) fn deliver(&self, limit: Duration) -> bool {
        let deadline = deadline_after(limit);
        let nested = has_work_in_hand();
        let mut state = self.state.lock();
        loop {
            if !state.core.is_over() {
                return false;
            }
            match if nested { state.core.poll_signal() } else { state.core.poll_action() } {
                Some(Action::Signal { fence, result }) => {
                    state.count(result);
                    self.carry_out(&mut state, || fence.end(result));
                }
                Some(Action::Release { payload }) => {
                    self.carry_out(&mut state, || contained("a job's drop", || drop(payload)));
                }
                None if nested => return false,
                None if state.in_hand == 0 => return true,
                None if limit.is_zero() => return false,
                None if !self.settles(&mut state, deadline) => return false,
                // Something has settled. A lost core asks for nothing else.
                None
                | Some(
                    Action::Run { .. }
                    | Action::ResetRing { .. }
                    | Action::ResetDevice
                    | Action::GiveUp
                    | Action::LetGo { .. },
                ) => {}
            }
        }
    }

    /// Waits for the worker's end. `false` if it has not come when `limit` has passed, or at once if this is the worker's
    /// thread, also when its work has ended: it still has its thread-locals to drop.
    pub(super) fn worker_ended(&self, limit: Duration) -> bool {
        let deadline = deadline_after(limit);
        let mut state = self.state.lock();
        if state.on_worker() {
            return false;
        }
        while state.worker != Worker::Ended {
            if !self.settles(&mut state, deadline) {
                return state.worker == Worker::Ended;
            }
        }
        true
    }

    /// Waits until something has settled; `false` if nothing has at `deadline`.
    fn settles(&self, state: &mut MutexGuard<'_, SchedulerState<J>>, deadline: Instant) -> bool {
        state.watchers += 1;
        let settled = !self.settled.wait_until(state, deadline).timed_out();
        state.watchers -= 1;
        settled
    }

    /// Runs `f` with the lock released, as something that this thread has in hand.
    #[track_caller]
    pub(super) fn carry_out<T>(&self, state: &mut MutexGuard<'_, SchedulerState<J>>, f: impl FnOnce() -> T) -> T {
        state.in_hand += 1;
        let here = Location::caller();
        let before = state.doing.replace(here);
        let result = MutexGuard::unlocked(state, || {
            let _in_hand = InHand::begin();
            catch_unwind(AssertUnwindSafe(f))
        });
        state.in_hand -= 1;
        // Another thread may have begun something since, and what was `before` may have ended.
        state.doing = match state.doing {
            _ if state.in_hand == 0 => None,
            Some(place) if std::ptr::eq(place, here) => before,
            other => other,
        };
        if state.in_hand == 0 {
            self.notify_watchers(state);
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// From now on whoever feeds the core carries out what comes of it.
    pub(super) fn end_worker(&self, state: &mut SchedulerState<J>) {
        state.worker = Worker::Ended;
        self.notify_watchers(state);
    }

    fn notify_watchers(&self, state: &SchedulerState<J>) {
        if state.watchers > 0 {
            self.settled.notify_all();
        }
    }

    /// Whether something was fed since [`SchedulerInner::quiet`], or just before.
    pub(super) fn rung(&self) -> bool {
        self.bell.load(Acquire)
    }

    /// The core has nothing to do.
    pub(super) fn quiet(&self, state: &mut SchedulerState<J>) {
        state.fed = false;
        self.bell.store(false, Release);
    }

    /// Where a thread is that has something in hand; the worker, if the caller has nothing in hand.
    pub(super) fn doing(&self) -> Option<&'static Location<'static>> {
        self.state.lock().doing
    }

    pub(super) fn lost(&self) -> usize {
        self.state.lock().lost
    }

    pub(super) fn completed(&self) -> u64 {
        self.state.lock().completed
    }

    /// Looks at the core, and changes nothing.
    pub(super) fn inspect<T>(&self, look: impl FnOnce(&Core<J>) -> T) -> T {
        look(&self.state.lock().core)
    }
}

/// Slots for so much, or `None` if there is no memory for them.
fn stores<J>(options: &Options) -> Option<Stores<Heap<J>>> {
    let mut stores: Stores<Heap<J>> = Stores::new(Sizes {
        jobs: options.job_places(),
        queues: options.queue_places(),
        rings: options.rings.into(),
        contexts: options.contexts,
    })?;
    for (ring, credits) in stores.rings.iter_mut().zip(&options.ring_credits) {
        *ring = RingSlot::with_credits(*credits);
    }
    for (ring, _) in stores.rings.iter_mut().zip(&options.unordered).filter(|(_, unordered)| **unordered) {
        *ring = mem::take(ring).unordered();
    }
    Some(stores)
}

impl<J> SchedulerState<J> {
    /// A fence is about to signal.
    pub(super) fn count(&mut self, result: Result<(), FenceError>) {
        self.lost += usize::from(result == Err(FenceError::Lost));
        self.completed += u64::from(result.is_ok());
    }

    /// Whether this thread is the worker, which cannot wait for itself.
    fn on_worker(&self) -> bool {
        self.worker_thread.is_some_and(|worker| worker == thread::current().id())
    }
}

impl<J> Drop for SchedulerInner<J> {
    /// All handles are gone, and the worker. If nobody has said that the hardware is done with the jobs it was given,
    /// their memory stays (SCHED-2).
    fn drop(&mut self) {
        let core = &mut self.state.get_mut().core;
        let left = core.job_count() + core.held_count();
        if left > 0 {
            tracing::error!(left, name = self.name, "nobody said that the hardware is at rest; its jobs' memory stays");
            if let Some(none) = Stores::new(Sizes { jobs: 0, queues: 0, rings: 0, contexts: 0 }) {
                let none = Core::new(none, sched::Limits::new(1, Duration::ZERO));
                mem::forget(mem::replace(core, none));
            }
        }
    }
}
