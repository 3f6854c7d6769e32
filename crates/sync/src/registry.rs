//! All slots of the process, and which of them a revoker has to look at.
//!
//! A slot is *awake* or it *naps*. Revokers look at those that are awake. A slot is born napping; its reader wakes it
//! when it enters a section and finds it so, under the registry's lock. A revoker that finds an awake slot without a
//! section marks it as napping, but goes on looking at it until the next time: a reader may just be entering that has
//! not seen the mark. The next look comes after another [heavy barrier](crate::barrier), so by then either the reader
//! has seen the mark and waits for the lock to wake its slot, or its section is seen. Therefore a thousand readers that
//! have nothing to do cost a revoker nothing, from the second look on.
//!
//! The barrier is executed with the lock held. Otherwise it could have been executed before another revoker's mark, and
//! say nothing of readers that have not seen that.
//!
//! The lock is taken when a reader registers, wakes or goes, and for each look; never while anyone waits for a section.

use std::sync::atomic::Ordering::Relaxed;

use crate::barrier::Mode;
use crate::primitive::{Mutex, lock};
use crate::slot::{Place, Slot, state};

/// See the [module documentation](self).
pub(crate) struct Registry {
    mode: Mode,
    slots: Mutex<Slots>,
}

struct Slots {
    /// Awake, and those that nap only since the last look.
    listed: Vec<&'static Slot>,
    /// Of no reader.
    free: Vec<&'static Slot>,
    /// Made so far. Both lists have room for all of them, so that only who makes one takes memory.
    made: usize,
}

/// A section that was open when a revoker looked.
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

    /// The one of this process (of this execution, in a model).
    pub(crate) fn get() -> &'static Self {
        &REGISTRY
    }

    /// A slot for a reader, without sections, napping.
    pub(crate) fn take(&self) -> &'static Slot {
        self.take_as(0)
    }

    /// A slot for one section, after which it goes back.
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

    /// State shared by all slots.
    fn bits(&self) -> u32 {
        let slow = self.mode == Mode::Fences || crate::watched();
        if slow { state::SLOW } else { 0 }
    }

    /// A reader that is no more gives its slot back. With a section that has not ended (its guard was leaked, or lies
    /// in a thread-local that goes later) the slot is an orphan: it stays visible, since who revokes what that section
    /// is of must be told, and is free when a look finds it idle.
    pub(crate) fn give_back(&self, slot: &'static Slot) {
        let mut slots = lock(&self.slots);
        if slot.is_idle() {
            slots.free.push(slot);
        } else {
            slot.state.store(slot.state.load(Relaxed) | state::ORPHAN, Relaxed);
        }
    }

    /// A reader is entering and has found its slot napping.
    #[cold]
    pub(crate) fn wake(&self, slot: &'static Slot) {
        let mut slots = lock(&self.slots);
        // The lint may have been switched on since.
        let kept = slot.state.load(Relaxed) & (state::LENT | state::SLOW);
        slot.state.store(state::AWAKE | self.bits() | kept, Relaxed);
        if slot.listed.swap(1, Relaxed) == 0 {
            slots.listed.push(slot);
        }
    }

    /// All open sections of whatever, for those who look on: what begins or ends meanwhile may be seen or not.
    pub(crate) fn all(&self) -> Vec<Open> {
        let slots = lock(&self.slots);
        let open = |slot: &&'static Slot| {
            let slot = *slot;
            slot.places.iter().filter(|place| !place.is_free()).map(move |place| Open { slot, place })
        };
        slots.listed.iter().flat_map(open).collect()
    }

    /// Puts all open sections of `key` into `open`. What was shut before this cannot be entered unseen after it.
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
