// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The jobs of a context that were submitted last, by their numbers.

use kernel::prelude::*;
use lifeboat_jobqueue::Fence;

use crate::engine::JOBS_OF_CONTEXT;

/// Jobs whose ends are kept: all that are in flight, and as many as fit.
const KEPT: usize = JOBS_OF_CONTEXT;

/// See the module documentation.
pub(super) struct History {
    /// The number of the last job, 0 before the first.
    last: u64,
    /// By number, modulo the length.
    fences: KVVec<Option<Fence>>,
}

impl History {
    pub(super) fn new() -> Result<Self> {
        let mut fences = KVVec::with_capacity(KEPT, GFP_KERNEL)?;
        for _ in 0..KEPT {
            fences.push(None, GFP_KERNEL)?;
        }
        Ok(Self { last: 0, fences })
    }

    /// The number of the next job.
    pub(super) fn next(&self) -> u64 {
        self.last + 1
    }

    /// Keeps the next job. Returns one that is kept no longer, for its drop. Allocates nothing.
    pub(super) fn keep(&mut self, fence: Fence) -> Option<Fence> {
        self.last += 1;
        let place = Self::place(self.last);
        self.fences.get_mut(place)?.replace(fence)
    }

    /// The fence of a job. `None` if there was none with this number, or too long ago.
    pub(super) fn find(&self, job: u64) -> Option<Fence> {
        let age = self.last.checked_sub(job)?;
        if job == 0 || age >= KEPT as u64 {
            return None;
        }
        self.fences.get(Self::place(job))?.clone()
    }

    fn place(job: u64) -> usize {
        // Less than `KEPT`.
        (job % KEPT as u64) as usize
    }
}
