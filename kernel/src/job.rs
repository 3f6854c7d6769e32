// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The commands of a job, and what the hardware may reach meanwhile.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc,
    },
};
use lifeboat_core::sched::{JobSpec, QueueId};
use lifeboat_driver::{
    gpu::{ContextId, Gpu},
    Driver, Place,
};
use lifeboat_jobqueue::{Fence, Hardware, Scheduler, Timeline, Unsignalled};

use crate::registration::Driven;

/// See the module documentation.
pub(crate) struct Job {
    commands: KVec<<Driven as Gpu>::Command>,
    /// Place in its ring where it begins, once it was written. Only the worker uses this.
    begins: Atomic<u32>,
    context: ContextId,
    /// For its drop.
    _keeps: Arc<dyn Keep>,
}

/// What a job keeps alive until the hardware is done with it (SCHED-2).
pub(crate) trait Keep: Send + Sync {
    /// The context of the hardware that the job's addresses are those of.
    fn context(&self) -> ContextId;
}

impl Job {
    pub(crate) fn new(keeps: Arc<dyn Keep>, commands: KVec<<Driven as Gpu>::Command>) -> Result<Arc<Self>> {
        let context = keeps.context();
        Ok(Arc::new(Self { commands, begins: Atomic::new(0), context, _keeps: keeps }, GFP_KERNEL)?)
    }

    /// The job as the driver takes it.
    pub(crate) fn work(&self) -> <Driven as Driver>::Work<'_> {
        Driven::work(self.context, &self.commands)
    }

    /// Keeps the place that the job was written to.
    pub(crate) fn begins_at(&self, begins: Place) {
        self.begins.store(begins.0, Relaxed);
    }

    pub(crate) fn begins(&self) -> Place {
        Place(self.begins.load(Relaxed))
    }
}

/// Submits a job of the driver's own. Its fence does not leave the module.
pub(crate) fn submit<H: Hardware<Job = Job>>(
    scheduler: &Arc<Scheduler<H>>,
    queue: QueueId,
    job: Arc<Job>,
) -> Result<Fence> {
    let unsignalled = Unsignalled::new(&Timeline::internal("lifeboat", "own"), 0)?;
    let fence = unsignalled.fence();
    let spec = JobSpec { cost: Driven::cost(job.work()), restartable: true, ..JobSpec::default() };
    scheduler.prepare(queue, spec, &[])?.commit(unsignalled, job);
    Ok(fence)
}
