//! The classes of this crate's locks, outermost first. Those of the base that are around them and
//! inside them are in `lifeboat`'s file of the same name: a thread that holds a binding's lock may
//! take these; a thread that holds one of the first three may enter sections, and take the
//! scheduler's lock.

use lifeboat_sync::lint::Class;

/// What is mapped in a context. Sleeping: taken by calls of users, and by the worker after a reset of the device.
pub(crate) static SPACE: Class = Class::new("context.space");
/// Users' maps of VRAM. Sleeping: taken by calls of users, and by the cut.
pub(crate) static MAPS: Class = Class::new("device.maps");
/// What the screen shows, the commit under way, who waits for a vertical blank. Taken by the interrupt handler, and by an unplug.
pub(crate) static DISPLAY: Class = Class::new("display");

// Leaves: nothing is taken while one of these is held.
/// Whose turn it is to program a part of the hardware. Held for a look.
pub(crate) static TURNS: Class = Class::new("hardware.turns");
pub(crate) static VRAM: Class = Class::new("device.vram");
pub(crate) static WINDOWS: Class = Class::new("device.windows");
pub(crate) static CONTEXTS: Class = Class::new("device.contexts");
pub(crate) static EVENTS: Class = Class::new("display.events");
/// Which handle has leased the display to which.
pub(crate) static LEASES: Class = Class::new("display.leases");
pub(crate) static LISTENERS: Class = Class::new("display.listeners");
