//! Sections that last, as a watchdog sees them.
//!
//! The time at which a section begins is not recorded, because reading a clock costs more than the
//! section. Instead, a watchdog's scan leaves a mark in the place of each open section, and a
//! section that begins clears the mark with a plain store. A watchdog that finds its mark again
//! knows that the section was open from one scan to the other.
//!
//! A scan executes no [barrier](crate::barrier) and disturbs no reader. It may miss a section that
//! has just begun, which the next scan finds.

use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::OpenSection;
use crate::registry::Open;

/// Open section at the time of a scan. Two values from different scans are equal if both scans have
/// found the same section.
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
    /// Unique mark that distinguishes the section from others in its place.
    mark: u64,
}

impl Stay {
    /// Creates the record of a section of `key`. Returns `None` if no such section is open, or if
    /// it may last.
    pub(crate) fn of(open: Open, key: u64) -> Option<Self> {
        // At one mark per nanosecond the marks last for five hundred years.
        static MARKS: AtomicU64 = AtomicU64::new(1);
        Some(Self { open, mark: open.place.mark(key, || MARKS.fetch_add(1, Relaxed))? })
    }

    /// Returns the place and the thread of the section. Call this while the section is open:
    /// afterwards the place may hold another section.
    pub fn section(&self) -> OpenSection {
        let place = self.open.place.location().unwrap_or(Location::caller());
        OpenSection { place, thread: self.open.slot.name() }
    }
}

impl PartialEq for Stay {
    fn eq(&self, other: &Self) -> bool {
        self.mark == other.mark
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
    fn drv_3_who_looks_while_sections_come_and_go_takes_none_for_another() {
        use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

        /// Stops the other thread when dropped, even if the test fails.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }

        let (registers, entered, over) = (Revocable::new(()), AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let _over = Over(&over);
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    registers.try_access_with(|()| std::hint::spin_loop());
                    entered.fetch_add(1, SeqCst);
                }
            });
            // Loops until many scans have found open sections, however the threads are scheduled.
            let mut found = 0;
            while found < 10_000 {
                let before = registers.stays();
                let (first, second) = (entered.load(SeqCst), entered.load(SeqCst));
                let after = registers.stays();
                let lasts = after.iter().any(|stay| before.contains(stay));
                assert!(
                    !lasts || first == second,
                    "a section lasted from one look to the other, and another was entered"
                );
                found += before.len();
            }
        });
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
