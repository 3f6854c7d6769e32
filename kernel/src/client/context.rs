// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A context: an address space of the hardware, and a blame domain of the scheduler.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use lifeboat_core::sched::{ContextId, JobSpec, Priority, QueueError, QueueId, ResetStats};
use lifeboat_driver::{gpu::Gpu, Driver};
use lifeboat_jobqueue::{Fence, Scheduler, Timeline, Unsignalled};

use super::history::History;
use super::space::{Space, Used};
use crate::device::Device;
use crate::errno::from_core;
use crate::glue::Reserved;
use crate::job::Job;
use crate::memory::Table;
use crate::module_parameters;
use crate::numbers::Number;
use crate::opener::Opener;
use crate::registration::Driven;
use crate::usage::Usage;

/// See the module documentation.
#[pin_data]
pub(crate) struct Context {
    engine: Arc<Scheduler<Device>>,
    space: Arc<Space>,
    id: ContextId,
    #[pin]
    state: Mutex<State>,
}

struct State {
    /// Until it is closed.
    scheduled: Option<Scheduled>,
    history: History,
}

/// The context as the scheduler has it. Dropped, it is closed.
struct Scheduled {
    engine: Arc<Scheduler<Device>>,
    id: ContextId,
    /// By ring and priority, opened when they are needed.
    queues: KVec<(u8, Priority, QueueId)>,
}

/// A job that is to be submitted.
pub(crate) struct Submission<'a> {
    pub(crate) ring: u8,
    pub(crate) priority: Priority,
    /// But for the cost and the dependencies.
    pub(crate) spec: JobSpec,
    pub(crate) after: &'a [Fence],
    pub(crate) commands: KVec<<Driven as Gpu>::Command>,
}

impl Context {
    pub(crate) fn new(device: &Arc<Device>, number: Number, usage: Arc<Usage>, opener: Opener) -> Result<Arc<Self>> {
        let history = History::new()?;
        let space = Space::new(&device.memory, number, usage, opener)?;
        let engine = device.engine.clone();
        // The engine has a context for each of the hardware, and `space` has one of these.
        let id = engine.open_context(*module_parameters::guilty_limit.value_ref());
        let id = id.ok_or(QueueError::Full).map_err(from_core)?;
        let scheduled = Scheduled { engine: engine.clone(), id, queues: KVec::new() };
        let state = State { scheduled: Some(scheduled), history };
        Arc::pin_init(
            pin_init!(Self { engine, space, id, state <- new_mutex!(state, "lifeboat::context") }),
            GFP_KERNEL,
        )
    }

    /// The addresses of its jobs.
    pub(crate) fn table(&self) -> &Arc<Table> {
        self.space.table()
    }

    /// What resets the context has seen.
    pub(crate) fn reset_stats(&self) -> ResetStats {
        self.engine.reset_stats(self.id).unwrap_or_default()
    }

    /// The fence of a job. ENOENT if there was none with this number, or too long ago.
    pub(crate) fn job(&self, job: u64) -> Result<Fence> {
        self.state.lock().history.find(job).ok_or(ENOENT)
    }

    /// Submits a job. Before the point of no return `ready` is given its number and its fence, and may
    /// fail; then nothing has been submitted. `section` opens a section of the gate, or fails. What
    /// `ready` returns is given to `done` after the commit.
    pub(crate) fn submit<S, R>(
        &self,
        submission: Submission<'_>,
        ready: impl FnOnce(u64, &Fence) -> Result<R>,
        section: impl FnOnce() -> Result<S>,
        done: impl FnOnce(R, &Fence),
    ) -> Result {
        let Submission { ring, priority, spec, after, commands } = submission;
        self.space.table().verify()?;
        let job = Job::new(Used::new(&self.space)?, commands)?;
        let spec = JobSpec { cost: Driven::cost(job.work()), ..spec };
        // Numbers are given in the order of the commits.
        let mut state = self.state.lock();
        let number = state.history.next();
        let unsignalled = Unsignalled::new(&Timeline::shared(Driven::FACTS.name, "queue"), number)?;
        let fence = unsignalled.fence();
        let promised = ready(number, &fence)?;
        let queue = state.scheduled.as_mut().ok_or(ENOENT)?.queue(ring, priority)?;
        let reserved = Reserved::lock(self.space.table().objects()?)?;
        let prepared = self.engine.prepare(queue, spec, after);
        // A lost device says what is the matter with it.
        let section = section()?;
        // The point of no return.
        prepared?.commit(unsignalled, job);
        drop(section);
        reserved.add(&fence);
        done(promised, &fence);
        let forgotten = state.history.keep(fence);
        drop(state);
        drop(forgotten);
        Ok(())
    }

    /// Cancels the jobs that have not begun, and takes no more. Those on the hardware run to their end,
    /// and keep what they use, the hardware's context included (SCHED-2).
    pub(crate) fn close(&self) {
        let scheduled = self.state.lock().scheduled.take();
        drop(scheduled);
    }
}

impl Drop for Scheduled {
    fn drop(&mut self) {
        let queues = core::mem::take(&mut self.queues);
        self.engine.close_context(self.id, queues.into_iter().map(|(.., queue)| queue));
    }
}

impl Scheduled {
    /// The queue of a ring and a priority.
    fn queue(&mut self, ring: u8, priority: Priority) -> Result<QueueId> {
        let open = self.queues.iter().find(|(at, level, _)| (*at, *level) == (ring, priority));
        if let Some((.., queue)) = open {
            return Ok(*queue);
        }
        self.queues.reserve(1, GFP_KERNEL)?;
        let queue = self.engine.open_queue(self.id, ring, priority).map_err(from_core)?;
        // There is room.
        let _ = self.queues.push_within_capacity((ring, priority, queue));
        Ok(queue)
    }
}
