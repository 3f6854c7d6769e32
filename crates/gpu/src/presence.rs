//! The instant of removal, and the link that can be down for a while.
//!
//! Everything that crosses the bus, a driver's access or a piece of DMA, happens inside a [`Crossing`]. Removal shuts
//! out new ones and waits for those under way, so when [`Presence::end`] returns nothing of the card reaches the host
//! any more. A crossing is short (one register, or at most [`TRANSFER_BYTES`] of memory) and never calls out of the model.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};

/// Most bytes of memory that one crossing copies: how long a removal or an unmapping may have to wait.
pub(crate) const TRANSFER_BYTES: usize = 64 << 10;

pub(crate) struct Presence {
    /// Written only under the write lock; read without it where a stale answer does no harm.
    gone: AtomicBool,
    /// Written only under the write lock, read under either.
    link_down: AtomicBool,
    crossings: RwLock<()>,
}

/// While this lives the card stays on the bus.
pub(crate) struct Crossing<'a> {
    _shared: RwLockReadGuard<'a, ()>,
    link_is_up: bool,
}

impl Crossing<'_> {
    /// Whether anything gets through: if not, reads find nobody and writes are lost.
    pub(crate) fn link_is_up(&self) -> bool {
        self.link_is_up
    }
}

impl Presence {
    pub(crate) fn new() -> Self {
        Self { gone: AtomicBool::new(false), link_down: AtomicBool::new(false), crossings: RwLock::new(()) }
    }

    /// Begins a crossing, or `None` if the card is gone. Must not be nested: a removal waiting in between would
    /// deadlock the two.
    pub(crate) fn enter(&self) -> Option<Crossing<'_>> {
        let shared = self.crossings.read();
        let link_is_up = !self.link_down.load(Ordering::Relaxed);
        if self.gone.load(Ordering::Relaxed) { None } else { Some(Crossing { _shared: shared, link_is_up }) }
    }

    /// As [`enter`](Self::enter), but `None` also while the link is down.
    pub(crate) fn cross(&self) -> Option<Crossing<'_>> {
        self.enter().filter(Crossing::link_is_up)
    }

    /// Takes the link down or up, after the crossings under way. Must not be called inside a crossing.
    pub(crate) fn set_link(&self, up: bool) {
        let _exclusive = self.crossings.write();
        self.link_down.store(!up, Ordering::Relaxed);
    }

    /// Does something between crossings: none begins before it is done. Must not be called inside a crossing.
    pub(crate) fn between_crossings(&self, act: impl FnOnce()) {
        let _exclusive = self.crossings.write();
        act();
    }

    /// Whether the link is up at this moment.
    pub(crate) fn link_is_up(&self) -> bool {
        !self.link_down.load(Ordering::Relaxed)
    }

    /// Whether the card is there at this moment.
    pub(crate) fn is_present(&self) -> bool {
        !self.gone.load(Ordering::Acquire)
    }

    /// Removes the card. `true` for the one call that did it. Must not be called inside a crossing.
    pub(crate) fn end(&self) -> bool {
        let _exclusive = self.crossings.write();
        !self.gone.swap(true, Ordering::Release)
    }
}
