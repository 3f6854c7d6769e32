//! Slots: each reader writes its open sections into its own slot.
//!
//! A slot lies on its own cache lines and belongs to one reader at a time. It has a few *places*,
//! each for one open section: the key of the section's turnstile, and the location in the source at
//! which the section began. A key of zero means that the place is free. Only the reader changes
//! zero to a key. The holder of the section changes the key back to zero, perhaps on another
//! thread. Revokers only read.
//!
//! Keys are stored with release ordering, even over the zero of an ended section. So a thread that
//! loads a key or a zero with acquire ordering sees the effects of all earlier sections in this
//! place.
#![allow(unsafe_code)] // a location is stored as an atomic pointer

use std::panic::Location;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::lint::hooks::Token;
use crate::primitive::{AtomicPtr, AtomicU32, AtomicU64, MODEL, Mutex, lock};

/// Number of sections that a reader can have open without a slow path. For each section that is
/// nested deeper, the reader borrows another slot. Models have one place, so that small models
/// reach the slow path.
pub(crate) const PLACES: usize = if MODEL { 1 } else { 4 };

/// Bits of the state of a slot, which decide how sections begin and end. See [`Slot::state`].
pub(crate) mod state {
    /// Revokers scan this slot. Without this bit, a reader must register the slot before it enters.
    pub(crate) const AWAKE: u32 = 1;
    /// Entry and leave take the slow path: in the fence mode, under the lint, or in a borrowed
    /// slot.
    pub(crate) const SLOW: u32 = 2;
    /// The slot is borrowed for one section and goes back at its end.
    pub(crate) const LENT: u32 = 4;
    /// The reader has ended, but one of its sections is still open.
    pub(crate) const ORPHAN: u32 = 8;
}

/// Place for one open section of a reader.
#[derive(Debug)]
pub(crate) struct Place {
    key: AtomicU64,
    location: AtomicPtr<Location<'static>>,
    /// Mark of the first watchdog scan since the section began. The mark is not part of the
    /// protocol, so loom does not model it.
    mark: std::sync::atomic::AtomicU64,
}

/// Mark of a section that no watchdog has seen yet.
const UNSEEN: u64 = 0;
/// Mark of a section that no watchdog judges.
const MAY_LAST: u64 = u64::MAX;

/// Slot of a reader; see the [module documentation](self). A slot lives as long as the process, so
/// a scan never reads a freed slot.
#[derive(Debug)]
#[repr(align(128))] // two lines: processors fetch them in pairs
pub(crate) struct Slot {
    pub(crate) places: [Place; PLACES],
    /// Bits of [`state`]. Written only under the registry's lock.
    pub(crate) state: AtomicU32,
    /// Whether the registry lists this slot for scans. Accessed only under the registry's lock.
    pub(crate) listed: AtomicU32,
    name: Mutex<String>,
    /// Tokens of the sections for the lint. They are not part of the protocol, so loom does not
    /// model them.
    tokens: [std::sync::Mutex<Option<Token>>; PLACES],
}

impl Place {
    fn new() -> Self {
        let mark = std::sync::atomic::AtomicU64::new(UNSEEN);
        Self { key: AtomicU64::new(0), location: AtomicPtr::new(std::ptr::null_mut()), mark }
    }

    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.key.load(Acquire) == 0
    }

    /// Records that a section of `key` is open in this place.
    #[inline]
    pub(crate) fn set(&self, key: u64, location: &'static Location<'static>) {
        self.location.store(std::ptr::from_ref(location).cast_mut(), Relaxed);
        self.mark.store(UNSEEN, Relaxed);
        self.key.store(key, Release);
    }

    /// Records that the open section may last, so that no watchdog judges it.
    pub(crate) fn may_last(&self) {
        self.mark.store(MAY_LAST, Relaxed);
    }

    /// Returns the mark of the open section of `key`, or `None` if the section may last or is not
    /// open. An unmarked section gets the mark `fresh()`, which must be unique.
    pub(crate) fn mark(&self, key: u64, fresh: impl FnOnce() -> u64) -> Option<u64> {
        if !self.holds(key) {
            return None;
        }
        // Another section may have begun meanwhile. Then it gets the mark, or its reader clears the
        // mark.
        let mark = match self.mark.load(Relaxed) {
            UNSEEN => {
                let fresh = fresh();
                self.mark.compare_exchange(UNSEEN, fresh, Relaxed, Relaxed).map_or_else(|seen| seen, |_| fresh)
            }
            seen => seen,
        };
        (mark != MAY_LAST).then_some(mark)
    }

    /// Records that the section has ended.
    #[inline]
    pub(crate) fn clear(&self) {
        self.key.store(0, Release);
    }

    /// Returns the location at which the open section began, or the last section if none is open.
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        let location = self.location.load(Relaxed);
        // SAFETY: `set` stores pointers that came from `&'static`. Before the first `set` the
        // pointer is null, for which `as_ref` returns `None`.
        unsafe { location.as_ref() }
    }

    /// Tells whether a section of `key` is open here. After a `false`, the caller sees all effects
    /// of that section.
    pub(crate) fn holds(&self, key: u64) -> bool {
        self.key.load(Acquire) == key
    }
}

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            places: std::array::from_fn(|_| Place::new()),
            state: AtomicU32::new(0),
            listed: AtomicU32::new(0),
            name: Mutex::new(String::new()),
            tokens: [const { std::sync::Mutex::new(None) }; PLACES],
        }
    }

    /// Returns the place for the only section of a borrowed slot.
    pub(crate) fn first(&'static self) -> &'static Place {
        let [first, ..] = &self.places;
        first
    }

    /// Returns the first place without a section.
    #[inline]
    pub(crate) fn free_place(&'static self) -> Option<&'static Place> {
        self.places.iter().find(|place| place.is_free())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.places.iter().all(Place::is_free)
    }

    /// Returns the storage for the lint's token of the section in `place`.
    pub(crate) fn token(&self, place: &Place) -> Option<&std::sync::Mutex<Option<Token>>> {
        let mut of_places = self.places.iter().zip(&self.tokens);
        of_places.find_map(|(of, token)| std::ptr::eq(of, place).then_some(token))
    }

    pub(crate) fn name(&self) -> String {
        lock(&self.name).clone()
    }

    pub(crate) fn set_name(&self, name: String) {
        *lock(&self.name) = name;
    }
}
