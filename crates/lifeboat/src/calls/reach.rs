//! The way from a device to its hardware, as long as there is one: a gate for whole operations, a revocable for accesses.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use lifeboat_core::class::{Class, Entry, Presence, Refusal};
use lifeboat_core::wedge::Failure;
use lifeboat_sync::lint;
use lifeboat_sync::{Gate, Revocable, Section};

const LIVE: u8 = 0;
const GONE: u8 = 1;
const HUNG: u8 = 2;
const RESET_FAILED: u8 = 3;
const NONSENSE: u8 = 4;

/// The way to a device's hardware. Only the tokens that calls are given lead through it.
pub struct Reach<H> {
    pub(crate) gate: Gate,
    pub(crate) hardware: Revocable<H>,
    /// A [`Presence`], as a number.
    presence: AtomicU8,
    check_entry: bool,
}

/// What a call has been given.
pub(crate) enum Entered<'a> {
    /// No hardware.
    Without,
    /// A section of the gate: the device stays until it is dropped, or its unplug waits. `None` only where calls run past
    /// the entry check.
    Section(Option<Section<'a>>),
    /// The device is gone and the call must pretend success.
    Pretend,
}

thread_local! {
    /// How many accesses to any device's hardware this thread is inside of.
    static ACCESSES: Cell<u32> = const { Cell::new(0) };
}

/// Whether this thread is inside an access to some device's hardware. An interrupt handler that finds itself there was called
/// by the bus in the middle of that access, and whatever the thread holds is held until the handler returns.
pub(crate) fn is_inside_access() -> bool {
    ACCESSES.get() > 0
}

/// As long as it lives, this thread is inside an access.
pub(crate) struct Inside(());

impl Inside {
    pub(crate) fn begin() -> Self {
        ACCESSES.set(ACCESSES.get() + 1);
        Self(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        ACCESSES.set(ACCESSES.get() - 1);
    }
}

impl<H> Reach<H> {
    /// Without `check_entry`, calls run on a lost device as on a live one (CALL-4): for tests of what they do then.
    pub(crate) fn new(gate: &'static lint::Class, hardware: Revocable<H>, check_entry: bool) -> Self {
        Self { gate: Gate::with_class(gate), hardware, presence: AtomicU8::new(LIVE), check_entry }
    }

    /// Runs `f` on the hardware, in a section that must not block. `None` once it has been cut off.
    #[track_caller]
    pub(crate) fn access<R>(&self, f: impl FnOnce(&H) -> R) -> Option<R> {
        let _inside = Inside::begin();
        self.hardware.try_access_with(f)
    }

    pub(crate) fn presence(&self) -> Presence {
        match self.presence.load(SeqCst) {
            LIVE => Presence::Live,
            HUNG => Presence::Wedged(Failure::Hung),
            RESET_FAILED => Presence::Wedged(Failure::ResetFailed),
            NONSENSE => Presence::Wedged(Failure::Nonsense),
            _ => Presence::Gone,
        }
    }

    /// From now on calls see the loss, and nobody enters the gate. A wedged device may be gone later; nothing comes back.
    pub(crate) fn announce(&self, wedged: Option<Failure>) {
        let presence = match wedged {
            Some(Failure::Hung) => HUNG,
            Some(Failure::ResetFailed) => RESET_FAILED,
            Some(Failure::Nonsense) => NONSENSE,
            None => GONE,
        };
        self.presence.store(presence, SeqCst);
        self.gate.shut();
    }

    /// What calls of this class do now.
    pub(super) fn entry(&self, class: Class) -> Entry {
        class.entry(if self.check_entry { self.presence() } else { Presence::Live })
    }

    /// Lets a call in as its class says.
    #[track_caller]
    pub(crate) fn enter(&self, class: Class) -> Result<Entered<'_>, Refusal> {
        match self.entry(class) {
            Entry::Proceed => Ok(Entered::Without),
            Entry::Pretend => Ok(Entered::Pretend),
            Entry::Refuse(refusal) => Err(refusal),
            Entry::EnterGate => match self.section() {
                Some(section) => Ok(Entered::Section(section)),
                // Shut since: then the device is gone, and the class decides once more.
                None => match class.entry(self.presence()) {
                    Entry::Refuse(refusal) => Err(refusal),
                    Entry::Proceed | Entry::EnterGate | Entry::Pretend => Ok(Entered::Pretend),
                },
            },
        }
    }

    /// A section of the gate, or `None` once the loss is announced. The gate is shut a moment after that, and who has seen the
    /// announcement is not let in any more.
    #[track_caller]
    #[allow(clippy::option_option)] // the inner one is for calls that run past the entry check
    pub(super) fn section(&self) -> Option<Option<Section<'_>>> {
        if self.check_entry && self.presence() != Presence::Live {
            return None;
        }
        let section = self.gate.enter();
        if section.is_none() && self.check_entry { None } else { Some(section) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks;

    fn reach(check_entry: bool) -> Reach<()> {
        Reach::new(&locks::GATE, Revocable::with_class(&locks::REGISTERS, ()), check_entry)
    }

    #[test]
    fn call_5_who_has_seen_that_it_is_wedged_is_not_let_in_although_the_gate_is_not_shut_yet() {
        for check_entry in [true, false] {
            let reach = reach(check_entry);
            assert!(reach.section().is_some());
            // The first half of an announcement.
            reach.presence.store(HUNG, SeqCst);
            assert_eq!(reach.section().is_none(), check_entry);
            assert_eq!(reach.enter(Class::Device).is_err(), check_entry);
            reach.announce(Some(Failure::Hung));
            assert_eq!(reach.section().is_none(), check_entry);
        }
    }
}
