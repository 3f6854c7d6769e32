//! The job scheduler: queues of jobs in, work for rings out, and an end for every job whatever happens.
//!
//! A shell feeds events and drains [`Action`]s:
//!
//! | event | call |
//! |---|---|
//! | a user submits | [`Scheduler::reserve`], [`Scheduler::wait_for`], then [`Scheduler::commit`] |
//! | a fence a job waits for has signalled | [`Scheduler::dependency_done`] |
//! | a ring reports progress | [`Scheduler::hw_done`] |
//! | a ring stopped with a fault | [`Scheduler::fault`] |
//! | time has passed | [`Scheduler::tick`] |
//! | a job that seems to hang moves | [`Scheduler::still_running`] |
//! | a reset has been carried out | [`Scheduler::reset_done`], [`Scheduler::device_reset_done`] |
//! | a user wants other turns, or another ring | [`Scheduler::set_priority`], [`Scheduler::move_queue`] |
//! | a user has gone | [`Scheduler::kill_queue`], [`Scheduler::close_context`] |
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
//! - A job carries two things: `F`, the signalling side of its fence, handed out once by [`Action::Signal`]; and `P`,
//!   whatever the hardware may still read, handed out once by [`Action::Release`]. The second comes only when the
//!   hardware is known to be done with it: completed, reset or gone (SCHED-2).
//! - Submission has two steps. `reserve` may fail; `commit` cannot, and neither allocates (SCHED-3). After
//!   [`Scheduler::lose`] a commit still succeeds, and its fence signals the reason at once.
//! - Jobs of one queue run in order. Queues of one ring and priority take turns. A job waits only for jobs that were
//!   committed before it, so that no circle of waits can be closed (SCHED-8); see [`Scheduler::wait_for`].
//! - A job must finish within [`Limits::job_timeout`] of becoming the oldest on its ring, else the ring is reset. The
//!   oldest is guilty; the others run again if declared restartable, else fail as innocents (FENCE-4, SCHED-6).
//! - Resets are counted for the context of each job that failed by them. One that was guilty too often is refused, and
//!   what it has waiting is canceled (SCHED-7).
//! - If a ring's reset fails, the whole device is reset: what was on its other rings is lost through no fault of theirs.
//!   If that fails too, [`Action::GiveUp`] asks the shell to lose the device: the one path of [`crate::unplug`]
//!   (SCHED-4).
//!
//! Every job is in exactly one intrusive list, so each event costs O(1) per job it moves and no job is ever searched
//! for. Only a change of priority or ring, and the end of a queue that waits for its turn, search: among the queues that
//! wait beside it.

mod actions;
mod contexts;
mod event_slots;
mod events;
mod halt;
mod list;
mod queues;
mod resets;
mod slots;
mod submit;
mod suspicion;
#[cfg(test)]
mod tests;
mod unfinished;

use core::marker::PhantomData;
use core::time::Duration;

use crate::fence::FenceError;
use crate::{Id, Slots, Timestamp};

pub use actions::Action;
pub use contexts::{Context, ContextSlot, ResetStats, ResetStatus};
pub use event_slots::{EventSlot, MAX_EVENT_SLOTS};
pub use queues::QueueError;
pub use slots::{Job, JobSlot, Priority, Queue, QueueSlot, RingSlot, PRIORITIES};
pub use submit::{IfDependencyFails, JobSpec, Reservation, SubmitError};
pub use unfinished::{RingNumbers, Unfinished};

use event_slots::EventSlots;
use list::List;
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
    /// Credits of each ring: how much of jobs' stated cost may be on the ring at once. At least 1.
    pub ring_credits: u32,
    /// How long the oldest job of a ring may take before the ring is reset.
    pub job_timeout: Duration,
    /// How many times as long again it may take if the driver sees it move; see [`Scheduler::still_running`].
    pub extensions: u32,
    /// Through how many event slots a firmware reports, 1 to [`MAX_EVENT_SLOTS`], if it has such; see [`EventSlot`].
    pub event_slots: Option<u8>,
}

impl Limits {
    /// Credits of each ring and the time for a job; no extensions, and no event slots.
    pub const fn new(ring_credits: u32, job_timeout: Duration) -> Self {
        Self { ring_credits, job_timeout, extensions: 0, event_slots: None }
    }
}

/// The scheduler of one device. See the [module documentation](self).
///
/// `F` is the signalling side of a fence, `P` what a job keeps alive for the hardware. `J`, `Q`, `R` and `C` are
/// storage; without storage for contexts, queues belong to none, and nobody is refused for what they did.
#[derive(Debug)]
// Only tests copy a scheduler, to explore from one state in several ways: a copy would signal the fences again.
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct Scheduler<F, P, J, Q, R, C = [ContextSlot; 0]> {
    jobs: J,
    queues: Q,
    rings: R,
    contexts: C,
    limits: Limits,
    free_jobs: List,
    free_queues: List,
    free_contexts: List,
    /// Resets that succeeded.
    resets: u64,
    event_slots: EventSlots,
    /// Ended jobs whose fence has not been handed out.
    finished: List,
    /// Signalled jobs that the hardware no longer reads.
    done: List,
    device: DeviceState,
    /// Between `stop` and `start`.
    stopped: bool,
    /// Set once, by `lose`.
    lost: Option<FenceError>,
    give_up: bool,
    kind: PhantomData<(F, P)>,
}

impl<F, P, J, Q, R> Scheduler<F, P, J, Q, R>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
{
    /// Builds a scheduler on the caller's storage: as many jobs, queues and rings as there are slots, and no contexts.
    /// O(slots).
    pub fn new(jobs: J, queues: Q, rings: R, limits: Limits) -> Self {
        Self::with_contexts(jobs, queues, rings, [], limits)
    }
}

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// The same, with as many contexts as there are slots. O(slots).
    pub fn with_contexts(mut jobs: J, mut queues: Q, mut rings: R, mut contexts: C, limits: Limits) -> Self {
        let mut free_jobs = List::EMPTY;
        for index in list::indices(jobs.as_mut()) {
            free_jobs.push_back(jobs.as_mut(), index);
        }
        let mut free_queues = List::EMPTY;
        for index in list::indices(queues.as_mut()) {
            free_queues.push_back(queues.as_mut(), index);
        }
        let mut free_contexts = List::EMPTY;
        for index in list::indices(contexts.as_mut()) {
            free_contexts.push_back(contexts.as_mut(), index);
        }
        for ring in rings.as_mut() {
            *ring = RingSlot { credits: limits.ring_credits.max(1), ..RingSlot::default() };
        }
        Self {
            jobs,
            queues,
            rings,
            contexts,
            limits,
            free_jobs,
            free_queues,
            free_contexts,
            resets: 0,
            event_slots: EventSlots::new(limits.event_slots),
            finished: List::EMPTY,
            done: List::EMPTY,
            device: DeviceState::Running,
            stopped: false,
            lost: None,
            give_up: false,
            kind: PhantomData,
        }
    }

    /// Opens a queue of no context on a ring, or `None` if there is no free slot or no such ring. O(1).
    pub fn open_queue(&mut self, ring: RingIndex, priority: Priority) -> Option<QueueId> {
        self.rings.as_ref().get(usize::from(ring.0))?;
        let index = self.free_queues.pop_front(self.queues.as_mut())?;
        let slot = &mut self.queues.as_mut()[index as usize];
        slot.open(ring, priority);
        Some(Id::new(index, slot.generation))
    }

    /// What a job keeps alive, for the shell that carries out [`Action::Run`]. `None` if the handle is stale. O(1).
    pub fn payload(&self, job: JobId) -> Option<&P> {
        let slot = self.jobs.as_ref().get(job.index as usize)?;
        if slot.generation == job.generation {
            slot.payload.as_ref()
        } else {
            None
        }
    }

    /// When [`Scheduler::tick`] should be called next, or `None` while nothing runs. O(rings).
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.rings.as_ref().iter().filter_map(|ring| ring.deadline).min()
    }

    /// Jobs in whatever state, reserved ones included. O(jobs); for reports and tests.
    pub fn job_count(&self) -> usize {
        self.jobs.as_ref().iter().filter(|job| job.state != slots::State::Free).count()
    }

    /// Whether there is no way back: [`Scheduler::lose`] or [`Scheduler::tear_down`] was called. Then only signals and
    /// releases are left to do. O(1).
    pub fn is_over(&self) -> bool {
        self.lost.is_some()
    }

    /// What rings say means nothing while the device is being reset, or when its reset was cut short.
    fn numbers_are_void(&self) -> bool {
        matches!(self.device, DeviceState::Resetting | DeviceState::Failed)
    }

    fn queue_mut(&mut self, queue: QueueId) -> Option<&mut QueueSlot> {
        let slot = self.queues.as_mut().get_mut(queue.index as usize)?;
        (slot.generation == queue.generation && slot.in_use).then_some(slot)
    }

    fn job_mut(&mut self, job: JobId) -> Option<&mut JobSlot<F, P>> {
        let slot = self.jobs.as_mut().get_mut(job.index as usize)?;
        (slot.generation == job.generation).then_some(slot)
    }
}
