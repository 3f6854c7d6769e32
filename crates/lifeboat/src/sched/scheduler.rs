//! The scheduler as its owner holds it, and the handle for what hardware reports.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{Priority, QueueId, RingIndex};
use lifeboat_sync::lint::{self, Mutex};
use thiserror::Error;

use super::seat::Seat;
use super::shared::{Core, SchedulerInner};
use super::worker::Runner;
use super::{Context, Options, OptionsError, Queue, QueueError, Rings};
use crate::fence::Callback;
use crate::ledger::{Counts, Ledger};
use crate::primitive::thread::{Builder, JoinHandle};
use crate::{Fence, locks};

/// Why a scheduler could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError<E> {
    /// An option is not accepted. Nothing has been touched.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// There is no memory for so many jobs, queues and contexts. Nothing has been touched.
    #[error("not enough memory for the scheduler; ask for fewer jobs, queues or contexts")]
    Memory,
    /// The rings could not be brought up.
    #[error(transparent)]
    Rings(E),
    /// There is no thread for the worker. The rings were [brought to rest](Rings::quiesce), and dropped.
    #[error("no thread for the scheduler's worker: {0}")]
    Thread(io::Error),
}

/// A scheduler and its worker. Dropped, it [loses](Scheduler::lose) its jobs as canceled, brings the hardware to rest and
/// ends, on the worker's thread: the drop waits for nothing, so it is allowed anywhere, also in a fence callback.
/// [`Scheduler::close`] waits.
pub struct Scheduler<J: Send + Sync + 'static> {
    shared: Arc<SchedulerInner<J>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What hardware reports, and the driver: for interrupt handlers. Cheap to clone. Holds neither the rings nor the
/// scheduler open; when that has ended, reports are ignored.
pub struct Events<J>(Arc<SchedulerInner<J>>);

impl<J: Send + Sync + 'static> Scheduler<J> {
    /// Opens a scheduler for the rings that `bring_up` makes. It is given the handle that their interrupt handler needs.
    ///
    /// # Errors
    /// Each [`OpenError`].
    pub fn open<R, E>(
        options: &Options,
        bring_up: impl FnOnce(&Events<J>) -> Result<R, E>,
    ) -> Result<Self, OpenError<E>>
    where
        R: Rings<Job = J>,
    {
        Self::open_counted(options, &Ledger::default(), bring_up)
    }

    /// The same, with its fences counted in a ledger.
    pub(crate) fn open_counted<R, E>(
        options: &Options,
        ledger: &Ledger,
        bring_up: impl FnOnce(&Events<J>) -> Result<R, E>,
    ) -> Result<Self, OpenError<E>>
    where
        R: Rings<Job = J>,
    {
        options.check()?;
        let shared = Arc::new(SchedulerInner::new(options, ledger.clone()).ok_or(OpenError::Memory)?);
        let rings = bring_up(&Events(shared.clone())).map_err(OpenError::Rings)?;
        // Not in the thread's closure alone: without a thread that is dropped, and the rings with it.
        let rings = Arc::new(Mutex::new(&locks::WORKER, Some(rings)));
        let (worker, its_rings) = (shared.clone(), rings.clone());
        let work = move || {
            let rings = its_rings.lock().take();
            if let Some(rings) = rings {
                Runner::new(&worker, Seat::new(rings)).work();
            }
        };
        let thread = match Builder::new().name(options.name.clone()).spawn(work) {
            Ok(thread) => thread,
            Err(error) => {
                let rings = rings.lock().take();
                if let Some(rings) = rings {
                    Runner::new(&shared, Seat::new(rings)).end();
                }
                return Err(OpenError::Thread(error));
            }
        };
        Ok(Self { shared, thread: Mutex::new(&locks::WORKER, Some(thread)) })
    }

    /// A handle for what hardware reports.
    pub fn events(&self) -> Events<J> {
        Events(self.shared.clone())
    }

    /// A context, or `None` if there is no place for another.
    pub fn context(&self) -> Option<Context<J>> {
        Context::open(&self.shared)
    }

    /// A queue of no context: the driver's own, without a share.
    ///
    /// # Errors
    /// [`QueueError::Full`] if there is no place for another, [`QueueError::NoSuchRing`].
    pub fn queue(&self, ring: RingIndex, priority: Priority) -> Result<Queue<J>, QueueError> {
        Queue::open(&self.shared, None, ring, priority)
    }

    /// No more work is accepted, and every fence signals `error`: the worker's doing, or that of
    /// [`Scheduler::deliver`]. Does not wait. There is no way back; the first reason counts.
    pub fn lose(&self, error: FenceError) {
        self.shared.lose(error, false);
    }

    /// After [`Scheduler::lose`]: signals every fence that is owed, here and now. Waits for nobody, and drops no job.
    pub(crate) fn signal(&self) {
        self.shared.signal();
    }

    /// Where the worker is, if it has something in hand.
    pub(crate) fn doing(&self) -> Option<&'static Location<'static>> {
        self.shared.doing()
    }

    /// After [`Scheduler::lose`]: signals what is owed, here and now, and waits for what other threads have in hand.
    /// `false` if one of them still had something in hand when `limit` had passed, as a fence callback that blocks; or
    /// if the scheduler was not lost. What a scheduler's worker or another `deliver` calls, such as a fence callback or the
    /// drop of a job, cannot wait for its caller: it signals what is owed and gets `false` at once, and the caller goes
    /// on when that returns. That holds for all schedulers together, since they may wait for one another.
    ///
    /// So what jobs wait for ends although the worker is waiting for hardware that is no more.
    pub fn deliver(&self, limit: Duration) -> bool {
        self.shared.deliver(limit)
    }

    /// Ends the scheduler as a drop does, and waits for it: all fences have signalled, the rings are dropped. `false` if
    /// the worker has not ended when `limit` has passed, or at once if this is the worker's thread.
    pub fn close(&self, limit: Duration) -> bool {
        self.shared.lose(FenceError::Canceled, true);
        lint::might_block("waiting for a scheduler's worker to end");
        let ended = self.shared.worker_ended(limit);
        if ended {
            let thread = self.thread.lock().take();
            // Its own panics are contained and logged; nothing but its last statement is waited for.
            let _ = thread.map(JoinHandle::join);
        }
        ended
    }

    /// For rings that were [not yet](super::AtRest::NotYet) at rest when the worker ended: nothing that they were given
    /// can be read by the hardware any more. The jobs' memory is released by this thread.
    pub fn hardware_gone(&self) {
        self.shared.event(Core::hardware_gone);
        self.shared.deliver(Duration::ZERO);
    }

    /// How many fences have signalled that the device was lost.
    pub fn lost(&self) -> usize {
        self.shared.lost()
    }

    /// What exists of this scheduler: pending fences.
    pub fn counts(&self) -> Counts {
        self.shared.ledger.counts()
    }
}

impl<J: Send + Sync + 'static> Drop for Scheduler<J> {
    fn drop(&mut self) {
        self.shared.lose(FenceError::Canceled, true);
    }
}

impl<J: Send + Sync + 'static> fmt::Debug for Scheduler<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl<J> Events<J> {
    /// A ring has completed everything up to `seqno`. Old news, and numbers that were never issued, are ignored.
    pub fn hw_done(&self, ring: RingIndex, seqno: Seqno) {
        self.0.hw_done(ring, seqno);
    }

    /// A ring has completed the job with this number, whatever became of those before it. Numbers of no job on the ring
    /// are ignored, and so is a job behind an older one of its queue: jobs of a queue run in order. See
    /// [`Options::unordered`](super::Options::unordered).
    pub fn hw_done_one(&self, ring: RingIndex, seqno: Seqno) {
        let now = self.0.now();
        self.0.event(|core| core.hw_done_one(ring, seqno, now));
    }

    /// A ring has given up the job with this number, and reads nothing of it any more: the job fails as guilty. To be told
    /// before a number that is behind it.
    pub fn aborted(&self, ring: RingIndex, seqno: Seqno) {
        let now = self.0.now();
        self.0.event(|core| core.aborted(ring, seqno, now));
    }

    /// A firmware holds nothing any more of a queue that it was [asked](Rings::let_go) about. Ignored for any other.
    pub fn firmware_let_go(&self, queue: QueueId) {
        let now = self.0.now();
        self.0.event(|core| core.firmware_let_go(queue, now));
    }

    /// A ring has stopped with a fault; `seqno` was read together with that, and is what it has completed.
    pub fn fault(&self, ring: RingIndex, seqno: Seqno) {
        let now = self.0.now();
        self.0.event(|core| core.faulted(ring, seqno, now));
    }

    /// The driver found its device lost; as [`Scheduler::lose`].
    pub fn lose(&self, error: FenceError) {
        self.0.lose(error, false);
    }

    /// How many jobs the hardware has completed, as far as their fences have signalled.
    pub(crate) fn completed(&self) -> u64 {
        self.0.completed()
    }

    /// Looks at the core, under its lock: briefly, and without dropping what is somebody else's.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&Core<J>) -> T) -> T {
        self.0.inspect(look)
    }

    /// Has the worker [look](Rings::look).
    pub fn nudge(&self) {
        self.0.nudge();
    }
}

impl<J: Send + Sync + 'static> Events<J> {
    /// Has the worker [look](Rings::look) when a fence has signalled.
    pub fn nudge_after(&self, fence: &Fence) -> Callback {
        // A fence does not keep a scheduler: perhaps nobody ever signals it.
        let shared = Arc::downgrade(&self.0);
        fence.on_signal(move |_| {
            if let Some(shared) = shared.upgrade() {
                shared.nudge();
            }
        })
    }
}

impl<J> Clone for Events<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J> fmt::Debug for Events<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.0.name).finish()
    }
}
