// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How much there is of everything.

use core::time::Duration;

use lifeboat_core::sched::{Firmware, Shares};

/// The sizes of a scheduler. All of its memory is allocated in the beginning.
pub struct Options<'a> {
    /// Credits of each ring, and whether it completes jobs in their order.
    pub rings: &'a [(u32, InOrder)],
    /// Contexts at a time, the driver's own included.
    pub contexts: usize,
    /// Queues at a time.
    pub queues: usize,
    /// Jobs at a time, in whatever state.
    pub jobs: usize,
    /// What one context may have of these.
    pub shares: Shares,
    /// Limit of a job that has none of its own.
    pub job_timeout: Duration,
    /// What is reset if a firmware does not let go of a queue in time.
    pub firmware: Firmware,
}

/// Whether a ring completes its jobs in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum InOrder {
    /// One number tells of all jobs before it.
    Yes,
    /// Each job is reported alone.
    No,
}
