//! The scheduler's shell: a lock around the core, and a worker thread that carries out its actions.
//!
//! It holds no policy. Events lock the core, feed it and wake the worker. Actions are carried out with the lock
//! released, so that a fence callback may submit, and an interrupt never waits for hardware. Signals and releases can
//! be carried out by any thread; what touches hardware is the worker's alone, which owns the rings.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::Timestamp;
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{
    Action, ContextId, ContextSlot, JobId, JobSlot, JobSpec, Limits, Priority, QueueId, QueueSlot, ResetStats,
    RingIndex, RingSlot, Scheduler, SubmitError,
};
use lifeboat_core::unplug::Loss;
use lifeboat_lb1::{DriverError, RingWriter};
use lifeboat_sync::deadline::{deadline_after, later};
use lifeboat_sync::lint::{Condvar, Mutex, MutexGuard};

use crate::display::Display;
use crate::fence::Unsignalled;
use crate::hardware::Mapped;
use crate::link::Link;
use crate::locks;
use crate::reset::{RESET_LIMIT, wait_for_reset};
use crate::submit::Job;

type Payload = Arc<Job>;
type Jobs = Vec<JobSlot<Unsignalled, Payload>>;
type Core = Scheduler<Unsignalled, Payload, Jobs, Vec<QueueSlot>, Vec<RingSlot>, Vec<ContextSlot>>;

/// Jobs of one device in all states. More than its rings can hold, so that clients can run ahead.
const JOBS: usize = 4096;
/// Queues of one device. A closed queue keeps its place until its last job is done.
const QUEUES: usize = 1024;
/// Contexts of one device. More than any hardware has: a closed one keeps its place until its last queue is gone.
const CONTEXTS: usize = 512;

pub(crate) struct Engine {
    state: Mutex<State>,
    /// Something has changed that the worker, or who waits for it, may want to see.
    changed: Condvar,
    /// Resets that the jobs of one context may cause.
    guilty_limit: u32,
    /// Where the core's time begins.
    epoch: Instant,
}

struct State {
    core: Core,
    /// Actions that some thread is carrying out.
    in_hand: usize,
    /// Fences that signalled because the device was lost.
    lost: usize,
    /// When to ask about a flip whose interrupt has not come.
    flip_due: Option<Instant>,
    worker: Worker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worker {
    Running,
    AskedToStop,
    Stopped,
}

/// A ring as its worker holds it.
pub(crate) struct Ring {
    pub(crate) number: u8,
    pub(crate) writer: RingWriter,
    pub(crate) memory: Mapped,
}

/// Tells when the worker's life ends, also by a panic: then the device is given up.
struct Stopped<'a> {
    engine: &'a Engine,
    link: &'a Link,
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.engine.state.lock().worker = Worker::Stopped;
        self.engine.changed.notify_all();
        if std::thread::panicking() {
            self.link.lost(Loss::Crashed);
        }
    }
}

impl Engine {
    /// An engine for `rings` rings, which bans a context at its `guilty_limit`-th reset.
    pub(crate) fn new(rings: u8, limits: Limits, guilty_limit: u32) -> Self {
        let jobs = std::iter::repeat_with(JobSlot::default).take(JOBS).collect();
        let queues = std::iter::repeat_with(QueueSlot::default).take(QUEUES).collect();
        let rings = std::iter::repeat_with(RingSlot::default).take(rings.into()).collect();
        let contexts = std::iter::repeat_with(ContextSlot::default).take(CONTEXTS).collect();
        let core = Scheduler::with_contexts(jobs, queues, rings, contexts, limits);
        let state = State { core, in_hand: 0, lost: 0, flip_due: None, worker: Worker::Running };
        Self { state: Mutex::new(&locks::ENGINE, state), changed: Condvar::new(), guilty_limit, epoch: Instant::now() }
    }

    pub(crate) fn open_context(&self) -> Option<ContextId> {
        self.state.lock().core.open_context(self.guilty_limit)
    }

    pub(crate) fn close_context(&self, context: ContextId) {
        self.state.lock().core.close_context(context);
    }

    pub(crate) fn reset_stats(&self, context: ContextId) -> Option<ResetStats> {
        self.state.lock().core.reset_stats(context)
    }

    pub(crate) fn open_queue(&self, context: ContextId, ring: u8, priority: Priority) -> Option<QueueId> {
        self.state.lock().core.open_queue_of(context, RingIndex(ring), priority)
    }

    pub(crate) fn set_priority(&self, queue: QueueId, priority: Priority) {
        // Stale only if the queue was killed, and then it has no next job.
        let _ = self.event(|core, _| core.set_priority(queue, priority));
    }

    /// The ring must be one of the device's.
    pub(crate) fn move_queue(&self, queue: QueueId, ring: u8) {
        let _ = self.event(|core, _| core.move_queue(queue, RingIndex(ring)));
    }

    pub(crate) fn kill_queue(&self, queue: QueueId) {
        self.event(|core, _| core.kill_queue(queue));
    }

    /// Reserves, and commits what `build` makes. `build` runs only if there is a place, and cannot fail.
    pub(crate) fn submit(
        &self,
        queue: QueueId,
        spec: JobSpec,
        build: impl FnOnce() -> (Unsignalled, Payload),
    ) -> Result<JobId, SubmitError> {
        let reservation = self.state.lock().core.reserve(queue, spec)?;
        let (fence, job) = build();
        let job = self.event(|core, _| {
            // Numbers and places in the queue are given under one lock, so that they have one order.
            fence.number();
            core.commit(reservation, fence, job)
        });
        if self.state.lock().worker == Worker::Stopped {
            // Too late for the worker, and perhaps for the unplug: the fence signals here.
            self.deliver(Duration::ZERO);
        }
        Ok(job)
    }

    pub(crate) fn dependency_done(&self, job: JobId, outcome: Result<(), FenceError>) {
        self.event(|core, _| core.dependency_done(job, outcome));
    }

    pub(crate) fn hw_done(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.hw_done(RingIndex(ring), seqno, now));
    }

    /// A ring has stopped with a fault; `seqno` was read together with that.
    pub(crate) fn fault(&self, ring: u8, seqno: Seqno) {
        self.event(|core, _| core.fault(RingIndex(ring), seqno));
    }

    /// A flip is on its way: the worker asks about it at `due`.
    pub(crate) fn watch_flip(&self, due: Instant) {
        self.state.lock().flip_due = Some(due);
        self.changed.notify_all();
    }

    /// No more work is accepted; every fence is owed `error`. See [`Engine::deliver`].
    pub(crate) fn stop(&self, error: FenceError) {
        self.event(|core, _| core.lose(error));
    }

    /// Nothing that the hardware was given can be read by it any more.
    pub(crate) fn hardware_gone(&self) {
        self.event(|core, _| core.hardware_gone());
    }

    /// After [`Engine::stop`]: carries out all that is owed, here and now, and waits for what other threads have in
    /// hand. `false` if one of them still had something in hand when `limit` had passed.
    pub(crate) fn deliver(&self, limit: Duration) -> bool {
        let deadline = deadline_after(limit);
        let mut state = self.state.lock();
        loop {
            let now = self.now();
            match state.core.poll_action(now) {
                Some(Action::Signal { fence, result }) => self.signal(&mut state, fence, result),
                Some(Action::Release { payload }) => self.carry_out(&mut state, || drop(payload)),
                // A stopped core asks for nothing else.
                Some(Action::Run { .. } | Action::ResetRing { .. } | Action::ResetDevice | Action::GiveUp) => {}
                None if state.in_hand == 0 => return true,
                None => {
                    if self.changed.wait_until(&mut state, deadline).timed_out() {
                        return false;
                    }
                }
            }
        }
    }

    /// How many fences have signalled because the device was lost.
    pub(crate) fn lost(&self) -> usize {
        self.state.lock().lost
    }

    /// Asks the worker to end and waits for it. `false` if it has not ended when `limit` has passed.
    pub(crate) fn stop_worker(&self, limit: Duration) -> bool {
        let deadline = deadline_after(limit);
        let mut state = self.state.lock();
        if state.worker == Worker::Running {
            state.worker = Worker::AskedToStop;
        }
        self.changed.notify_all();
        while state.worker != Worker::Stopped {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return state.worker == Worker::Stopped;
            }
        }
        true
    }

    /// The worker's life. Owns the rings; ends when asked to.
    pub(crate) fn work(&self, link: &Link, display: &Display, mut rings: Vec<Ring>) {
        let _stopped = Stopped { engine: self, link };
        let mut state = self.state.lock();
        while state.worker == Worker::Running {
            let now = self.now();
            match state.core.poll_action(now) {
                Some(action) => self.perform(&mut state, action, link, &mut rings),
                None => self.idle(&mut state, link, display, &rings),
            }
        }
    }

    fn perform(
        &self,
        state: &mut MutexGuard<'_, State>,
        action: Action<Unsignalled, Payload>,
        link: &Link,
        rings: &mut [Ring],
    ) {
        match action {
            Action::Signal { fence, result } => self.signal(state, fence, result),
            Action::Release { payload } => self.carry_out(state, || drop(payload)),
            Action::Run { job, ring, seqno, .. } => {
                let (Some(job), Some(ring)) = (state.core.payload(job).cloned(), rings.get_mut(usize::from(ring.0)))
                else {
                    return;
                };
                let number = ring.number;
                // The job goes in there: what it holds may be dropped with it, which is not for under the lock.
                let written = self.carry_out(state, move || run(link, ring, &job, seqno));
                if let Err(error) = written {
                    // A later job's number must not complete this one. A device that is gone is reported already.
                    tracing::warn!(ring = number, %error, "a job could not be given to the device");
                    self.carry_out(state, || link.lost(Loss::Crashed));
                }
            }
            Action::ResetRing { ring: index, seqno } => {
                let Some(ring) = rings.get_mut(usize::from(index.0)) else { return };
                let result = self.carry_out(state, || reset(link, ring, seqno));
                if let Err(error) = result {
                    tracing::warn!(ring = ring.number, %error, "ring reset failed");
                }
                state.core.reset_done(index, result.is_ok());
            }
            // Its address tables and its display cannot be restored yet.
            Action::ResetDevice => state.core.device_reset_done(false),
            Action::GiveUp => self.carry_out(state, || link.lost(Loss::Crashed)),
        }
    }

    fn signal(&self, state: &mut MutexGuard<'_, State>, fence: Unsignalled, result: Result<(), FenceError>) {
        state.lost += usize::from(result == Err(FenceError::Lost));
        self.carry_out(state, || fence.end(result));
    }

    /// Runs `f` with the lock released.
    fn carry_out<T>(&self, state: &mut MutexGuard<'_, State>, f: impl FnOnce() -> T) -> T {
        state.in_hand += 1;
        let result = MutexGuard::unlocked(state, || catch_unwind(AssertUnwindSafe(f)));
        state.in_hand -= 1;
        if state.in_hand == 0 {
            self.changed.notify_all();
        }
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Waits for an event, or until a job is overdue; then asks the rings how far they are before time is judged, so
    /// that a lost interrupt is no hang. The same for a flip.
    fn idle(&self, state: &mut MutexGuard<'_, State>, link: &Link, display: &Display, rings: &[Ring]) {
        let job = state.core.next_deadline().map(|deadline| later(self.epoch, deadline.since_beginning()));
        let Some(deadline) = job.into_iter().chain(state.flip_due).min() else {
            self.changed.wait(state);
            return;
        };
        if !self.changed.wait_until(state, deadline).timed_out() {
            return;
        }
        if state.flip_due.is_some_and(|due| due <= Instant::now()) {
            state.flip_due = None;
            let due = self.carry_out(state, || display.ask(link));
            // Unless another flip has been asked for meanwhile.
            state.flip_due = state.flip_due.or(due);
        }
        let progress = self.carry_out(state, || {
            rings.iter().map(|ring| link.registers(|lb1, _| lb1.seqno(ring.number))).collect::<Vec<_>>()
        });
        let now = self.now();
        for (ring, seqno) in rings.iter().zip(progress) {
            if let Ok(seqno) = seqno {
                state.core.hw_done(RingIndex(ring.number), seqno, now);
            }
        }
        state.core.tick(now);
    }

    fn event<T>(&self, feed: impl FnOnce(&mut Core, Timestamp) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.now();
        let result = feed(&mut state.core, now);
        drop(state);
        self.changed.notify_all();
        result
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.epoch.elapsed())
    }
}

/// Writes the job into its ring and rings the doorbell.
fn run(link: &Link, ring: &mut Ring, job: &Job, seqno: Seqno) -> Result<(), DriverError> {
    link.registers(|lb1, _| {
        let tail = ring.writer.write_job(&ring.memory, job.context.id, &job.commands, seqno)?;
        lb1.doorbell(ring.number, tail)
    })
}

/// Resets one ring and enables it again. Waits outside the sections, and stops early if the device is gone (GATE-9).
fn reset(link: &Link, ring: &mut Ring, seqno: Seqno) -> Result<(), DriverError> {
    let fault = link.registers(|lb1, _| lb1.ring_fault(ring.number))?;
    tracing::info!(ring = ring.number, ?fault, "resetting a ring");
    link.registers(|lb1, _| lb1.begin_ring_reset(ring.number))?;
    if !wait_for_reset(RESET_LIMIT, || link.registers(|lb1, _| lb1.ring_reset(ring.number)))? {
        return Err(DriverError::ResetFailed);
    }
    link.registers(|lb1, _| lb1.enable_ring(ring.number, &mut ring.writer, ring.memory.iova, seqno))
}
