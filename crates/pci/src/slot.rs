//! A place on a bus where a device can be plugged in and out.

use std::sync::Arc;

use crate::Function;

/// What happened in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotEvent {
    /// A device is there.
    Present,
    /// The device is no longer there.
    Absent,
    /// The link to the device is down (DPC, a reset by somebody else, a loose cable). The device is still in the slot: until
    /// [`LinkUp`](Self::LinkUp) its reads are all-ones and its writes are lost, and neither says that it is gone.
    LinkDown,
    /// The link to the device is up again. What the device did in the meantime reached nobody.
    LinkUp,
}

/// Learns of what happens in a slot. Called on whatever thread notices, possibly inside a register access: it must not
/// block or touch the device.
pub type SlotWatcher = Box<dyn Fn(SlotEvent) + Send + Sync>;

/// A hot-plug slot.
pub trait Slot: Send + Sync {
    /// Where it is, for messages: `0000:01:00.0`.
    fn location(&self) -> &str;

    /// Begins a binding with the device in the slot, or `None` if there is none.
    fn function(&self) -> Option<Arc<dyn Function>>;

    /// Watches the slot from now on. If a device is there, `watcher` is told at once; also if its link
    /// is known to be down.
    fn watch(&self, watcher: SlotWatcher);
}
