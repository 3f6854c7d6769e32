//! The classes of this crate's locks and sections, outermost first: whoever holds one may take those further down.
//!
//! The [lint](lifeboat_sync::lint) learns the order from what runs and reports the first thing that contradicts it. All
//! locks are *short* but those that say otherwise: nothing blocks while they are held, and interrupt handlers may take
//! them. None but [`BUS_MODULE`] is held across an access to a register, which may take seconds (HEALTH-5); what must be programmed in
//! one piece is done in turns.

use lifeboat_sync::lint::Class;

/// The bus's module. Sleeping: held during a probe, so that it cannot be unloaded meanwhile.
pub(crate) static BUS_MODULE: Class = Class::new("bus.module");
/// The list of bindings.
pub(crate) static BINDINGS: Class = Class::new("bus.bindings");
/// How far a binding is on its way to the end.
pub(crate) static BINDING: Class = Class::new("binding");
/// Device numbers.
pub(crate) static MINORS: Class = Class::new("module.minors");

/// Sections of whole operations on a device.
pub(crate) static GATE: Class = Class::new("device.gate");
/// Sections of driver code that is in no section of register access.
pub(crate) static DRIVER: Class = Class::new("device.driver");
/// Sections of register access.
pub(crate) static REGISTERS: Class = Class::new("device.registers");

/// The scheduler. Taken by the interrupt handler.
pub(crate) static ENGINE: Class = Class::new("engine");

/// Leaves: nothing is taken while one of these is held. A scheduler's thread, until it is joined:
pub(crate) static WORKER: Class = Class::new("engine.worker");
/// The links that a module's watchdog looks at.
pub(crate) static WATCHDOG: Class = Class::new("module.watchdog");
/// How many threads handle an interrupt.
pub(crate) static INTERRUPTS: Class = Class::new("interrupts");
pub(crate) static FENCE: Class = Class::new("fence.state");
pub(crate) static REPORT: Class = Class::new("unplug.report");
pub(crate) static MAPPED: Class = Class::new("hardware.mapped");
pub(crate) static SUBSCRIBERS: Class = Class::new("bus.subscribers");
/// Which incident the device is in; and, apart, the dumps that were captured.
pub(crate) static INCIDENT: Class = Class::new("dump.incident");
/// The dump of a binding that ends.
pub(crate) static ENDING: Class = Class::new("dump.ending");
pub(crate) static DUMPS: Class = Class::new("dump.kept");
