//! Code: the longest lifetime. A module can be unloaded only when nothing of it exists any more (LIFE-2).

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

use lifeboat_core::recovery::Unready;
use lifeboat_driver::{Driver, Facts};
use lifeboat_pci::{Function, offset};

use crate::ledger::Counts;
use crate::loaded::Loaded;
use crate::probe::probe;
use crate::subsystem::Subsystem;
use crate::{Binding, Listeners, Policy, ProbeError, Timeline};

/// Loaded drivers.
#[derive(Debug)]
pub struct Module {
    loaded: Arc<Loaded>,
    drivers: Vec<Registered>,
}

/// A driver that a module has, with its subsystem.
struct Registered {
    facts: &'static Facts,
    subsystem: TypeId,
    probe: Probe,
}

/// Binds a function for a module, or releases it.
type Probe =
    Box<dyn Fn(&Arc<Loaded>, &Arc<dyn Function>, &Policy, Listeners) -> Result<Binding, ProbeError> + Send + Sync>;

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
        Self { loaded: Arc::new(Loaded::new()), drivers: Vec::new() }
    }

    /// From now on the module binds what the driver of a subsystem binds to, and serves it as
    /// `options` say. Of two drivers that bind to the same device, the first does.
    pub fn register<S: Subsystem>(&mut self, options: S::Options) {
        // Checked when it is compiled.
        const { S::Driver::FACTS.assert_sound() };
        let options = Arc::new(options);
        let probe: Probe = Box::new(move |module, function, policy, listeners| {
            probe::<S>(module, function, policy, listeners, &options)
        });
        self.drivers.push(Registered { facts: &S::Driver::FACTS, subsystem: TypeId::of::<S>(), probe });
    }

    /// Binds a function: brings it up and gives it to users as a new device with a new number.
    ///
    /// # Errors
    /// Each [`ProbeError`]; then the function is released and can be probed again.
    pub fn probe(
        &self,
        function: &Arc<dyn Function>,
        policy: &Policy,
        listeners: Listeners,
    ) -> Result<Binding, ProbeError> {
        let driver = self.driver_of(function).inspect_err(|_| function.release())?;
        (driver.probe)(&self.loaded, function, policy, listeners)
    }

    /// Binds a function by this driver, whatever other drivers bind to it: what a kernel calls
    /// `driver_override`.
    ///
    /// # Errors
    /// [`ProbeError::Unregistered`] if the module does not have it; else as [`Module::probe`].
    pub fn probe_as<S: Subsystem>(
        &self,
        function: &Arc<dyn Function>,
        policy: &Policy,
        listeners: Listeners,
    ) -> Result<Binding, ProbeError> {
        let is_it = |driver: &&Registered| driver.subsystem == TypeId::of::<S>();
        let driver = self.drivers.iter().find(is_it).ok_or(ProbeError::Unregistered);
        (driver.inspect_err(|_| function.release())?.probe)(&self.loaded, function, policy, listeners)
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
        self.loaded.ledger.counts()
    }

    /// A timeline for fences of a driver's own making. Those that are pending keep the module from being unloaded; those
    /// that have signalled, and the timeline itself, do not.
    pub fn timeline(&self, driver: &str, name: &str) -> Timeline {
        Timeline::new(&self.loaded.ledger, driver, name)
    }

    /// Unloads the module.
    ///
    /// # Errors
    /// [`Holders`] if anything of it still exists; the module stays loaded.
    pub fn unload(self) -> Result<(), Box<Holders>> {
        let counts = self.loaded.end();
        if counts.is_empty() { Ok(()) } else { Err(Box::new(Holders { module: self, counts })) }
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
