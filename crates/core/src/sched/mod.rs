//! The job scheduler: queues of jobs in, work for rings out, and an end for every job whatever
//! happens.
//!
//! A shell feeds events and drains [`Action`]s:
//!
//! | event | call |
//! |---|---|
//! | a user submits | [`Scheduler::reserve`], [`Scheduler::wait_for`], then [`Scheduler::commit`] |
//! | the thread that has committed a job asks whether to run it | [`Scheduler::run_now`] |
//! | a fence a job waits for has signalled | [`Scheduler::dependency_done`] |
//! | the hardware has a job, or could not be given it | [`Scheduler::started`], [`Scheduler::start_failed`] |
//! | a ring reports progress | [`Scheduler::hw_done`], or [`Scheduler::hw_done_one`] where jobs complete out of order |
//! | a ring stopped with a fault | [`Scheduler::faulted`] |
//! | time has passed | [`Scheduler::tick`] |
//! | a job that seems to hang moves, or never began | [`Scheduler::still_running`], [`Scheduler::suspect_began`] |
//! | a ring is to give up one job, and has | [`Scheduler::begin_abort`], [`Scheduler::abort_answered`], [`Scheduler::aborted`] |
//! | a reset is about to begin | [`Scheduler::begin_reset`], [`Scheduler::begin_device_reset`] |
//! | a reset has been carried out | [`Scheduler::reset_done`], [`Scheduler::device_reset_done`] |
//! | a user wants other turns, or another ring | [`Scheduler::set_priority`], [`Scheduler::move_queue`] |
//! | a user has gone | [`Scheduler::kill_queue`], [`Scheduler::close_context`] |
//! | a firmware will hold something of a queue | [`Scheduler::firmware_holds`] |
//! | it was asked to let go, and has | [`Scheduler::let_go_answered`], [`Scheduler::firmware_let_go`] |
//! | work must rest for a while | [`Scheduler::stop`], [`Scheduler::start`] |
//! | the device is gone, or given back | [`Scheduler::lose`] or [`Scheduler::tear_down`], later [`Scheduler::hardware_gone`] |
//!
//! What has not ended can be looked at ([`Scheduler::on_ring`], [`Scheduler::waiting`]).
//!
//! # The life of a job
//!
//! ```text
//! reserve → Reserved ─commit→ Queued ─Action::Run→ Running ─hw_done→ Finished ─Action::Signal→ Done ─Action::Release→ (free)
//!                                │                    ├─reset: guilty, innocent─→ Finished ─Action::Signal→ Done
//!                                │                    └─lose─→ Finished ─Action::Signal→ Orphan ─hardware_gone→ Done
//!                                └─kill, lose, failed dependency─→ Finished
//! ```
//!
//! - A job carries two things: the signalling side of its fence, handed out once by
//!   [`Action::Signal`]; and its payload, whatever the hardware may still read, handed out once by
//!   [`Action::Release`]. The second comes only when the hardware is known to be done with it:
//!   completed, reset or gone (SCHED-2).
//! - Submission has two steps. `reserve` may fail; `commit` cannot, and neither allocates
//!   (SCHED-3). After [`Scheduler::lose`] a commit still succeeds, and its fence signals the reason
//!   at once.
//! - Jobs of one queue run in order, also on a ring that [completes out of
//!   order](RingSlot::unordered). A ring's time is shared by context, and queues of a context take
//!   turns; rings take turns, too, and no priority is starved (SCHED-9). A job waits only for jobs
//!   that were committed before it, so that no circle of waits can be closed (SCHED-8); see
//!   [`Scheduler::wait_for`]. It lends them its priority.
//! - A context has a share of what there is ([`Shares`]), so that none locks out the others
//!   (SCHED-9).
//! - A job must finish within its [limit](JobSpec::time_limit), or else [`Limits::job_timeout`],
//!   counted from when the hardware has it and it is the oldest on its ring; else the ring is
//!   reset. That job is guilty; the others run again if declared restartable, else fail as
//!   innocents (FENCE-4, SCHED-6). On an [unordered](RingSlot::unordered) ring all jobs count as
//!   begun, and each is judged from when the hardware has it (SCHED-11).
//! - A ring that can abort a job is asked for that before it is reset (`begin_abort`).
//! - A job that cannot be given to the hardware fails alone (SCHED-10).
//! - Resets are counted for the context of each job that failed by them. One that was guilty too
//!   often is refused, and what it has waiting is canceled (SCHED-7).
//! - A firmware that holds something of a queue is asked before that is released, and nobody waits
//!   inside (SCHED-12); see [`Scheduler::firmware_holds`].
//! - If a ring's reset fails, or is in vain, the whole device is reset: what was on its other rings
//!   is lost through no fault of theirs. If that fails too, [`Action::GiveUp`] asks the shell to
//!   lose the device: the one path of [`crate::unplug`] (SCHED-4).
//!
//! # Examples
//! The whole life of one job, with storage that takes no heap (`examples/one_job.rs`):
//!
//! ```
#![cfg_attr(any(doc, doctest), doc = include_str!("../../examples/one_job.rs"))]
//! ```
//!
//! # Cost
//!
//! Every job is in exactly one intrusive list, so each event costs O(1) per job it moves, and no job
//! or queue is ever searched for.

mod aborts;
mod actions;
mod contexts;
mod event_slots;
mod events;
mod halt;
mod heap;
mod let_go;
mod list;
mod loans;
mod out_of_order;
mod queues;
mod resets;
mod scope;
mod shares;
mod slots;
mod storage;
mod submit;
mod suspicion;
#[cfg(test)]
mod tests;
mod turns;
mod unfinished;

use core::time::Duration;

use crate::fence::FenceError;
use crate::{Id, Timestamp};

pub use aborts::Abort;
pub use actions::Action;
pub use contexts::{Context, ContextSlot, ResetStats, ResetStatus};
pub use event_slots::{EventSlot, MAX_EVENT_SLOTS};
pub use let_go::{Firmware, LetGo};
pub use loans::WaitSlot;
pub use queues::QueueError;
pub use scope::ErrorScope;
pub use shares::Shares;
pub use slots::{Job, JobSlot, Priority, Queue, QueueSlot, RingSlot, PRIORITIES};
pub use storage::{Array, Sizes, Storage, Stores};
pub use submit::{IfDependencyFails, JobSpec, Reservation, SubmitError};
pub use suspicion::Began;
pub use turns::TurnSlot;
pub use unfinished::{RingNumbers, Unfinished};

use event_slots::EventSlots;
use list::List;
use shares::Pool;
use slots::DeviceState;

/// A job of a [`Scheduler`].
pub type JobId = Id<Job>;
/// A queue of a [`Scheduler`].
pub type QueueId = Id<Queue>;

/// A context of a [`Scheduler`].
pub type ContextId = Id<Context>;

/// Number of a ring, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingIndex(pub u8);

/// What the scheduler allows.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(PartialEq, Eq, Hash))]
pub struct Limits {
    /// Credits of each ring that has no [number of its own](RingSlot::with_credits): how much of
    /// jobs' stated cost may be on the ring at once. At least 1.
    pub ring_credits: u32,
    /// How long the oldest job of a ring, or any job of an [unordered](RingSlot::unordered) one,
    /// may take before the ring is reset, if the job has no [limit of its
    /// own](JobSpec::time_limit).
    pub job_timeout: Duration,
    /// How many times as long again it may take if the driver sees it move; see
    /// [`Scheduler::still_running`].
    pub extensions: u32,
    /// Through how many event slots a firmware reports, 1 to [`MAX_EVENT_SLOTS`], if it has such;
    /// see [`EventSlot`].
    pub event_slots: Option<u8>,
    /// How long a firmware may take to let go of a queue before it is reset; see
    /// [`Scheduler::firmware_holds`].
    pub let_go: Duration,
    /// What is reset then.
    pub firmware: Firmware,
}

impl Limits {
    /// Credits of each ring and the time for a job; no extensions, and no event slots. A firmware,
    /// one of each ring, may take as long as a job.
    pub const fn new(ring_credits: u32, job_timeout: Duration) -> Self {
        let (extensions, event_slots, firmware) = (0, None, Firmware::OfEachRing);
        Self { ring_credits, job_timeout, extensions, event_slots, let_go: job_timeout, firmware }
    }
}

/// The scheduler of one device, on the caller's [`Storage`]. See the [module documentation](self).
#[derive(Debug)]
// Only tests copy a scheduler, to explore from one state in several ways: a copy would signal the
// fences again.
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Scheduler<S: Storage> {
    jobs: S::Slots<JobSlot<S::Fence, S::Payload>>,
    queues: S::Slots<QueueSlot<S::Payload>>,
    rings: S::Slots<RingSlot>,
    contexts: S::Slots<ContextSlot>,
    turns: S::Slots<TurnSlot>,
    waits: S::Slots<WaitSlot>,
    limits: Limits,
    free_jobs: List,
    free_queues: List,
    free_contexts: List,
    free_waits: List,
    job_places: Pool,
    queue_places: Pool,
    /// The ring that is served next, unless it has nothing to do; or beyond the last.
    next_ring: usize,
    /// Resets that succeeded.
    resets: u64,
    event_slots: EventSlots,
    /// Ended jobs whose fence has not been handed out.
    finished: List,
    /// Signalled jobs that the hardware no longer reads.
    done: List,
    /// Queues that a firmware has let go of, and whose payload has not been handed out.
    let_go: List,
    device: DeviceState,
    /// Between `stop` and `start`.
    stopped: bool,
    /// Set once, by `lose`.
    lost: Option<FenceError>,
    give_up: bool,
}

impl<S: Storage> Scheduler<S> {
    /// Builds a scheduler on the caller's storage: as many jobs, queues, rings and contexts as
    /// there are slots, and a context may have all of them. O(slots).
    pub fn new(stores: Stores<S>, limits: Limits) -> Self {
        Self::with_shares(stores, limits, Shares::ALL)
    }

    /// The same, where each context has a share. What is set aside for contexts is among the slots
    /// for jobs and queues. O(slots).
    pub fn with_shares(stores: Stores<S>, limits: Limits, shares: Shares) -> Self {
        let Stores { mut jobs, mut queues, mut rings, mut contexts, turns, mut waits } = stores;
        let free_jobs = list::all(jobs.as_mut());
        let free_queues = list::all(queues.as_mut());
        let free_contexts = list::all(contexts.as_mut());
        let free_waits = list::all(waits.as_mut());
        for ring in rings.as_mut() {
            let most = if ring.most == 0 { limits.ring_credits.max(1) } else { ring.most };
            *ring = RingSlot { most, credits: most, unordered: ring.unordered, ..RingSlot::default() };
        }
        let count = contexts.as_ref().len();
        let job_places = Pool::new(jobs.as_ref().len(), count, shares.jobs, shares.own_jobs);
        let queue_places = Pool::new(queues.as_ref().len(), count, shares.queues, shares.own_queues);
        Self {
            jobs,
            queues,
            rings,
            contexts,
            turns,
            waits,
            limits,
            free_jobs,
            free_queues,
            free_contexts,
            free_waits,
            job_places,
            queue_places,
            next_ring: 0,
            resets: 0,
            event_slots: EventSlots::new(limits.event_slots),
            finished: List::EMPTY,
            done: List::EMPTY,
            let_go: List::EMPTY,
            device: DeviceState::Running,
            stopped: false,
            lost: None,
            give_up: false,
        }
    }

    /// Opens a queue of no context on a ring. O(1).
    ///
    /// # Errors
    /// [`QueueError::NoSuchRing`], or [`QueueError::Full`] if all places are taken that are not set
    /// aside for contexts.
    pub fn open_queue(&mut self, ring: RingIndex, priority: Priority) -> Result<QueueId, QueueError> {
        self.open_queue_held(None, ring, priority)
    }

    /// The same, for a context that has so many.
    fn open_queue_held(
        &mut self,
        held: Option<u32>,
        ring: RingIndex,
        priority: Priority,
    ) -> Result<QueueId, QueueError> {
        self.rings.as_ref().get(usize::from(ring.0)).ok_or(QueueError::NoSuchRing)?;
        self.queue_places.admits(held)?;
        let index = self.free_queues.pop_front(self.queues.as_mut()).ok_or(QueueError::Full)?;
        self.queue_places.take(held);
        let slot = &mut self.queues.as_mut()[index as usize];
        slot.open(ring, priority);
        Ok(Id::new(index, slot.generation))
    }

    /// What a job keeps alive, for the shell that carries out [`Action::Run`]. `None` if the handle
    /// is stale. O(1).
    pub fn payload(&self, job: JobId) -> Option<&S::Payload> {
        let slot = self.jobs.as_ref().get(job.index as usize)?;
        if slot.generation == job.generation {
            slot.payload.as_ref()
        } else {
            None
        }
    }

    /// When [`Scheduler::tick`] should be called next, or `None` while nothing runs and no firmware
    /// is waited for. O(rings).
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let due = |(ring, slot): (usize, &RingSlot)| slot.deadline.into_iter().chain(self.let_go_due(ring)).min();
        self.rings.as_ref().iter().enumerate().filter_map(due).min()
    }

    /// Jobs in whatever state, reserved ones included. O(jobs); for reports and tests.
    pub fn job_count(&self) -> usize {
        self.jobs.as_ref().iter().filter(|job| job.state != slots::JobState::Free).count()
    }

    /// Whether there is no way back: [`Scheduler::lose`] or [`Scheduler::tear_down`] was called.
    /// Then only signals and releases are left to do. O(1).
    pub fn is_over(&self) -> bool {
        self.lost.is_some()
    }

    /// What rings say means nothing while the device is being reset, or when its reset was cut
    /// short.
    fn numbers_are_void(&self) -> bool {
        matches!(self.device, DeviceState::Resetting | DeviceState::Failed)
    }

    fn queue_mut(&mut self, queue: QueueId) -> Option<&mut QueueSlot<S::Payload>> {
        let slot = self.queues.as_mut().get_mut(queue.index as usize)?;
        (slot.generation == queue.generation && slot.in_use).then_some(slot)
    }

    fn job_mut(&mut self, job: JobId) -> Option<&mut JobSlot<S::Fence, S::Payload>> {
        let slot = self.jobs.as_mut().get_mut(job.index as usize)?;
        (slot.generation == job.generation).then_some(slot)
    }
}
