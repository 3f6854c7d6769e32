// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job's waits for fences, of whatever driver.
//!
//! A fence calls back in any context, with its lock held, so the callback only queues a work item,
//! which tells the core. What waits is withdrawn when the job has ended, so no fence of another driver
//! calls into this module once the device has gone (LIFE-2).

use kernel::{
    prelude::*,
    sync::Arc,
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};
use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::JobId;

use crate::glue::{Callback, Fence, Notify};
use crate::hardware::Hardware;
use crate::scheduler::Scheduler;

/// One job's wait for one fence.
#[pin_data]
pub(crate) struct Wait<H: Hardware> {
    #[pin]
    callback: Callback<Self>,
    scheduler: Arc<Scheduler<H>>,
    job: JobId,
    #[pin]
    work: Work<Self>,
}

impl_has_work! {
    impl{H: Hardware} HasWork<Self> for Wait<H> { self.work }
}

impl<H: Hardware> WorkItem for Wait<H> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.tell();
    }
}

impl<H: Hardware> Notify for Wait<H> {
    fn callback(&self) -> &Callback<Self> {
        &self.callback
    }

    fn signalled(this: Arc<Self>) {
        let scheduler = this.scheduler.clone();
        // Queued once: a fence signals once.
        let _ = scheduler.queue().enqueue(this);
    }
}

impl<H: Hardware> Wait<H> {
    pub(crate) fn new(scheduler: Arc<Scheduler<H>>, job: JobId, fence: Fence) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                callback: Callback::new(fence),
                scheduler,
                job,
                work <- new_work!("lifeboat::wait"),
            }),
            GFP_KERNEL,
        )
    }

    /// Tells the core that the fence has signalled, and how. A job that has ended since is ignored.
    fn tell(&self) {
        let outcome = self.callback.fence().outcome().unwrap_or(Ok(()));
        self.scheduler.dependency_done(self.job, outcome.map_err(|_| FenceError::Canceled));
    }
}

/// All waits of one job. Dropped, it waits for none of them.
pub(crate) struct Waits<H: Hardware>(KVec<Arc<Wait<H>>>);

impl<H: Hardware> Default for Waits<H> {
    fn default() -> Self {
        Self(KVec::new())
    }
}

impl<H: Hardware> Waits<H> {
    pub(crate) fn push(&mut self, wait: Arc<Wait<H>>) -> Result {
        Ok(self.0.push(wait, GFP_KERNEL)?)
    }

    /// Begins to wait. Allocates nothing.
    pub(crate) fn begin(&self) {
        for wait in &self.0 {
            if !Callback::begin(wait) {
                wait.tell();
            }
        }
    }
}

impl<H: Hardware> Drop for Waits<H> {
    fn drop(&mut self) {
        for wait in &self.0 {
            wait.callback.withdraw();
        }
    }
}

/// What the core keeps for a job: what the hardware may read, and the waits.
pub(crate) struct Held<H: Hardware> {
    pub(crate) job: Arc<H::Job>,
    /// For their drop.
    _waits: Waits<H>,
}

impl<H: Hardware> Held<H> {
    pub(crate) fn new(job: Arc<H::Job>, waits: Waits<H>) -> Self {
        Self { job, _waits: waits }
    }
}
