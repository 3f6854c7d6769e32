//! Submission in two steps: one that may fail, one that cannot.

use core::fmt;
use core::time::Duration;

use super::slots::JobState;
use super::{JobId, JobSlot, QueueId, Scheduler, Storage};
use crate::fence::FenceError;
use crate::Id;

/// What becomes of a job if something it waits for fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IfDependencyFails {
    /// It is canceled: what it was to work on does not exist.
    #[default]
    Cancel,
    /// It runs all the same, once all its waits are over.
    Run,
}

/// What a job needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobSpec {
    /// Credits of the ring it uses while it is there, for example descriptors.
    pub cost: u32,
    /// Fences it waits for: [`Scheduler::dependency_done`] must be called this often.
    pub dependencies: u32,
    /// How long it may take, instead of [`Limits::job_timeout`](super::Limits::job_timeout): from
    /// when the hardware has it and, unless the ring is [unordered](super::RingSlot::unordered), it
    /// is the oldest there.
    pub time_limit: Option<Duration>,
    /// Whether it may run a second time if its work was lost through another's fault.
    pub restartable: bool,
    /// What becomes of it if something it waits for fails.
    pub if_dependency_fails: IfDependencyFails,
}

/// A place for one job. Must be given to [`Scheduler::commit`] or [`Scheduler::cancel`]; dropped,
/// its slot stays taken.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
#[must_use = "commit or cancel the reservation, or its slot stays taken"]
pub struct Reservation(pub(super) JobId);

impl Reservation {
    /// The handle that the job will have. Events about it are answered from now on.
    pub fn job(&self) -> JobId {
        self.0
    }
}

/// Why a submission is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubmitError {
    /// All job slots are taken that are not set aside for others; try again when work has
    /// completed.
    Full,
    /// The context has its whole [share](super::Shares) of jobs; try again when one of its own has
    /// completed.
    OverShare,
    /// The queue has been closed.
    StaleQueue,
    /// The queue's context was guilty of as many resets as it may be; see
    /// [`Scheduler::reset_stats`].
    Banned,
    /// The job would wait for a job that has not been committed, and that may come to wait for it
    /// in turn.
    Cycle,
    /// The job alone needs more credits than its ring has.
    TooLarge,
    /// The device is lost, or the scheduler torn down; this is how its fences end.
    Ended(FenceError),
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many jobs in flight; wait for one to complete"),
            Self::OverShare => f.write_str("the context has its share of jobs in flight; wait for one of its own"),
            Self::StaleQueue => f.write_str("the queue has been closed"),
            Self::Banned => f.write_str("the context's jobs hung or faulted too often; open another"),
            Self::Cycle => f.write_str("the job would wait for one that is not submitted yet; submit that one first"),
            Self::TooLarge => f.write_str("the job does not fit its ring; split it"),
            Self::Ended(error) => write!(f, "no more work is accepted: {error}"),
        }
    }
}

impl core::error::Error for SubmitError {}

impl<S: Storage> Scheduler<S> {
    /// Reserves a place for a job. O(1).
    ///
    /// # Errors
    /// Each [`SubmitError`]; then nothing has changed.
    pub fn reserve(&mut self, queue: QueueId, spec: JobSpec) -> Result<Reservation, SubmitError> {
        if let Some(error) = self.lost {
            return Err(SubmitError::Ended(error));
        }
        let Some(ring) = self.queue_mut(queue).filter(|slot| !slot.killed).map(|slot| slot.ring) else {
            return Err(SubmitError::StaleQueue);
        };
        if spec.cost > self.rings.as_ref()[usize::from(ring.0)].most {
            return Err(SubmitError::TooLarge);
        }
        if self.is_banned(queue.index) {
            return Err(SubmitError::Banned);
        }
        let held = self.jobs_of_context(queue.index).copied();
        self.job_places.admits(held)?;
        let index = self.free_jobs.pop_front(self.jobs.as_mut()).ok_or(SubmitError::Full)?;
        self.job_places.take(held);
        if let Some(held) = self.jobs_of_context(queue.index) {
            *held += 1;
        }
        let slot = &mut self.queues.as_mut()[queue.index as usize];
        slot.held += 1;
        slot.largest = slot.largest.max(spec.cost);
        let slot = &mut self.jobs.as_mut()[index as usize];
        let generation = slot.generation;
        *slot = JobSlot {
            generation,
            state: JobState::Reserved,
            queue: queue.index,
            cost: spec.cost,
            time_limit: spec.time_limit,
            waits: spec.dependencies,
            restartable: spec.restartable,
            if_dependency_fails: spec.if_dependency_fails,
            ..JobSlot::default()
        };
        Ok(Reservation(Id::new(index, generation)))
    }

    /// A reserved job waits for another one of this scheduler too, besides the
    /// [dependencies](JobSpec::dependencies) it was reserved with. `true` if that one has not
    /// ended: then [`Scheduler::dependency_done`] is owed once more. Its fence is what tells how it
    /// ended. O(1).
    ///
    /// Only a job that has been committed can be waited for. So every wait, declared here or by the
    /// order of a queue, is for a job that was committed earlier, and none can close a circle,
    /// through however many queues and devices (SCHED-8). A fence that is handed out only when its
    /// job has been committed is safe in the same way.
    ///
    /// # Errors
    /// [`SubmitError::Cycle`] if `other` is only reserved, or is the job itself; then nothing has
    /// changed.
    pub fn wait_for(&mut self, reservation: &Reservation, other: JobId) -> Result<bool, SubmitError> {
        let Some(slot) = self.job_mut(other) else { return Ok(false) };
        let pending = match slot.state {
            JobState::Free | JobState::Done | JobState::Orphan => false,
            JobState::Reserved => return Err(SubmitError::Cycle),
            JobState::Queued | JobState::Running | JobState::Finished => true,
        };
        if pending {
            self.lend_to(reservation, other);
            // A job that is canceled already waits for nothing.
            if let Some(slot) = self.job_mut(reservation.0).filter(|slot| slot.result.is_ok()) {
                slot.waits = slot.waits.saturating_add(1);
            }
        }
        Ok(pending)
    }

    /// The point of no return: from here on the fence will signal. Cannot fail and allocates
    /// nothing. O(1).
    ///
    /// If the device was lost or the queue killed since the reservation, the fence signals that.
    #[allow(clippy::needless_pass_by_value)] // a reservation is used up by this
    pub fn commit(&mut self, reservation: Reservation, fence: S::Fence, payload: S::Payload) -> JobId {
        let Reservation(job) = reservation;
        let slot = &mut self.jobs.as_mut()[job.index as usize];
        slot.fence = Some(fence);
        slot.payload = Some(payload);
        slot.state = JobState::Queued;
        let queue = slot.queue;
        let killed = self.queues.as_mut()[queue as usize].killed;
        let ended = self.lost.or(killed.then_some(FenceError::Canceled));
        if let Some(error) = ended {
            self.finish(job.index, Err(error));
        } else {
            let jobs = &mut self.queues.as_mut()[queue as usize].jobs;
            let first = jobs.is_empty();
            jobs.push_back(self.jobs.as_mut(), job.index);
            self.list_if_ready(queue);
            if first {
                self.lend_on(queue);
            }
        }
        job
    }

    /// Gives a reservation back. O(1).
    #[allow(clippy::needless_pass_by_value)] // a reservation is used up by this
    pub fn cancel(&mut self, reservation: Reservation) {
        self.free(reservation.0.index);
    }
}
