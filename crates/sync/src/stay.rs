//! Sections that last, as a watchdog sees them.
//!
//! When a section was entered is recorded nowhere: reading a clock costs more than the section. But each section has a
//! number, written by a plain store, so a watchdog that finds the same number in the same place at two looks knows that
//! the section has been open from the one to the other. A look executes no [barrier](crate::barrier) and disturbs no
//! reader; it may miss a section that has just begun, which the next look finds.

use std::panic::Location;

use crate::registry::Open;
use crate::{OpenSection, slot};

/// An open section. Equal to the one of a later look if that has found the same section, still open.
///
/// # Examples
/// ```
/// use lifeboat_sync::Gate;
///
/// let gate = Gate::new();
/// let section = gate.enter();
/// let before = gate.stays();
/// assert_eq!(gate.stays(), before);
/// drop(section);
/// let _another = gate.enter();
/// assert_ne!(gate.stays(), before);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Stay {
    open: Open,
    number: u64,
}

impl Stay {
    /// A section of `key`, if that is what is open there and it may be judged.
    pub(crate) fn of(open: Open, key: u64) -> Option<Self> {
        Some(Self { open, number: open.place.number(key)? })
    }

    /// Where the section was entered and by whom. To be asked while it is open: afterwards, the place may be another
    /// section's.
    pub fn section(&self) -> OpenSection {
        let place = self.open.place.location().unwrap_or(Location::caller());
        OpenSection { place, thread: self.open.slot.name() }
    }

    fn place(&self) -> *const slot::Place {
        self.open.place
    }
}

impl PartialEq for Stay {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place() && self.number == other.number
    }
}

impl Eq for Stay {}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use crate::{Gate, Revocable};

    #[test]
    fn drv_3_a_section_that_lasts_is_told_from_one_that_took_its_place() {
        let registers = Revocable::new(());
        let section = registers.try_access();
        let before = registers.stays();
        assert_eq!(before.len(), 1);
        assert_eq!(registers.stays(), before);
        assert!(before[0].section().place.file().ends_with("stay.rs"));
        drop(section);
        assert!(registers.stays().is_empty());
        let _other = registers.try_access();
        assert_eq!(registers.stays().len(), 1);
        assert_ne!(registers.stays(), before, "another section in the same place");
    }

    #[test]
    fn drv_3_sections_of_other_threads_are_seen_and_those_of_other_gates_are_not() {
        let (gate, other) = (Gate::new(), Gate::new());
        let _section = other.enter();
        std::thread::scope(|scope| {
            let (entered, wait_entered) = std::sync::mpsc::channel();
            let (leave, wait_leave) = std::sync::mpsc::channel::<()>();
            let gate = &gate;
            scope.spawn(move || {
                let _section = gate.enter();
                entered.send(()).unwrap();
                let _ = wait_leave.recv();
            });
            wait_entered.recv().unwrap();
            assert_eq!(gate.stays().len(), 1);
            assert_eq!(other.stays().len(), 1);
            drop(leave);
        });
        assert!(gate.stays().is_empty());
    }

    #[test]
    fn drv_3_a_bus_callback_may_last_and_a_section_in_the_same_place_afterwards_may_not() {
        let registers = Revocable::new(());
        let mut reader = crate::Reader::new("callback");
        let bound = (registers.bound(), registers.bound_by(&mut reader));
        assert!(bound.0.is_some() && bound.1.is_some());
        assert!(registers.stays().is_empty());
        drop(bound);
        assert_eq!(registers.try_access_by(&reader, |()| registers.stays().len()), Some(1));
    }
}
