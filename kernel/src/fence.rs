// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A fence: tells those who wait for a job how it ended. A fence refers to no device.

use core::time::Duration;

use kernel::{
    new_condvar, new_spinlock,
    prelude::*,
    sync::{Arc, CondVar, CondVarTimeoutResult, SpinLock},
};
use lifeboat_core::fence::FenceError;

use crate::clock::jiffies;

/// The outcome of a job.
pub(crate) type Outcome = Result<(), FenceError>;

/// The waiting side.
#[pin_data]
pub(crate) struct Fence {
    #[pin]
    outcome: SpinLock<Option<Outcome>>,
    #[pin]
    signalled: CondVar,
}

/// The signalling side, of which there is one. Dropped without a signal, it signals that the job
/// was canceled.
pub(crate) struct Unsignalled(Arc<Fence>);

impl Fence {
    /// Both sides of a new fence.
    pub(crate) fn new() -> Result<(Unsignalled, Arc<Self>)> {
        let fence = Arc::pin_init(
            pin_init!(Self {
                outcome <- new_spinlock!(None, "lifeboat::fence"),
                signalled <- new_condvar!("lifeboat::fence"),
            }),
            GFP_KERNEL,
        )?;
        Ok((Unsignalled(fence.clone()), fence))
    }

    /// The outcome of the job, if it has ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        *self.outcome.lock()
    }

    /// Waits for the job's end: ETIMEDOUT after `limit`, EINTR if a signal came.
    pub(crate) fn wait(&self, limit: Duration) -> Result<Outcome> {
        let mut left = jiffies(limit);
        let mut outcome = self.outcome.lock();
        loop {
            if let Some(outcome) = *outcome {
                return Ok(outcome);
            }
            match self.signalled.wait_interruptible_timeout(&mut outcome, left) {
                CondVarTimeoutResult::Woken { jiffies } => left = jiffies,
                CondVarTimeoutResult::Signal { .. } => return Err(EINTR),
                CondVarTimeoutResult::Timeout => return (*outcome).ok_or(ETIMEDOUT),
            }
        }
    }
}

impl Unsignalled {
    /// Signals. Never blocks: the engine does it under its lock.
    pub(crate) fn signal(self, outcome: Outcome) {
        self.tell(outcome);
    }

    fn tell(&self, outcome: Outcome) {
        self.0.outcome.lock().get_or_insert(outcome);
        self.0.signalled.notify_all();
    }
}

impl Drop for Unsignalled {
    fn drop(&mut self) {
        self.tell(Err(FenceError::Canceled));
    }
}
