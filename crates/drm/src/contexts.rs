//! The hardware's contexts: which are free, and whose the others are.

use std::sync::{Arc, Weak};

use lifeboat::Link;
use lifeboat_driver::DriverError;
use lifeboat_driver::gpu::Gpu;
use lifeboat_sync::lint::Mutex;

use crate::context::Shared;
use crate::locks;
use crate::turns::Turns;

/// As many as the hardware has, at most 255: they may be gone through.
pub(crate) struct Contexts<G: Gpu> {
    free: Mutex<Vec<u8>>,
    /// By number. Each has a lock of its own, so that none is held while a context is worked on.
    taken: Box<[Mutex<Weak<Shared<G>>>]>,
    /// Who writes address tables of contexts that are in use.
    pub(crate) tables: Turns,
}

impl<G: Gpu> Contexts<G> {
    pub(crate) fn new(count: u8) -> Self {
        let free = Mutex::new(&locks::CONTEXTS, (0..count).rev().collect());
        let taken = (0..count).map(|_| Mutex::new(&locks::CONTEXTS, Weak::new())).collect();
        Self { free, taken, tables: Turns::new() }
    }

    /// A number that nobody uses.
    pub(crate) fn take(&self) -> Option<u8> {
        self.free.lock().pop()
    }

    /// The number of a context that is gone, or never came to be.
    pub(crate) fn give_back(&self, number: u8) {
        if let Some(place) = self.taken.get(usize::from(number)) {
            // Else the context's memory would stay until another one has the number.
            *place.lock() = Weak::new();
        }
        self.free.lock().push(number);
    }

    /// From now on its address table survives a reset of the device.
    pub(crate) fn register(&self, context: &Arc<Shared<G>>) {
        if let Some(place) = self.taken.get(usize::from(context.id.0)) {
            *place.lock() = Arc::downgrade(context);
        }
    }

    /// After a reset of the device: writes every context's address table, in one turn. What users map meanwhile is either
    /// there in time to be written here, or written by them to a device that is out of its reset.
    pub(crate) fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let turn = self.tables.take().ok_or(DriverError::Gone)?;
        for place in &self.taken {
            let context = place.lock().upgrade();
            if let Some(context) = context {
                context.restore(link, &turn)?;
            }
        }
        Ok(())
    }
}
