//! The hardware's contexts: which are free, and whose the others are.

use std::sync::Weak;

use lifeboat::Link;
use lifeboat_driver::DriverError;
use lifeboat_sync::lint::Mutex;

use crate::locks;
use crate::turns::{Turn, Turns};

/// The address table of a context, as whoever resets the device sees it.
pub(crate) trait AddressTable: Send + Sync {
    /// Writes it to a device that has forgotten it. In a turn, so that the table does not change
    /// meanwhile.
    ///
    /// # Errors
    /// Those of the driver.
    fn restore(&self, link: &Link, turn: &Turn<'_>) -> Result<(), DriverError>;
}

/// The address table of the context that has a number, if one has it.
type Taken = Option<Weak<dyn AddressTable>>;

/// As many as the hardware has, at most 255: they may be gone through.
pub(crate) struct Contexts {
    free: Mutex<Vec<u8>>,
    /// By number. Each has a lock of its own, so that none is held while a context is worked on.
    taken: Box<[Mutex<Taken>]>,
    /// Who writes address tables of contexts that are in use.
    pub(crate) tables: Turns,
}

impl Contexts {
    pub(crate) fn new(count: u8) -> Self {
        let free = Mutex::new(&locks::CONTEXTS, (0..count).rev().collect());
        let taken = (0..count).map(|_| Mutex::new(&locks::CONTEXTS, None)).collect();
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
            *place.lock() = None;
        }
        self.free.lock().push(number);
    }

    /// From now on its address table survives a reset of the device.
    pub(crate) fn register(&self, number: u8, table: Weak<dyn AddressTable>) {
        if let Some(place) = self.taken.get(usize::from(number)) {
            *place.lock() = Some(table);
        }
    }

    /// After a reset of the device: writes every context's address table, in one turn. What users map meanwhile is either
    /// there in time to be written here, or written by them to a device that is out of its reset.
    pub(crate) fn restore(&self, link: &Link) -> Result<(), DriverError> {
        let turn = self.tables.take().ok_or(DriverError::Gone)?;
        for place in &self.taken {
            let context = place.lock().as_ref().and_then(Weak::upgrade);
            if let Some(context) = context {
                context.restore(link, &turn)?;
            }
        }
        Ok(())
    }
}
