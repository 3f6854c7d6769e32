// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The address tables of all contexts that are open, by the number of the hardware's context.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use lifeboat_driver::{
    gpu::{ContextId, Gpu},
    Driver, DriverError,
};

use super::{table::Table, Memory};
use crate::link::Link;
use crate::registration::Driven;

/// See the module documentation.
#[pin_data]
pub(crate) struct Tables {
    /// One place for each context of the hardware.
    #[pin]
    open: Mutex<KVec<Option<Arc<Table>>>>,
    /// Of each table.
    segments: u8,
}

impl Tables {
    pub(super) fn new(info: &<Driven as Driver>::Info) -> impl PinInit<Self, Error> {
        let (contexts, segments) = (Driven::contexts(info), Driven::segments(info));
        pin_init::pin_init_scope(move || {
            let mut open = KVec::new();
            for _ in 0..contexts {
                open.push(None, GFP_KERNEL)?;
            }
            Ok(try_pin_init!(Self { open <- new_mutex!(open, "lifeboat::tables"), segments }? Error))
        })
    }

    /// Opens the table of a context, which nobody else uses: from here on it survives a reset of the device.
    pub(crate) fn open(&self, context: ContextId) -> Result<Arc<Table>> {
        let table = Table::new(context, self.segments)?;
        *self.open.lock().get_mut(usize::from(context.0)).ok_or(EINVAL)? = Some(table.clone());
        Ok(table)
    }

    /// Closes the table of a context whose last handle is closed: it is empty, here and in the device, when this returns.
    /// The buffers stay for the jobs that hold them; those that run fault.
    pub(crate) fn close(&self, memory: &Memory, table: &Table) {
        table.empty(memory);
        let place = self.open.lock().get_mut(usize::from(table.context().0)).and_then(Option::take);
        drop(place);
    }

    /// Takes memory out of the device's reach, in all tables; see [`Table::revoke`].
    pub(super) fn revoke(&self, memory: &Memory, key: usize, may_wait: bool) -> bool {
        let mut done = true;
        let mut next = 0;
        loop {
            let open = if may_wait { Some(self.open.lock()) } else { self.open.try_lock() };
            let Some(table) = open.map(|open| open.get(next).cloned()) else { return false };
            match table {
                Some(Some(table)) => done &= table.revoke(memory, key, may_wait),
                Some(None) => {}
                None => return done,
            }
            next += 1;
        }
    }

    /// Writes every table to a device that has forgotten them. What users map meanwhile is either there in time to be
    /// written here, or written by them after it.
    pub(crate) fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let mut next = 0;
        loop {
            let table = match self.open.lock().get(next) {
                Some(place) => place.clone(),
                None => return Ok(()),
            };
            if let Some(table) = table {
                table.restore(link)?;
            }
            next += 1;
        }
    }
}
