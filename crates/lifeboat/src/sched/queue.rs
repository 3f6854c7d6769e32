//! What users hold: queues of jobs, and contexts of queues.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::sched::{
    ContextId, IfDependencyFails, JobSpec, Priority, QueueError, QueueId, Reservation, ResetStats, RingIndex,
    SubmitError,
};

use super::shared::SchedulerInner;
use super::submission::Built;
use super::waits::{Held, Waits};
use crate::{Fence, Timeline};

/// A job to be.
#[derive(Debug)]
pub struct NewJob<'a, J> {
    /// What it keeps alive for the hardware.
    pub job: Arc<J>,
    /// Credits of the ring it uses while it is there.
    pub cost: u32,
    /// How long it may take, instead of [`Limits::job_timeout`](super::Limits::job_timeout): from when the hardware
    /// has it and, unless the ring is [unordered](super::Options::unordered), it is the oldest there.
    pub time_limit: Option<Duration>,
    /// It starts when all of these have signalled.
    pub after: &'a [Fence],
    /// Whether it may run again if its work is lost through another job's fault.
    pub restartable: bool,
    /// What becomes of it if a fence it waits for fails.
    pub if_dependency_fails: IfDependencyFails,
}

/// Where jobs wait for a ring. Jobs of one queue run in order, and their fences signal in order, but for those that end
/// in an error. Dropped, at any moment and by any thread, it cancels what has not reached the ring; what has runs on.
pub struct Queue<J> {
    shared: Arc<SchedulerInner<J>>,
    id: QueueId,
    timeline: Timeline,
}

/// What queues have in common whose jobs are held responsible together (SCHED-7). Dropped, it lives on until its last
/// queue is gone.
pub struct Context<J> {
    shared: Arc<SchedulerInner<J>>,
    id: ContextId,
}

impl<J> NewJob<'static, J> {
    /// A job of one credit that waits for nothing, runs once, and has the time that every job has.
    pub fn new(job: Arc<J>) -> Self {
        let if_dependency_fails = IfDependencyFails::Cancel;
        Self { job, cost: 1, time_limit: None, after: &[], restartable: false, if_dependency_fails }
    }
}

impl<J> NewJob<'_, J> {
    fn spec(&self) -> JobSpec {
        // A slice of fences is shorter than that by its size in memory.
        let dependencies = u32::try_from(self.after.len()).unwrap_or(u32::MAX);
        let Self { cost, time_limit, restartable, if_dependency_fails, .. } = *self;
        JobSpec { cost, time_limit, dependencies, restartable, if_dependency_fails }
    }
}

impl<J: Send + Sync + 'static> Queue<J> {
    pub(super) fn open(
        shared: &Arc<SchedulerInner<J>>,
        context: Option<ContextId>,
        ring: RingIndex,
        priority: Priority,
    ) -> Result<Self, QueueError> {
        let id = shared.event(|core| match context {
            Some(context) => core.open_queue_of(context, ring, priority),
            None => core.open_queue(ring, priority),
        })?;
        let name = format!("ring{}.queue{}", ring.0, id.index());
        let timeline = Timeline::new(&shared.ledger, &shared.name, &name);
        Ok(Self { shared: shared.clone(), id, timeline })
    }

    /// The number by which a driver knows the queue.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// From now on the firmware of the queue's ring holds something of it, which `kept` keeps alive until the firmware
    /// has [let go](super::Rings::let_go), was reset, or is gone (SCHED-12). The drop of the queue does not wait for
    /// that. Called once, before the firmware is told of the queue.
    ///
    /// # Errors
    /// `kept`, if something is held already or the device is lost: then the firmware must not be told.
    pub fn firmware_holds(&self, kept: Arc<J>) -> Result<(), Arc<J>> {
        self.shared.firmware_holds(self.id, Held::new(kept, Waits::default())).map_err(|held| held.job)
    }

    /// Submits a job. Its fence signals whatever happens.
    ///
    /// Once there is a place for it, nothing can fail; and from there to the signal nothing is allocated (SCHED-3).
    ///
    /// # Errors
    /// Each [`SubmitError`]; then nothing has happened.
    pub fn submit(&self, new: NewJob<'_, J>) -> Result<Fence, SubmitError> {
        if !new.after.is_empty() {
            return self.submit_all([new])?.pop().ok_or(SubmitError::Full);
        }
        let (fence, promise) = self.timeline.unnumbered();
        let waits = Waits::default();
        self.shared.submit(self.id, Built { spec: new.spec(), promise, held: Held::new(new.job, waits) })?;
        Ok(fence)
    }

    /// Submits several jobs in order, or none of them: places for all are reserved before anything happens. The locks
    /// and the waking of the worker are paid for once. Gives their fences in the same order.
    ///
    /// # Errors
    /// Each [`SubmitError`]; then nothing has happened.
    pub fn submit_all<'a>(&self, jobs: impl IntoIterator<Item = NewJob<'a, J>>) -> Result<Vec<Fence>, SubmitError> {
        let jobs = jobs.into_iter();
        let expected = jobs.size_hint().0;
        let (mut fences, mut promises) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
        let mut new_jobs = Vec::with_capacity(expected);
        let mut built = Vec::with_capacity(expected);
        for new in jobs {
            let (fence, promise) = self.timeline.unnumbered();
            fences.push(fence);
            promises.push(promise);
            new_jobs.push(new);
        }
        let mut places = Vec::with_capacity(new_jobs.len());
        self.shared.reserve(self.id, new_jobs.iter().map(NewJob::spec), &mut places)?;
        for ((new, promise), place) in new_jobs.into_iter().zip(promises).zip(&places) {
            // Before the commit, because it allocates: what is reserved is answered for already.
            let waits = if new.after.is_empty() { Waits::default() } else { self.wait(place, new.after) };
            built.push(Built { spec: new.spec(), promise, held: Held::new(new.job, waits) });
        }
        self.shared.commit(&mut places, &mut built);
        Ok(fences)
    }

    /// Begins a job's waits, and notes the jobs among what it waits for, to lend them its priority.
    fn wait(&self, place: &Reservation, after: &[Fence]) -> Waits {
        let mut jobs = Vec::new();
        for fence in after {
            fence.origins(&mut |origin| jobs.extend((origin.scheduler == self.shared.number).then_some(origin.job)));
        }
        if !jobs.is_empty() {
            self.shared.lend(place, &jobs);
        }
        Waits::begin(&self.shared, place.job(), after)
    }

    /// Changes its turns, from its next job on.
    pub fn set_priority(&self, priority: Priority) {
        // It is stale only when it has been dropped.
        let _ = self.shared.event(|core| core.set_priority(self.id, priority));
    }

    /// Gives it another ring, from the next job that has not been given to one.
    ///
    /// # Errors
    /// [`QueueError::NoSuchRing`], or [`QueueError::TooLarge`] if the ring has fewer credits than a job of the queue
    /// needs; then nothing has changed.
    pub fn move_to(&self, ring: RingIndex) -> Result<(), QueueError> {
        self.shared.event(|core| core.move_queue(self.id, ring))
    }
}

impl<J> Drop for Queue<J> {
    fn drop(&mut self) {
        self.shared.event(|core| core.kill_queue(self.id));
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.timeline.name()).finish()
    }
}

impl<J: Send + Sync + 'static> Context<J> {
    pub(super) fn open(shared: &Arc<SchedulerInner<J>>) -> Option<Self> {
        let id = shared.event(|core| core.open_context(shared.guilty_limit))?;
        Some(Self { shared: shared.clone(), id })
    }

    /// A queue of this context.
    ///
    /// # Errors
    /// [`QueueError::OverShare`] if the context has its [share](super::Options::queue_share), [`QueueError::Full`] if
    /// there is no place for another, [`QueueError::NoSuchRing`].
    pub fn queue(&self, ring: RingIndex, priority: Priority) -> Result<Queue<J>, QueueError> {
        Queue::open(&self.shared, Some(self.id), ring, priority)
    }

    /// The resets that its jobs caused, and those by which they or the device were lost through another's fault, or nobody's.
    pub fn reset_stats(&self) -> ResetStats {
        let stats = self.shared.event(|core| core.reset_stats(self.id));
        // The scheduler forgets it when this is dropped, and not before.
        stats.unwrap_or_default()
    }
}

impl<J> Drop for Context<J> {
    fn drop(&mut self) {
        self.shared.event(|core| core.close_context(self.id));
    }
}

impl<J> fmt::Debug for Context<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.id).finish()
    }
}
