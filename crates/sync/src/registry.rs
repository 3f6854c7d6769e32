//! Registry of all slots of the process. It knows which slots a revoker must scan.
//!
//! A slot is *awake* or it *naps*, and revokers scan the awake slots. A new slot naps. A reader
//! that enters a section and finds its slot napping wakes the slot, under the registry's lock.
//!
//! A revoker that finds an awake slot without a section marks the slot as napping, but the next
//! scan still includes it, because a reader that has not seen the mark may just be entering. The
//! next scan comes after another [heavy barrier](crate::barrier). By then either the reader has
//! seen the mark and waits for the lock to wake its slot, or the scan sees its section. So a
//! thousand idle readers cost a revoker nothing from the second scan on.
//!
//! The barrier is executed under the lock. Without the lock it might come before the mark of
//! another revoker, and then would not cover readers that have not seen this mark.
//!
//! The lock is taken when a reader registers, wakes or leaves, and for each scan. It is never held
//! during a wait for a section.

use std::sync::atomic::Ordering::Relaxed;

use crate::barrier::Mode;
use crate::primitive::{Mutex, lock};
use crate::slot::{Place, Slot, state};

/// Registry of slots; see the [module documentation](self).
pub(crate) struct Registry {
    mode: Mode,
    slots: Mutex<Slots>,
}

struct Slots {
    /// Slots that the next scan includes: those that are awake, and those that have napped only
    /// since the last scan.
    listed: Vec<&'static Slot>,
    /// Slots without a reader.
    free: Vec<&'static Slot>,
    /// Number of slots made so far. Both lists have room for all of them, so only the creation of a
    /// slot allocates memory.
    made: usize,
}

/// Section that was open during a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub(crate) slot: &'static Slot,
    pub(crate) place: &'static Place,
}

#[cfg(not(any(loom, shuttle)))]
static REGISTRY: std::sync::LazyLock<Registry> = std::sync::LazyLock::new(Registry::new);

#[cfg(any(loom, shuttle))]
crate::primitive::lazy_static! {
    static ref REGISTRY: Registry = Registry::new();
}

impl Registry {
    fn new() -> Self {
        Self { mode: Mode::current(), slots: Mutex::new(Slots { listed: Vec::new(), free: Vec::new(), made: 0 }) }
    }

    /// Returns the registry of this process. Under a model checker each execution has its own
    /// registry.
    pub(crate) fn get() -> &'static Self {
        &REGISTRY
    }

    /// Takes a slot for a reader. The slot naps and has no sections.
    pub(crate) fn take(&self) -> &'static Slot {
        self.take_as(0)
    }

    /// Takes a slot for a single section. The slot goes back at the end of the section.
    pub(crate) fn lend(&self) -> &'static Slot {
        self.take_as(state::LENT | state::SLOW)
    }

    fn take_as(&self, bits: u32) -> &'static Slot {
        let mut slots = lock(&self.slots);
        let Some(slot) = slots.free.pop() else {
            slots.made += 1;
            let Slots { listed, free, made } = &mut *slots;
            for list in [listed, free] {
                list.reserve(*made - list.len());
            }
            drop(slots);
            let slot: &'static Slot = Box::leak(Box::new(Slot::new()));
            slot.state.store(self.bits() | bits, Relaxed);
            return slot;
        };
        let awake = slot.state.load(Relaxed) & state::AWAKE;
        slot.state.store(awake | self.bits() | bits, Relaxed);
        slot
    }

    /// Returns the state bits that all slots share.
    fn bits(&self) -> u32 {
        let slow = self.mode == Mode::Fences || crate::watched();
        if slow { state::SLOW } else { 0 }
    }

    /// Gives back the slot of a reader that has ended.
    ///
    /// A slot may still have an open section: its guard was leaked, or lies in a thread-local that
    /// is dropped later. Such a slot is marked as an orphan and stays visible, because a revoker
    /// must report the section. A scan that finds the orphan idle frees it.
    pub(crate) fn give_back(&self, slot: &'static Slot) {
        let mut slots = lock(&self.slots);
        if slot.is_idle() {
            slots.free.push(slot);
        } else {
            slot.state.store(slot.state.load(Relaxed) | state::ORPHAN, Relaxed);
        }
    }

    /// Wakes the slot of a reader that is entering and has found its slot napping.
    #[cold]
    pub(crate) fn wake(&self, slot: &'static Slot) {
        let mut slots = lock(&self.slots);
        // The lint may have been switched on since, so the shared bits are read again.
        let kept = slot.state.load(Relaxed) & (state::LENT | state::SLOW);
        slot.state.store(state::AWAKE | self.bits() | kept, Relaxed);
        if slot.listed.swap(1, Relaxed) == 0 {
            slots.listed.push(slot);
        }
    }

    /// Returns all open sections of all gates and objects, for watchdogs. A section that begins or
    /// ends during the scan may be in the result or not.
    pub(crate) fn all(&self) -> Vec<Open> {
        let slots = lock(&self.slots);
        let open = |slot: &&'static Slot| {
            let slot = *slot;
            slot.places.iter().filter(|place| !place.is_free()).map(move |place| Open { slot, place })
        };
        slots.listed.iter().flat_map(open).collect()
    }

    /// Adds all open sections of `key` to `open`. If the turnstile of `key` was shut before the
    /// scan, a reader cannot enter unseen after the scan.
    pub(crate) fn look(&self, key: u64, open: &mut Vec<Open>) {
        let mut slots = lock(&self.slots);
        self.mode.heavy();
        let Slots { listed, free, .. } = &mut *slots;
        listed.retain(|slot| {
            let bits = slot.state.load(Relaxed);
            if slot.is_idle() {
                let stays = bits & state::AWAKE != 0;
                slot.state.store(bits & !state::AWAKE, Relaxed);
                slot.listed.store(u32::from(stays), Relaxed);
                if !stays && bits & state::ORPHAN != 0 {
                    slot.state.store(0, Relaxed);
                    free.push(*slot);
                }
                return stays;
            }
            let slot: &'static Slot = slot;
            open.extend(slot.places.iter().filter(|place| place.holds(key)).map(|place| Open { slot, place }));
            true
        });
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::panic::Location;

    use super::*;

    const KEY: u64 = 7;

    /// Slots that the next scan includes, and free ones.
    fn listed_and_free(registry: &Registry) -> (usize, usize) {
        let slots = lock(&registry.slots);
        (slots.listed.len(), slots.free.len())
    }

    fn open(registry: &Registry, key: u64) -> usize {
        let mut open = Vec::new();
        registry.look(key, &mut open);
        open.len()
    }

    #[test]
    fn an_idle_slot_naps_after_one_scan_and_is_left_out_after_two() {
        let registry = Registry::new();
        let slot = registry.take();
        assert_eq!((slot.state.load(Relaxed), listed_and_free(&registry)), (registry.bits(), (0, 0)));
        for _ in 0..2 {
            registry.wake(slot);
            assert_eq!((slot.state.load(Relaxed), slot.listed.load(Relaxed)), (registry.bits() | state::AWAKE, 1));
            assert_eq!(listed_and_free(&registry), (1, 0));
        }
        for listed in [1, 0] {
            assert_eq!(open(&registry, KEY), 0);
            assert_eq!((slot.state.load(Relaxed), slot.listed.load(Relaxed)), (registry.bits(), listed));
            assert_eq!(listed_and_free(&registry), (listed as usize, 0), "its reader may enter again");
        }
    }

    #[test]
    fn gate_4_a_slot_with_a_section_stays_awake_and_is_found_by_its_key() {
        let registry = Registry::new();
        let slot = registry.lend();
        registry.wake(slot);
        slot.places[0].set(KEY, Location::caller());
        for _ in 0..3 {
            assert_eq!((open(&registry, KEY), open(&registry, KEY + 1), registry.all().len()), (1, 0, 1));
            assert_eq!(slot.state.load(Relaxed), registry.bits() | state::AWAKE | state::LENT | state::SLOW);
        }
    }

    #[test]
    fn gate_7_the_section_of_a_reader_that_has_ended_is_reported_until_it_ends() {
        let registry = Registry::new();
        let slot = registry.take();
        registry.wake(slot);
        slot.places[0].set(KEY, Location::caller());
        registry.give_back(slot);
        assert_eq!((open(&registry, KEY), listed_and_free(&registry)), (1, (1, 0)));
        slot.places[0].clear();
        // A reader that enters late may still use the slot that naps.
        assert_eq!((open(&registry, KEY), listed_and_free(&registry)), (0, (1, 0)));
        assert_eq!((open(&registry, KEY), listed_and_free(&registry)), (0, (0, 1)));
        assert_eq!(slot.state.load(Relaxed), 0);
        assert!(std::ptr::eq(slot, registry.take()));
    }
}
