//! What a job holds from its commit to its release: what the hardware may read, and its waits for fences.

use std::sync::{Arc, Weak};

use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::JobId;

use super::shared::SchedulerInner;
use crate::Fence;
use crate::fence::Callback;

/// What the scheduler's core keeps for a job.
pub(crate) struct Held<J> {
    pub(crate) job: Arc<J>,
    /// For their drop.
    _waits: Waits,
}

/// The fences that a job waits for. Dropped, it waits for none of them: a fence that never signals keeps nothing of a job
/// that has ended.
#[derive(Default)]
pub(super) struct Waits(Vec<Callback>);

impl<J> Held<J> {
    pub(super) fn new(job: Arc<J>, waits: Waits) -> Self {
        Self { job, _waits: waits }
    }
}

impl Waits {
    /// Has a job told when each of these has signalled. A fence does not keep a scheduler: perhaps nobody ever signals
    /// it.
    pub(super) fn begin<J: Send + Sync + 'static>(
        shared: &Arc<SchedulerInner<J>>,
        job: JobId,
        after: &[Fence],
    ) -> Self {
        let tell = |fence: &Fence| {
            let shared: Weak<SchedulerInner<J>> = Arc::downgrade(shared);
            fence.on_signal(move |outcome: Result<(), FenceError>| {
                if let Some(shared) = shared.upgrade() {
                    shared.dependency_done(job, outcome);
                }
            })
        };
        Self(after.iter().map(tell).collect())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        for wait in self.0.drain(..) {
            wait.withdraw();
        }
    }
}
