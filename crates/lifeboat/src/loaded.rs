//! What there is of a module while it is loaded: its ledger, its device numbers, its watchdog.

use std::sync::Arc;

use lifeboat_core::minor::{Minor, Minors};
use lifeboat_sync::lint::Mutex;

use crate::ledger::{Counts, Entry, Kind, Ledger};
use crate::watchdog::Watchdog;
use crate::{ProbeError, locks};

/// Words of 64 device numbers: more than any machine has slots, and room for lost devices that are
/// still held open.
const MINOR_WORDS: usize = 16;

/// A loaded module, as its devices hold it.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) ledger: Ledger,
    pub(crate) watchdog: Watchdog,
    /// `None` once the module is unloaded.
    minors: Mutex<Option<Minors<[u64; MINOR_WORDS]>>>,
}

/// A device number, given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldMinor {
    pub(crate) number: Minor,
    module: Arc<Loaded>,
    _entry: Entry,
}

impl Loaded {
    pub(crate) fn new() -> Self {
        let minors = Mutex::new(&locks::MINORS, Some(Minors::new([0; MINOR_WORDS])));
        Self { ledger: Ledger::default(), watchdog: Watchdog::default(), minors }
    }

    /// The number of a device to be.
    ///
    /// # Errors
    /// [`ProbeError::Unloading`], or [`ProbeError::NoMinor`] if all are taken.
    pub(crate) fn allocate_minor(self: &Arc<Self>) -> Result<HeldMinor, ProbeError> {
        let mut minors = self.minors.lock();
        let number = minors.as_mut().ok_or(ProbeError::Unloading)?.allocate().ok_or(ProbeError::NoMinor)?;
        Ok(HeldMinor { number, module: self.clone(), _entry: self.ledger.enlist(Kind::DEVICE) })
    }

    /// No device can be any more, if there is nothing left of the module. Says what is left.
    pub(crate) fn end(&self) -> Counts {
        // Under the lock that hands out device numbers: a probe either has its number and counts, or gets none.
        let mut minors = self.minors.lock();
        let counts = self.ledger.counts();
        if counts.is_empty() {
            *minors = None;
        }
        counts
    }
}

impl Drop for HeldMinor {
    fn drop(&mut self) {
        if let Some(minors) = self.module.minors.lock().as_mut() {
            minors.release(self.number);
        }
    }
}
