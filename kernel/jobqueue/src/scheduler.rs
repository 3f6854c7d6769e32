// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The scheduler's shell: a lock around the core. Holds no policy.
//!
//! Events lock the core and feed it; [`crate::worker`] drains its actions. Signals are carried out
//! under the lock, which a kernel fence's signal allows: it never blocks. So once the core is lost and
//! drained, every fence has signalled, whatever the worker is doing. Everything else is carried out
//! with the lock released.

use core::time::Duration;

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
    workqueue::{new_delayed_work, new_work, DelayedWork, Work},
};
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{
    self, Abort, Action, Began, ContextId, JobId, JobSpec, LetGo, Priority, QueueError, QueueId, Reservation,
    ResetStats, RingIndex, SubmitError,
};
use lifeboat_core::Timestamp;

use crate::clock::Clock;
use crate::glue::{disable, disable_delayed, Fence, Origin, OwnedQueue, Unsignalled};
use crate::hardware::{Hardware, Ledger};
use crate::heap::{self, Heap, Held, Released};
use crate::options::Options;
use crate::wait::Tell;

type Core<H> = sched::Scheduler<Heap<H>>;

/// Numbers of the work items, which do what the modules of their names say.
pub(crate) const WORKER: u64 = 0;
pub(crate) const TICK: u64 = 1;
pub(crate) const RELEASES: u64 = 2;

/// The number of the next scheduler.
static NUMBERS: Atomic<u64> = Atomic::new(1);

/// Moment of the next tick while none is on its way.
pub(crate) const NEVER: u64 = u64::MAX;

/// The scheduler of one device. It outlives the device; see [`Scheduler::detach`].
#[pin_data]
pub struct Scheduler<H: Hardware> {
    #[pin]
    state: SpinLock<Core<H>>,
    clock: Clock,
    /// Of all schedulers of this module, from 1.
    number: u64,
    rings: u8,
    ledger: Arc<H::Ledger>,
    pub(crate) queue: Arc<OwnedQueue>,
    /// Refers back to the device, from [`Scheduler::attach`] to [`Scheduler::detach`].
    #[pin]
    hardware: SpinLock<Option<Arc<H>>>,
    /// When the tick on its way comes; see `tick`.
    pub(crate) next_tick: Atomic<u64>,
    #[pin]
    pub(crate) worker_work: Work<Self, WORKER>,
    #[pin]
    pub(crate) tick_work: DelayedWork<Self, TICK>,
    #[pin]
    pub(crate) released: SpinLock<Released<H>>,
    #[pin]
    pub(crate) releases_work: Work<Self, RELEASES>,
}

/// A task that is carried out with the lock released.
pub(crate) enum Task<H: Hardware> {
    /// Drop it.
    Release(KBox<Held<H>>),
    /// Write it to its ring, then call [`Scheduler::started`] or [`Scheduler::start_failed`].
    Run { id: JobId, job: Arc<H::Job>, ring: RingIndex, seqno: Seqno },
    /// Find out whether the ring has begun its [suspect](Scheduler::suspect) and how far it is, have it
    /// give that up ([`Scheduler::begin_abort`]) if it can, call [`Scheduler::begin_reset`], and if that
    /// gives a number, reset it, let it prove itself, and call [`Scheduler::reset_done`].
    Reset(RingIndex),
    /// The same for all rings and the whole device: [`Scheduler::begin_device_reset`],
    /// [`Scheduler::device_reset_done`].
    ResetDevice,
    /// Have the firmware of the ring let go of the queue, then call [`Scheduler::let_go_answered`].
    LetGo { queue: QueueId, kept: Arc<H::Job>, ring: RingIndex, last_look: bool },
    /// Lose the device.
    GiveUp,
}

impl<H: Hardware> Scheduler<H> {
    /// A scheduler without a device, whose work items run on `queue`.
    ///
    /// # Errors
    /// ENOMEM; EINVAL if there are more rings than can be counted.
    pub fn new(options: &Options<'_>, ledger: Arc<H::Ledger>, queue: Arc<OwnedQueue>) -> Result<Arc<Self>> {
        let rings = u8::try_from(options.rings.len())?;
        Arc::pin_init(
            try_pin_init!(Self {
                state <- new_spinlock!(heap::core(options)?, "lifeboat::scheduler"),
                clock: Clock::start(),
                number: NUMBERS.fetch_add(1, Relaxed),
                rings,
                ledger,
                queue,
                hardware <- new_spinlock!(None, "lifeboat::hardware"),
                next_tick: Atomic::new(NEVER),
                worker_work <- new_work!("lifeboat::worker"),
                tick_work <- new_delayed_work!("lifeboat::tick"),
                released <- new_spinlock!(Released::NONE, "lifeboat::released"),
                releases_work <- new_work!("lifeboat::releases"),
            }),
            GFP_KERNEL,
        )
    }

    /// From here on jobs run, on this device, which is kept until [`Scheduler::detach`].
    pub fn attach(self: &Arc<Self>, hardware: Arc<H>) {
        let before = self.hardware.lock().replace(hardware);
        drop(before);
        self.kick();
    }

    /// The device is left alone, for good: when this returns nothing of it is being called, and will
    /// be. Waits for what is being called. Jobs can still be submitted; see [`Scheduler::lose`].
    pub fn detach(self: &Arc<Self>) {
        disable_delayed::<Self, TICK>(self);
        disable::<Self, WORKER>(self);
        disable::<Self, RELEASES>(self);
        self.drop_released();
        let hardware = self.hardware.lock().take();
        drop(hardware);
    }

    /// Has the worker look whether there is something to do.
    pub fn kick(self: &Arc<Self>) {
        // An error only says that it is on its way already, or that there is no device any more.
        let _ = self.queue.enqueue::<_, WORKER>(self.clone());
    }

    /// Opens a context that is banned at its `guilty_limit`-th reset (SCHED-7). `None` if there are as
    /// many as there may be.
    pub fn open_context(&self, guilty_limit: u32) -> Option<ContextId> {
        self.state.lock().open_context(guilty_limit)
    }

    /// Opens a queue of a context on a ring.
    ///
    /// # Errors
    /// What the core says.
    pub fn open_queue(&self, context: ContextId, ring: u8, priority: Priority) -> Result<QueueId, QueueError> {
        self.state.lock().open_queue_of(context, RingIndex(ring), priority)
    }

    /// The user of a context is gone: its queues are closed, and what has not been given to a ring is
    /// cancelled.
    pub fn close_context(self: &Arc<Self>, context: ContextId, queues: impl IntoIterator<Item = QueueId>) {
        let is_over = self.feed(|core| {
            queues.into_iter().for_each(|queue| core.kill_queue(queue));
            core.close_context(context);
        });
        if is_over {
            self.drop_released();
        }
    }

    /// What resets a context has seen; `None` if it was closed.
    pub fn reset_stats(&self, context: ContextId) -> Option<ResetStats> {
        self.state.lock().reset_stats(context)
    }

    /// A ring has completed all jobs up to a number.
    pub fn hw_done(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.hw_done(RingIndex(ring), seqno, now));
    }

    /// A ring has completed one job, whatever became of those before it.
    pub fn hw_done_one(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.hw_done_one(RingIndex(ring), seqno, now));
    }

    /// A ring has given up one job, and reads nothing of it any more.
    pub fn aborted(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.aborted(RingIndex(ring), seqno, now));
    }

    /// A ring has stopped with a fault; `seqno` was read together with that.
    pub fn fault(&self, ring: u8, seqno: Seqno) {
        self.event(|core, now| core.faulted(RingIndex(ring), seqno, now));
    }

    /// From now on the firmware of the queue's ring holds something of the queue, which `kept` keeps
    /// alive until the firmware has [let go](Hardware::let_go) (SCHED-12). Called before the firmware is
    /// told of the queue.
    ///
    /// # Errors
    /// ENOMEM; ENODEV if the queue has been closed, the firmware holds something of it already, or the
    /// device is lost. In each case the firmware must not be told.
    pub fn firmware_holds(&self, queue: QueueId, kept: Arc<H::Job>) -> Result {
        let mut held = Held::new()?;
        held.job = Some(kept);
        let answer = self.state.lock().firmware_holds(queue, held);
        // The lock is released by now: what was refused is dropped here.
        answer.map_err(|_| ENODEV)
    }

    /// A firmware holds nothing of a queue any more (SCHED-12).
    pub fn firmware_let_go(&self, queue: QueueId) {
        self.event(|core, now| core.firmware_let_go(queue, now));
    }

    /// Nothing more is given to rings.
    pub fn stop(&self) {
        self.event(|core, _| core.stop());
    }

    /// No more work is accepted; every fence is owed ENODEV. See [`Scheduler::deliver`].
    pub fn lose(&self) {
        self.event(|core, _| core.lose(FenceError::Lost));
    }

    /// Nothing that the hardware was given can be read by it any more. After [`Scheduler::lose`].
    pub fn hardware_gone(&self) {
        self.event(|core, _| core.hardware_gone());
    }

    /// After [`Scheduler::lose`]: carries out all that is owed. A lost core owes only signals and
    /// releases.
    pub fn deliver(&self) {
        while let Some(task) = self.next() {
            drop(task);
        }
    }

    /// Jobs that have not been given back. None after the cut. O(jobs).
    pub fn jobs_left(&self) -> usize {
        self.state.lock().job_count()
    }

    /// The number that a ring is to count from after a reset of the device.
    pub(crate) fn number_after_reset(&self, ring: RingIndex) -> Option<Seqno> {
        self.state.lock().number_after_reset(ring)
    }

    /// A place for a job.
    pub(crate) fn reserve(&self, queue: QueueId, spec: JobSpec) -> Result<Reservation, SubmitError> {
        self.state.lock().reserve(queue, spec)
    }

    /// A reserved job waits for a fence: if that is of another job here, that one has its turn at the
    /// reserved one's priority, if that is higher.
    pub(crate) fn lend(&self, place: &Reservation, fence: &Fence) {
        if let Some(Origin { scheduler, job }) = fence.origin() {
            if scheduler == self.number {
                self.state.lock().lend_to(place, job);
            }
        }
    }

    pub(crate) fn cancel(&self, place: Reservation) {
        self.state.lock().cancel(place);
    }

    pub(crate) fn commit(self: &Arc<Self>, place: Reservation, fence: Unsignalled, held: KBox<Held<H>>) {
        fence.set_origin(Origin { scheduler: self.number, job: place.job() });
        self.feed(|core| core.commit(place, fence, held));
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
    pub(crate) fn suspect(&self, ring: RingIndex) -> Option<(JobId, Arc<H::Job>)> {
        let core = self.state.lock();
        let suspect = core.suspect(ring)?;
        Some((suspect, core.payload(suspect)?.job.clone()?))
    }

    /// Whether its ring has begun it.
    pub(crate) fn suspect_began(&self, suspect: JobId, began: Began) {
        self.event(|core, _| core.suspect_began(suspect, began));
    }

    /// The job that a ring is to give up before it is reset, if any, and its number.
    pub(crate) fn begin_abort(&self, ring: RingIndex) -> Option<(Arc<H::Job>, Seqno)> {
        let mut core = self.state.lock();
        let (suspect, seqno) = core.begin_abort(ring)?;
        Some((core.payload(suspect)?.job.clone()?, seqno))
    }

    /// What the ring says to that. `true` if it need not be reset now.
    pub(crate) fn abort_answered(&self, ring: RingIndex, answer: Abort) -> bool {
        self.event(|core, now| core.abort_answered(ring, answer, now))
    }

    /// What the driver says when a firmware is to let go of a queue.
    pub(crate) fn let_go_answered(&self, queue: QueueId, answer: LetGo) {
        self.event(|core, now| core.let_go_answered(queue, answer, now));
    }

    /// Whether a ring must be reset still, and the number that it is to count from then.
    pub(crate) fn begin_reset(&self, ring: RingIndex) -> Option<Seqno> {
        self.event(|core, _| core.begin_reset(ring))
    }

    pub(crate) fn reset_done(&self, ring: RingIndex, succeeded: bool) {
        self.event(|core, _| core.reset_done(ring, succeeded));
    }

    /// Whether the device must be reset still.
    pub(crate) fn begin_device_reset(&self) -> bool {
        self.event(|core, _| core.begin_device_reset())
    }

    pub(crate) fn device_reset_done(&self, succeeded: bool) {
        self.event(|core, _| core.device_reset_done(succeeded));
    }

    /// Time has passed.
    pub(crate) fn judge(&self) {
        self.event(|core, now| core.tick(now));
    }

    /// Signals what is to be signalled and says what is to be done next. `None` until the next event.
    pub(crate) fn next(&self) -> Option<Task<H>> {
        let mut core = self.state.lock();
        loop {
            match core.poll_action()? {
                Action::Signal { fence, result } => {
                    self.ledger.ended(result);
                    fence.signal(result);
                }
                Action::Release { payload } => return Some(Task::Release(payload)),
                Action::Run { job: id, ring, seqno, .. } => {
                    if let Some(job) = core.payload(id).and_then(|held| held.job.clone()) {
                        return Some(Task::Run { id, job, ring, seqno });
                    }
                }
                Action::ResetRing { ring, .. } => return Some(Task::Reset(ring)),
                Action::LetGo { queue, ring, last_look } => {
                    if let Some(kept) = core.held(queue).and_then(|held| held.job.clone()) {
                        return Some(Task::LetGo { queue, kept, ring, last_look });
                    }
                }
                Action::ResetDevice => return Some(Task::ResetDevice),
                Action::GiveUp => return Some(Task::GiveUp),
            }
        }
    }

    /// When the next job is overdue, or `None` while nothing runs.
    pub(crate) fn due(&self) -> Option<Duration> {
        Some(self.state.lock().next_deadline()?.since_beginning())
    }

    pub(crate) fn rings(&self) -> impl Iterator<Item = RingIndex> {
        (0..self.rings).map(RingIndex)
    }

    /// The time that the scheduler counts.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The device, while there is one.
    pub(crate) fn hardware(&self) -> Option<Arc<H>> {
        self.hardware.lock().clone()
    }

    /// Feeds what the worker may have to act upon. Once the core is lost, fences signal here: the
    /// worker may have ended. What jobs kept alive is not dropped here, since a submission holds locks
    /// that such a drop may take. Tells whether the core is lost; then those that hold no lock drop it
    /// ([`Scheduler::drop_released`]). A submission need not: the end of the device waits for it.
    fn feed<T>(self: &Arc<Self>, feed: impl FnOnce(&mut Core<H>) -> T) -> bool {
        let is_over = self.event(|core, _| {
            feed(core);
            core.is_over()
        });
        if !is_over {
            self.kick();
            return false;
        }
        while let Some(task) = self.next() {
            if let Task::Release(held) = task {
                self.release_soon(held);
            }
        }
        true
    }

    /// Looks at the core, which does not change meanwhile.
    pub(crate) fn with_core<T>(&self, look: impl FnOnce(&Core<H>) -> T) -> T {
        look(&self.state.lock())
    }

    fn event<T>(&self, feed: impl FnOnce(&mut Core<H>, Timestamp) -> T) -> T {
        let mut core = self.state.lock();
        // The clock is read under the lock, so that the core's time does not run backwards.
        let now = self.clock.now();
        feed(&mut core, now)
    }
}

impl<H: Hardware> Tell for Scheduler<H> {
    fn dependency_done(self: &Arc<Self>, job: JobId, outcome: Result<(), FenceError>) -> bool {
        self.feed(|core| core.dependency_done(job, outcome))
    }

    fn drop_released(&self) {
        Scheduler::drop_released(self);
    }

    fn queue(&self) -> &OwnedQueue {
        &self.queue
    }
}
