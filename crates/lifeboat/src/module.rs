//! Code: the longest lifetime. A module can be unloaded only when nothing of it exists any more (LIFE-2).

use std::fmt;
use std::sync::Arc;

use lifeboat_core::minor::Minors;
use lifeboat_core::recovery::Unready;
use lifeboat_driver::dump::Layout;
use lifeboat_driver::{Driver, Facts};
use lifeboat_pci::{Function, offset};
use lifeboat_sync::lint::Mutex;

use crate::ledger::{Counts, Entry, Kind, Ledger};
use crate::probe::probe;
use crate::subsystem::Subsystem;
use crate::watchdog::Watchdog;
use crate::{Binding, ProbeError, ProbeOptions, Timeline, locks};

/// Words of 64 device numbers: more than any machine has slots, and room for lost devices that are still held open.
const MINOR_WORDS: usize = 16;

/// Loaded drivers.
#[derive(Debug)]
pub struct Module {
    shared: Arc<Shared>,
    drivers: Vec<Registered>,
}

/// A driver that a module has, with its subsystem.
struct Registered {
    facts: &'static Facts,
    probe: Probe,
}

/// Binds a function for a module, or releases it.
type Probe = Box<dyn Fn(&Arc<Shared>, &Arc<dyn Function>, ProbeOptions) -> Result<Binding, ProbeError> + Send + Sync>;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ledger: Ledger,
    pub(crate) watchdog: Watchdog,
    minors: Mutex<Option<Minors<[u64; MINOR_WORDS]>>>,
}

/// A device number, given back when dropped.
#[derive(Debug)]
pub(crate) struct Minor {
    pub(crate) number: u32,
    shared: Arc<Shared>,
    _entry: Entry,
}

/// Why a module could not be unloaded: what of it still exists. The module is still loaded, and comes back with it.
#[derive(Debug)]
pub struct Holders {
    /// The module.
    pub module: Module,
    /// How many objects of each kind hold it.
    pub counts: Counts,
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the module is in use by")?;
        self.counts.iter().try_for_each(|(kind, count)| write!(f, " {count} {kind}(s)"))?;
        f.write_str("; unbind its devices and close their handles first")
    }
}

impl std::error::Error for Holders {}

impl Module {
    /// A module without drivers: it binds nothing until one is [registered](Self::register).
    pub fn new() -> Self {
        let minors = Mutex::new(&locks::MINORS, Some(Minors::new([0; MINOR_WORDS])));
        Self {
            shared: Arc::new(Shared { ledger: Ledger::default(), watchdog: Watchdog::default(), minors }),
            drivers: Vec::new(),
        }
    }

    /// From now on the module binds what the driver of a subsystem binds to, and serves it as
    /// `options` say. Of two drivers that bind to the same device, the first does.
    pub fn register<S: Subsystem>(&mut self, options: S::Options) {
        // Checked when it is compiled.
        const { assert!(S::Driver::FACTS.dump.entry_bytes <= Layout::MOST_ENTRY_BYTES, "too large for a dump") };
        let options = Arc::new(options);
        let probe: Probe = Box::new(move |module, function, how| probe::<S>(module, function, how, &options));
        self.drivers.push(Registered { facts: &S::Driver::FACTS, probe });
    }

    /// Binds a function: brings it up and gives it to users as a new device with a new number.
    ///
    /// # Errors
    /// Each [`ProbeError`]; then the function is released and can be probed again.
    pub fn probe(&self, function: &Arc<dyn Function>, options: ProbeOptions) -> Result<Binding, ProbeError> {
        let driver = self.driver_of(function).inspect_err(|_| function.release())?;
        (driver.probe)(&self.shared, function, options)
    }

    /// Binds a function to this driver, whatever else binds to it.
    #[cfg(test)]
    pub(crate) fn probe_as<S: Subsystem<Options = ()>>(
        &self,
        function: &Arc<dyn Function>,
        options: ProbeOptions,
    ) -> Result<Binding, ProbeError> {
        probe::<S>(&self.shared, function, options, &Arc::new(()))
    }

    /// The driver that binds to it.
    fn driver_of(&self, function: &Arc<dyn Function>) -> Result<&Registered, ProbeError> {
        let id = function.config().read32(offset::ID)?;
        if Unready::of(id).is_some() {
            return Err(ProbeError::NotReady(id));
        }
        self.drivers.iter().find(|driver| driver.facts.binds_to(id)).ok_or(ProbeError::NotOurs(id))
    }

    /// What of this module exists.
    pub fn counts(&self) -> Counts {
        self.shared.ledger.counts()
    }

    /// A timeline for fences of a driver's own making. Those that are pending keep the module from being unloaded; those
    /// that have signalled, and the timeline itself, do not.
    pub fn timeline(&self, driver: &str, name: &str) -> Timeline {
        Timeline::new(&self.shared.ledger, driver, name)
    }

    /// Unloads the module.
    ///
    /// # Errors
    /// [`Holders`] if anything of it still exists; the module stays loaded.
    pub fn unload(self) -> Result<(), Box<Holders>> {
        // Under the lock that hands out device numbers: a probe either has its number and counts, or gets none.
        let mut minors = self.shared.minors.lock();
        let counts = self.counts();
        if counts.is_empty() {
            *minors = None;
            return Ok(());
        }
        drop(minors);
        Err(Box::new(Holders { module: self, counts }))
    }
}

impl Default for Module {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registered").field(&self.facts.name).finish()
    }
}

impl Shared {
    pub(crate) fn allocate_minor(self: &Arc<Self>) -> Result<Minor, ProbeError> {
        let mut minors = self.minors.lock();
        let number = minors.as_mut().ok_or(ProbeError::Unloading)?.allocate().ok_or(ProbeError::NoMinor)?;
        Ok(Minor { number, shared: self.clone(), _entry: self.ledger.enlist(Kind::DEVICE) })
    }
}

impl Drop for Minor {
    fn drop(&mut self) {
        if let Some(minors) = self.shared.minors.lock().as_mut() {
            minors.release(self.number);
        }
    }
}
