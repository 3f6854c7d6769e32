// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The gate of a device: whole calls of users that need the device, from beginning to end, are sections of it.
//!
//! A section may sleep, but must not wait for a fence or a reservation: the loss that would end that wait comes after the
//! section. It is an SRCU section of this device's own, so that no call of another device delays the end of this one
//! (GATE-3). Each access to registers is in a section of [`crate::link`] besides, which must not sleep.
//!
//! Everything that uses the device by itself enters, too (GATE-8): the scheduler's worker, the interrupt handler, the health check. Probe and
//! the end of the binding need no section: they have the device to themselves. Kernels with lockdep report who reaches for registers
//! and is neither ([`lint`]).

use kernel::{
    new_srcu,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full, Relaxed},
        srcu::Guard,
        Srcu,
    },
};
use lifeboat_core::class::{Class, Entry, Presence};
use lifeboat_core::errno::Errno;
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::Failure;

use crate::errno::from_core;
use crate::glue::lint::{self, InSection};

/// See the module documentation.
#[pin_data]
pub(crate) struct Gate {
    #[pin]
    sections: Srcu,
    /// Index into [`PRESENCES`].
    presence: Atomic<u32>,
    /// Calls run past the entry check (CALL-4): the module parameter `race`.
    race: bool,
}

/// Every value, as it is stored.
const PRESENCES: [Presence; 5] = [
    Presence::Live,
    Presence::Gone,
    Presence::Wedged(Failure::Hung),
    Presence::Wedged(Failure::ResetFailed),
    Presence::Wedged(Failure::Nonsense),
];

/// A section of the gate: while this lives, the device's end waits, and calls on the device are allowed.
pub(crate) struct Section<'a> {
    // Begins last and ends first: lockdep compares a lock with the innermost one that is held, which must not be SRCU's.
    _lint: InSection,
    _guard: Guard<'a>,
}

impl Gate {
    /// With `race`, calls run on a lost device as far as they get, for tests of what becomes of them there (CALL-4).
    pub(crate) fn new(race: bool) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            sections <- new_srcu!("lifeboat::gate"),
            presence: Atomic::new(0),
            race,
        })
    }

    /// Opens a section. An error is the presence that the gate was shut for.
    pub(crate) fn enter(&self) -> Result<Section<'_>, Presence> {
        let guard = self.sections.read_lock();
        let lint = InSection::begin();
        // `shut` stores before it waits for sections: it waits for this one, or this one sees the store.
        match self.presence() {
            Presence::Live => Ok(Section { _lint: lint, _guard: guard }),
            shut => Err(shut),
        }
    }

    /// Opens a section for a call of class Device that opens it itself. The errno of the refusal if the gate is shut.
    pub(crate) fn section(&self) -> Result<Section<'_>> {
        self.enter().map_err(|presence| match Class::Device.entry(presence) {
            Entry::Refuse(refusal) => from_core(Errno::from(refusal)),
            _ => ENODEV,
        })
    }

    /// Opens a section, for a call that reaches the device only through what the end of the binding cuts off: the
    /// registers, the scheduler, and what is lent. Where calls run past the entry check the section opens although the gate is
    /// shut, the end waits no longer for it, and the call meets the cut itself.
    pub(crate) fn call(&self) -> Result<Section<'_>> {
        if self.race {
            return Ok(Section { _guard: self.sections.read_lock(), _lint: InSection::begin() });
        }
        self.section()
    }

    /// Decides about a call of this class now.
    pub(crate) fn entry(&self, class: Class) -> Entry {
        class.entry(if self.race { Presence::Live } else { self.presence() })
    }

    /// Whether users may still reach the device.
    pub(crate) fn presence(&self) -> Presence {
        // Out of range is not stored.
        PRESENCES.get(self.presence.load(Acquire) as usize).copied().unwrap_or(Presence::Gone)
    }

    /// Lets no section open any more. The first reason counts.
    pub(crate) fn shut(&self, loss: Loss) {
        let presence = match loss {
            Loss::Wedged(failure) => Presence::Wedged(failure),
            _ => Presence::Gone,
        };
        let index = (0..).zip(PRESENCES).find(|(_, each)| *each == presence).map_or(1, |(index, _)| index);
        let _ = self.presence.cmpxchg(0, index, Full);
    }

    /// Waits until no section is open. The gate must be shut.
    pub(crate) fn drain(&self) {
        debug_assert!(self.presence.load(Relaxed) != 0);
        lint::drains();
        self.sections.synchronize_expedited();
    }
}
