// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How much there is of everything.

use core::time::Duration;

use kernel::prelude::*;
use lifeboat_core::sched::{Firmware, Limits, RingSlot, Shares, Stores};

use crate::hardware::Hardware;
use crate::scheduler::Heap;
use crate::storage::Storage;

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

impl Options<'_> {
    pub(crate) fn limits(&self) -> Limits {
        // Each ring has its own credits.
        Limits { firmware: self.firmware, ..Limits::new(1, self.job_timeout) }
    }

    pub(crate) fn stores<H: Hardware>(&self) -> Result<Stores<Heap<H>>> {
        let mut rings: Storage<RingSlot> = Storage::new(self.rings.len())?;
        for (slot, (credits, in_order)) in rings.as_mut().iter_mut().zip(self.rings) {
            let ring = RingSlot::with_credits(*credits);
            *slot = if *in_order == InOrder::No { ring.unordered() } else { ring };
        }
        Ok(Stores {
            jobs: Storage::new(self.jobs)?,
            queues: Storage::new(self.queues)?,
            rings,
            contexts: Storage::new(self.contexts)?,
            turns: Storage::new(self.contexts.saturating_mul(self.rings.len()))?,
            // Waits are declared by fences alone, so nothing is lent.
            waits: Storage::new(0)?,
        })
    }
}
