// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The scheduler's shell: a lock around the core. Holds no policy.
//!
//! Events lock the core and feed it; [`crate::worker`] drains its actions. Signals are carried out under the lock: a
//! kernel fence's signal never blocks and never submits. So once the core is stopped and drained, every fence has
//! signalled, whatever the worker is doing. Everything else is carried out with the lock released.

use core::time::Duration;

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{
    self, Abort, Action, Began, ContextId, JobId, JobSpec, LetGo, Limits, Priority, QueueId, RingIndex, Scheduler, Stores,
};
use lifeboat_core::{errno::Errno, Timestamp};
use lifeboat_driver::Driver;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::fence::Unsignalled;
use crate::job::Job;
use crate::registration::Driven;
use crate::ring;
use crate::storage::Storage;
use crate::workspace::SLOTS;

type Core = Scheduler<Heap>;

/// Slots on the kernel's heap.
struct Heap;

impl sched::Storage for Heap {
    type Fence = Unsignalled;
    type Payload = Arc<Job>;
    type Slots<T> = Storage<T>;

    fn slots<T: Default>(count: usize) -> Option<Storage<T>> {
        Storage::new(count).ok()
    }
}

/// Jobs of one ring in all states: for each slot of its workspace the one in flight, and earlier
/// ones that have ended and that the hardware has not given back.
const JOBS: usize = 4 * SLOTS as usize;
/// Queues of one ring.
const QUEUES: usize = 1;
/// Contexts of one device: the driver's own jobs are held responsible together.
const CONTEXTS: usize = 1;

/// The scheduler of one device.
#[pin_data]
pub(crate) struct Engine {
    #[pin]
    core: SpinLock<Core>,
    clock: Clock,
    counters: Arc<Counters>,
}

/// A task that is carried out with the lock released.
pub(crate) enum Task {
    /// Drop it.
    Release(Arc<Job>),
    /// Write it to its ring, then call [`Engine::started`] or [`Engine::start_failed`].
    Run { id: JobId, job: Arc<Job>, ring: RingIndex, seqno: Seqno },
    /// Find out whether the ring has begun its [suspect](Engine::suspect) and how far it is, have it give
    /// that up ([`Engine::begin_abort`]) if it can, call [`Engine::begin_reset`], and if that gives a number, reset it, let it prove itself, and call
    /// [`Engine::reset_done`].
    Reset(RingIndex),
    /// The same for all rings and the whole device: [`Engine::begin_device_reset`], [`Engine::device_reset_done`].
    ResetDevice,
    /// Ask the firmware of the ring to let go of the queue, then call [`Engine::let_go_answered`]. It never comes yet: no
    /// queue of the driver's own jobs is told to a firmware.
    LetGo { queue: QueueId, kept: Arc<Job>, ring: RingIndex, last_look: bool },
    /// Lose the device.
    GiveUp,
}

impl Engine {
    pub(crate) fn new(
        info: &<Driven as Driver>::Info,
        job_timeout: Duration,
        counters: Arc<Counters>,
    ) -> impl PinInit<Self, Error> {
        let info = *info;
        // Each ring has its own credits.
        let limits = Limits { firmware: Driven::firmware(&info), ..Limits::new(1, job_timeout) };
        let rings = usize::from(Driven::rings(&info));
        try_pin_init!(Self {
            core <- new_spinlock!(
                Core::new(
                    Stores {
                        jobs: Storage::new(JOBS * rings)?,
                        queues: Storage::new(QUEUES * rings)?,
                        rings: ring::slots(&info)?,
                        contexts: Storage::new(CONTEXTS)?,
                        turns: Storage::new(CONTEXTS * rings)?,
                        // The driver's own jobs wait for none of its others.
                        waits: Storage::new(0)?,
                    },
                    limits
                ),
                "lifeboat::engine"
            ),
            clock: Clock::start(),
            counters,
        })
    }

    /// A context that is banned at its `guilty_limit`-th reset (SCHED-7).
    pub(crate) fn open_context(&self, guilty_limit: u32) -> Option<ContextId> {
        self.core.lock().open_context(guilty_limit)
    }

    pub(crate) fn open_queue(&self, context: ContextId, ring: u8) -> Option<QueueId> {
        self.core.lock().open_queue_of(context, RingIndex(ring), Priority::Normal).ok()
    }

    /// Hands a job over. From here on its fence will signal.
    pub(crate) fn submit(&self, queue: QueueId, fence: Unsignalled, job: Arc<Job>) -> Result<(), Errno> {
        let spec = JobSpec { cost: Driven::cost(job.work()), restartable: true, ..JobSpec::default() };
        let mut core = self.core.lock();
        let reservation = core.reserve(queue, spec).map_err(Errno::from)?;
        core.commit(reservation, fence, job);
        self.counters.jobs_submitted.add(1);
        Ok(())
    }

    pub(crate) fn hw_done(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.hw_done(RingIndex(ring), seqno, now));
    }

    /// A ring has completed one job, whatever became of those before it.
    pub(crate) fn hw_done_one(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.hw_done_one(RingIndex(ring), seqno, now));
    }

    /// A ring has given up one job, and reads nothing of it any more.
    pub(crate) fn aborted(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.aborted(RingIndex(ring), seqno, now));
    }

    /// The job that a ring is to give up before it is reset, if any, and its number.
    pub(crate) fn begin_abort(&self, ring: RingIndex) -> Option<(Arc<Job>, Seqno)> {
        let mut core = self.core.lock();
        let (suspect, seqno) = core.begin_abort(ring)?;
        Some((core.payload(suspect)?.clone(), seqno))
    }

    /// What the ring says to that. `true` if it need not be reset now.
    pub(crate) fn abort_answered(&self, ring: RingIndex, answer: Abort) -> bool {
        self.event(|core, now| core.abort_answered(ring, answer, now))
    }

    /// A firmware holds nothing of a queue any more.
    pub(crate) fn firmware_let_go(&self, queue: QueueId) {
        self.event(|core, now| core.firmware_let_go(queue, now));
    }

    /// What the driver says when a firmware is to let go of a queue.
    pub(crate) fn let_go_answered(&self, queue: QueueId, answer: LetGo) {
        self.event(|core, now| core.let_go_answered(queue, answer, now));
    }

    /// A ring has stopped with a fault; `seqno` was read together with that.
    pub(crate) fn fault(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.faulted(RingIndex(ring), seqno, now));
    }

    /// The hardware has all jobs of a ring up to this number.
    pub(crate) fn started(&self, ring: RingIndex, seqno: Seqno) {
        self.event(|core, now| core.started(ring, seqno, now));
    }

    /// A job could not be given to the hardware, for a reason of its own.
    pub(crate) fn start_failed(&self, job: JobId) {
        self.event(|core, _| core.start_failed(job));
    }

    /// The job that is guilty if a ring is reset.
    pub(crate) fn suspect(&self, ring: RingIndex) -> Option<(JobId, Arc<Job>)> {
        let core = self.core.lock();
        let suspect = core.suspect(ring)?;
        Some((suspect, core.payload(suspect)?.clone()))
    }

    /// Whether its ring has begun it.
    pub(crate) fn suspect_began(&self, suspect: JobId, began: Began) {
        self.event(|core, _| core.suspect_began(suspect, began));
    }

    /// Whether a ring must be reset still, and the number that it is to count from then.
    pub(crate) fn begin_reset(&self, ring: RingIndex) -> Option<Seqno> {
        self.event(|core, _| core.begin_reset(ring))
    }

    /// Whether the device must be reset still.
    pub(crate) fn begin_device_reset(&self) -> bool {
        self.event(|core, _| core.begin_device_reset())
    }

    pub(crate) fn tick(&self) {
        self.event(|core, now| core.tick(now));
    }

    pub(crate) fn reset_done(&self, ring: RingIndex, succeeded: bool) {
        self.event(|core, _| core.reset_done(ring, succeeded));
    }

    pub(crate) fn device_reset_done(&self, succeeded: bool) {
        self.event(|core, _| core.device_reset_done(succeeded));
    }

    /// The number that a ring is to count from after a reset of the device.
    pub(crate) fn number_after_reset(&self, ring: u8) -> Option<Seqno> {
        self.core.lock().number_after_reset(RingIndex(ring))
    }

    /// No more work is accepted; every fence is owed ENODEV. See [`Engine::deliver`].
    pub(crate) fn lose(&self) {
        self.event(|core, _| core.lose(FenceError::Lost));
    }

    /// Nothing more is given to rings.
    pub(crate) fn stop(&self) {
        self.event(|core, _| core.stop());
    }

    /// Nothing that the hardware was given can be read by it any more.
    pub(crate) fn hardware_gone(&self) {
        self.event(|core, _| core.hardware_gone());
    }

    /// After [`Engine::lose`]: carries out all that is owed. A lost core owes only signals and releases.
    pub(crate) fn deliver(&self) {
        while let Some(task) = self.next() {
            drop(task);
        }
    }

    /// Jobs that have not been given back. None after the cut.
    pub(crate) fn jobs_left(&self) -> usize {
        self.core.lock().job_count()
    }

    /// Signals what is to be signalled and says what is to be done next. `None` until the next event.
    pub(crate) fn next(&self) -> Option<Task> {
        let mut core = self.core.lock();
        loop {
            match core.poll_action()? {
                Action::Signal { fence, result } => {
                    self.counters.ended(result);
                    fence.signal(result);
                }
                Action::Release { payload } => return Some(Task::Release(payload)),
                Action::Run { job: id, ring, seqno, .. } => {
                    if let Some(job) = core.payload(id).cloned() {
                        return Some(Task::Run { id, job, ring, seqno });
                    }
                }
                Action::ResetRing { ring, .. } => return Some(Task::Reset(ring)),
                Action::LetGo { queue, ring, last_look } => {
                    if let Some(kept) = core.held(queue).cloned() {
                        return Some(Task::LetGo { queue, kept, ring, last_look });
                    }
                }
                Action::ResetDevice => return Some(Task::ResetDevice),
                Action::GiveUp => return Some(Task::GiveUp),
            }
        }
    }

    /// How long until a job is overdue, or `None` while nothing runs.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let deadline = self.core.lock().next_deadline()?.since_beginning();
        Some(deadline.saturating_sub(self.clock.elapsed()))
    }

    fn event<T>(&self, feed: impl FnOnce(&mut Core, Timestamp) -> T) -> T {
        let mut core = self.core.lock();
        // The clock is read under the lock, so that the core's time does not run backwards.
        let now = self.clock.now();
        feed(&mut core, now)
    }
}
