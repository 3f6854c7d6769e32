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

use crate::glue::{Callback, Fence, Notify, OwnedQueue};

/// A scheduler, as the waits of its jobs see it.
pub(crate) trait Tell: Send + Sync + 'static {
    /// A fence that a job waits for has signalled. Tells whether the scheduler is over.
    fn dependency_done(self: &Arc<Self>, job: JobId, outcome: Result<(), FenceError>) -> bool;

    /// Drops what jobs that have ended kept alive.
    fn drop_released(&self);

    /// Where work items run.
    fn queue(&self) -> &OwnedQueue;
}

/// One job's wait for one fence.
#[pin_data]
pub(crate) struct Wait<T: Tell> {
    #[pin]
    callback: Callback<Self>,
    scheduler: Arc<T>,
    job: JobId,
    #[pin]
    work: Work<Self>,
}

impl_has_work! {
    impl{T: Tell} HasWork<Self> for Wait<T> { self.work }
}

impl<T: Tell> WorkItem for Wait<T> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // This may run after the end of the device, when nobody else drops anything.
        if this.tell() {
            this.scheduler.drop_released();
        }
    }
}

impl<T: Tell> Notify for Wait<T> {
    fn callback(&self) -> &Callback<Self> {
        &self.callback
    }

    fn signalled(this: Arc<Self>) {
        let scheduler = this.scheduler.clone();
        // Queued once: a fence signals once.
        let _ = scheduler.queue().enqueue(this);
    }
}

impl<T: Tell> Wait<T> {
    pub(crate) fn new(scheduler: Arc<T>, job: JobId, fence: Fence) -> Result<Arc<Self>> {
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
    /// Says whether the core is lost.
    fn tell(&self) -> bool {
        let outcome = self.callback.fence().outcome().unwrap_or(Ok(()));
        self.scheduler.dependency_done(self.job, outcome.map_err(|_| FenceError::Canceled))
    }
}

/// All waits of one job. Dropped, it waits for none of them.
pub(crate) struct Waits<T: Tell>(KVec<Arc<Wait<T>>>);

impl<T: Tell> Default for Waits<T> {
    fn default() -> Self {
        Self(KVec::new())
    }
}

impl<T: Tell> Waits<T> {
    pub(crate) fn push(&mut self, wait: Arc<Wait<T>>) -> Result {
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

impl<T: Tell> Drop for Waits<T> {
    fn drop(&mut self) {
        for wait in &self.0 {
            wait.callback.withdraw();
        }
    }
}
