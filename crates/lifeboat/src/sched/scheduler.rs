//! The scheduler as its owner holds it, and the handle for what hardware reports.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{Limits, Priority, RingIndex};
use lifeboat_sync::lint::{self, Mutex};
use thiserror::Error;

use super::shared::{Core, Shared};
use super::worker::Runner;
use super::{Context, Queue, Rings};
use crate::ledger::{Counts, Ledger};
use crate::primitive::thread::{Builder, JoinHandle};
use crate::{Fence, locks};

/// How large a scheduler is. All of it is allocated when it opens; what does not fit is refused.
#[derive(Debug, Clone)]
pub struct Options {
    /// What its thread and its fences are called by.
    pub name: String,
    /// Rings of the device. Default 1.
    pub rings: u8,
    /// Credits of each ring, and the time for a job. Default 256 credits and 2 s. Event slots are for shells of firmware
    /// that has such, and ignored here.
    pub limits: Limits,
    /// Resets that the jobs of one context may cause: at so many, the context is refused (SCHED-7). Default 10.
    pub guilty_limit: u32,
    /// Jobs in all states. More than the rings can hold, so that clients can run ahead. Default 4096.
    pub jobs: usize,
    /// Queues. A closed one keeps its place until its last job is done. Default 1024.
    pub queues: usize,
    /// Contexts. A closed one keeps its place until its last queue is gone. Default 512.
    pub contexts: usize,
}

impl Default for Options {
    fn default() -> Self {
        let limits = Limits::new(256, Duration::from_secs(2));
        Self {
            name: "scheduler".to_owned(),
            rings: 1,
            limits,
            guilty_limit: 10,
            jobs: 4096,
            queues: 1024,
            contexts: 512,
        }
    }
}

/// Why a scheduler could not be opened.
#[derive(Debug, Error)]
pub enum OpenError<E> {
    /// The rings could not be brought up.
    #[error(transparent)]
    Rings(E),
    /// There is no thread for the worker. The rings have been dropped without having been asked for anything.
    #[error("no thread for the scheduler's worker: {0}")]
    Thread(io::Error),
}

/// A scheduler and its worker. Dropped, it [loses](Scheduler::lose) its jobs as canceled, brings the hardware to rest and
/// ends, on the worker's thread: the drop waits for nothing, so it is allowed anywhere, also in a fence callback.
/// [`Scheduler::close`] waits.
pub struct Scheduler<J: Send + Sync + 'static> {
    shared: Arc<Shared<J>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What hardware reports, and the driver: for interrupt handlers. Cheap to clone. Holds neither the rings nor the
/// scheduler open; when that has ended, reports are ignored.
pub struct Events<J>(Arc<Shared<J>>);

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
        let shared = Arc::new(Shared::new(options, ledger.clone()));
        let rings = bring_up(&Events(shared.clone())).map_err(OpenError::Rings)?;
        let worker = shared.clone();
        let work = move || Runner::new(&worker, rings).work();
        let thread = Builder::new().name(options.name.clone()).spawn(work);
        let thread = thread.map_err(OpenError::Thread)?;
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

    /// A queue of no context, or `None` if there is no place for another or no such ring.
    pub fn queue(&self, ring: RingIndex, priority: Priority) -> Option<Queue<J>> {
        Queue::open(&self.shared, None, ring, priority)
    }

    /// No more work is accepted, and every fence signals `error`: the worker's doing, or that of
    /// [`Scheduler::deliver`]. Does not wait. There is no way back; the first reason counts.
    pub fn lose(&self, error: FenceError) {
        self.shared.lose(error, false);
    }

    /// After [`Scheduler::lose`]: signals what is owed, here and now, and waits for what other threads have in hand.
    /// `false` if one of them still had something in hand when `limit` had passed, as a fence callback that blocks; or
    /// if the scheduler was not lost. What the worker calls, such as a fence callback, cannot wait for the worker: it
    /// gets `false` at once, and the worker goes on when that returns.
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

    /// A ring has stopped with a fault; `seqno` was read together with that. To be reported after what it has completed.
    pub fn fault(&self, ring: RingIndex, seqno: Seqno) {
        self.0.event(|core| core.fault(ring, seqno));
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
    pub(crate) fn nudge_after(&self, fence: &Fence) {
        // A fence does not keep a scheduler: perhaps nobody ever signals it.
        let shared = Arc::downgrade(&self.0);
        fence.on_signal(move |_| {
            if let Some(shared) = shared.upgrade() {
                shared.nudge();
            }
        });
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
