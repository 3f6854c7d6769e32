// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The address space of a context, which its jobs hold, too: the buffers that they may reach stay, and
//! the hardware's context means nobody else's memory, until the hardware is done with them (SCHED-2).
//!
//! A close cancels what no ring has been given; then the table is emptied, at once if no ring has a job
//! of the context. Jobs in a ring run to their end first, within their limits: without the table they
//! would fault, a device that only a reset of the ring leads on from a fault would be reset, and the
//! other contexts' jobs in the ring would end with it.

use kernel::{prelude::*, sync::Arc};
use lifeboat_driver::gpu::ContextId;

use crate::holders::{Hold, Kind};
use crate::job::Keep;
use crate::memory::{Memory, Retained, Table};
use crate::numbers::Number;
use crate::opener::Opener;
use crate::usage::Usage;

/// See the module documentation. Dropped, its table is emptied, and its number is free.
pub(crate) struct Space {
    table: Arc<Table>,
    memory: Arc<Memory>,
    /// The client's.
    usage: Arc<Usage>,
    opener: Opener,
    /// Given back after the table is empty: fields are dropped after `drop`.
    number: Number,
}

/// What one job keeps of it.
pub(super) struct Used {
    space: Arc<Space>,
    /// Buffers that are unmapped before the job has ended.
    _retained: Retained,
    /// The job's fence holds the module until it signals, which is before this is dropped.
    _hold: Hold,
}

impl Space {
    pub(super) fn new(memory: &Arc<Memory>, number: Number, usage: Arc<Usage>, opener: Opener) -> Result<Arc<Self>> {
        let table = memory.tables.open(number.context())?;
        Ok(Arc::new(Self { table, memory: memory.clone(), usage, opener, number }, GFP_KERNEL)?)
    }

    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.memory.tables.close(&self.memory, &self.table);
    }
}

impl Used {
    /// For a job that is submitted now.
    pub(super) fn new(space: &Arc<Space>) -> Result<Arc<dyn Keep>> {
        let hold = space.memory.holding().hold(Kind::Fence);
        Ok(Arc::new(Self { space: space.clone(), _retained: space.table.retained(), _hold: hold }, GFP_KERNEL)?)
    }
}

impl Keep for Used {
    fn context(&self) -> ContextId {
        self.space.number.context()
    }

    fn opener(&self) -> Option<Opener> {
        Some(self.space.opener)
    }

    fn used(&self, ring: u8, nanoseconds: u64) {
        self.space.usage.add(ring, nanoseconds);
    }
}
