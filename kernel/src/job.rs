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

use crate::clock::Clock;
use crate::opener::Opener;
use crate::registration::Driven;
use crate::usage::LastEnds;

/// See the module documentation.
pub(crate) struct Job {
    commands: KVec<<Driven as Gpu>::Command>,
    /// Place in its ring where it begins, once it was written. Only the worker uses this.
    begins: Atomic<u32>,
    /// The moment of that, in nanoseconds of the scheduler's time, and the ring; 0 before.
    written: Atomic<u64>,
    ring: Atomic<u32>,
    context: ContextId,
    made: Clock,
    keeps: Arc<dyn Keep>,
}

/// What a job keeps alive until the hardware is done with it (SCHED-2).
pub(crate) trait Keep: Send + Sync {
    /// The context of the hardware that the job's addresses are those of.
    fn context(&self) -> ContextId;

    /// The program that the job is of; none for one of the driver's own.
    fn opener(&self) -> Option<Opener> {
        None
    }

    /// The job had a ring for so long.
    fn used(&self, ring: u8, nanoseconds: u64) {
        let _ = (ring, nanoseconds);
    }
}

impl Job {
    pub(crate) fn new(keeps: Arc<dyn Keep>, commands: KVec<<Driven as Gpu>::Command>) -> Result<Arc<Self>> {
        let context = keeps.context();
        Ok(Arc::new(
            Self {
                commands,
                begins: Atomic::new(0),
                written: Atomic::new(0),
                ring: Atomic::new(0),
                context,
                made: Clock::start(),
                keeps,
            },
            GFP_KERNEL,
        )?)
    }

    /// The job as the driver takes it.
    pub(crate) fn work(&self) -> <Driven as Driver>::Work<'_> {
        Driven::work(self.context, &self.commands)
    }

    /// The program that the job is of; none for one of the driver's own.
    pub(crate) fn opener(&self) -> Option<Opener> {
        self.keeps.opener()
    }

    /// Keeps the place that the job was written to.
    pub(crate) fn begins_at(&self, begins: Place) {
        self.begins.store(begins.0, Relaxed);
    }

    /// Keeps when it was written to which ring.
    pub(crate) fn written_at(&self, ring: u8, now: u64) {
        self.ring.store(ring.into(), Relaxed);
        self.written.store(now.max(1), Relaxed);
    }

    /// The hardware is done with it: whoever submitted it has used the ring.
    pub(crate) fn done(&self, last_ends: &LastEnds, now: u64) {
        let written = self.written.load(Relaxed);
        // There are fewer rings than that.
        let ring = self.ring.load(Relaxed) as u8;
        if written != 0 {
            self.keeps.used(ring, last_ends.end(ring, written, now));
        }
    }

    /// The context of the hardware that it runs in.
    pub(crate) fn context(&self) -> ContextId {
        self.context
    }

    /// Number of its commands.
    pub(crate) fn commands(&self) -> usize {
        self.commands.len()
    }

    /// Microseconds since it was made, which was just before its submission.
    pub(crate) fn age_us(&self) -> u64 {
        self.made.elapsed_us()
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
