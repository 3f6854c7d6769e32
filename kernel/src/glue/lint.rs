// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What lockdep is told of the gate. Nothing happens in a kernel without lockdep.
//!
//! The kernel's own annotations do not report the mistakes that a gate invites: SRCU's section is tied neither to fences nor to modeset
//! locks, nor to user memory, whose pages may never come. So the gate has a class of its own. Lockdep is shown once, when the module is
//! loaded, that the gate lies inside of modeset locks and of the lock of an address space; the first section that takes one of them,
//! or copies user memory, closes a circle, and is reported with both places, without a deadlock. A wait for a fence is
//! seen by the kernel's tracepoint of such waits. It cannot be told as an order: memory reclaim may wait for fences, so lockdep
//! would report every allocation in a section.

use kernel::types::NotThreadSafe;

#[cfg(CONFIG_LOCKDEP)]
use super::shim;

/// Calls functions of the shim that exist for lockdep only.
macro_rules! tell {
    ($function:ident) => {{
        #[cfg(CONFIG_LOCKDEP)]
        // SAFETY: the function may be called by any task that can sleep; what begins here ends in the same task, by a drop.
        unsafe {
            shim::$function()
        };
    }};
}

/// The caller is in a section of a gate.
pub(crate) struct InSection(NotThreadSafe);

impl InSection {
    pub(crate) fn begin() -> Self {
        tell!(lifeboat_shim_section_begins);
        Self(NotThreadSafe)
    }
}

impl Drop for InSection {
    fn drop(&mut self) {
        tell!(lifeboat_shim_section_ends);
    }
}

/// The caller begins or ends the binding: it has the device to itself, and needs no section.
pub(crate) struct Ownership(NotThreadSafe);

impl Ownership {
    pub(crate) fn begin() -> Self {
        tell!(lifeboat_shim_ownership_begins);
        Self(NotThreadSafe)
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        tell!(lifeboat_shim_ownership_ends);
    }
}

/// The caller is about to wait for all sections.
pub(crate) fn drains() {
    tell!(lifeboat_shim_gate_drains);
}

/// The caller must be in a section, or own the binding. Reported if not.
pub(crate) fn assert_inside() {
    tell!(lifeboat_shim_assert_inside);
}

/// While this lives, waits for fences in sections are reported.
pub(crate) struct Watch(());

impl Watch {
    /// Shows lockdep what is right, and begins. Called once, by the module's init.
    pub(crate) fn begin() -> Self {
        tell!(lifeboat_shim_teach_order);
        tell!(lifeboat_shim_watch_waits);
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        tell!(lifeboat_shim_unwatch_waits);
    }
}

/// Whether this kernel has lockdep, so that anything is reported.
pub(crate) const ON: bool = cfg!(CONFIG_LOCKDEP);

/// A call that must not be made in a section.
#[derive(Clone, Copy)]
pub(crate) enum Mistake {
    /// A wait for a fence.
    Fence,
    /// A wait for the fences of a reservation.
    Reservation,
    /// A modeset lock.
    Modeset,
    /// A copy of user memory.
    UserMemory,
}

/// Makes it, in a kernel with lockdep.
pub(crate) fn make(mistake: Mistake) {
    match mistake {
        Mistake::Fence => tell!(lifeboat_shim_mistake_fence),
        Mistake::Reservation => tell!(lifeboat_shim_mistake_reservation),
        Mistake::Modeset => tell!(lifeboat_shim_mistake_modeset),
        Mistake::UserMemory => tell!(lifeboat_shim_mistake_user_memory),
    }
}
