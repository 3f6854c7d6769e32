//! A reader's slot: where it says in which sections it is.
//!
//! One slot, on cache lines of its own, belongs to one reader at a time. It has a few *places*, each for one open
//! section: the key of what the section is of, and where in the source it began. Zero is no section. The reader alone
//! turns zero into a key; whoever holds the section turns the key into zero, perhaps on another thread; revokers only
//! look.
//!
//! Keys are stored with release, also over a zero that another section left: who reads a key or a zero with acquire
//! then sees all that sections which were in this place before have done.
#![allow(unsafe_code)] // a location is stored as an atomic pointer

use std::panic::Location;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::lint::hooks::Token;
use crate::primitive::{AtomicPtr, AtomicU32, AtomicU64, MODEL, Mutex, lock};

/// Sections that a reader can have open without a slow path. Nested deeper, it borrows another slot for each.
/// In models one, so that small ones come to the slow path.
pub(crate) const PLACES: usize = if MODEL { 1 } else { 4 };

/// State of a slot as a revoker sees it; begins and ends its sections. See [`Slot::state`].
pub(crate) mod state {
    /// Revokers look at this slot. Without it, entering must say so first.
    pub(crate) const AWAKE: u32 = 1;
    /// Entering and leaving take the slow path: by fences, watched by the lint, or of a borrowed slot.
    pub(crate) const SLOW: u32 = 2;
    /// The slot was borrowed for one section and goes back at its end.
    pub(crate) const LENT: u32 = 4;
    /// Its reader is no more, but a section of it has not ended.
    pub(crate) const ORPHAN: u32 = 8;
}

/// A section of a reader.
#[derive(Debug)]
pub(crate) struct Place {
    key: AtomicU64,
    location: AtomicPtr<Location<'static>>,
    /// What the first look of a watchdog has left here since the section began. No part of the protocol, so not of
    /// loom's either.
    mark: std::sync::atomic::AtomicU64,
}

/// No watchdog has seen the section yet.
const UNSEEN: u64 = 0;
/// No watchdog is to judge the section.
const MAY_LAST: u64 = u64::MAX;

/// See the [module documentation](self). Slots live as long as the process: nobody ever looks at one that is freed.
#[derive(Debug)]
#[repr(align(128))] // two lines: processors fetch them in pairs
pub(crate) struct Slot {
    pub(crate) places: [Place; PLACES],
    /// Bits of [`state`]. Written under the registry's lock only.
    pub(crate) state: AtomicU32,
    /// Whether the registry has it among those it looks at. Under the registry's lock only.
    pub(crate) listed: AtomicU32,
    name: Mutex<String>,
    /// Names of the sections for the lint. Not part of any protocol, so not of loom's either.
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

    /// Says that a section of `key` is open here.
    #[inline]
    pub(crate) fn set(&self, key: u64, location: &'static Location<'static>) {
        self.location.store(std::ptr::from_ref(location).cast_mut(), Relaxed);
        self.mark.store(UNSEEN, Relaxed);
        self.key.store(key, Release);
    }

    /// Says that the section that is open here may last: no watchdog is to judge it.
    pub(crate) fn may_last(&self) {
        self.mark.store(MAY_LAST, Relaxed);
    }

    /// The mark of the section of `key` that is open here, unless that section may last. A section without one gets
    /// `fresh`, which no other has.
    pub(crate) fn mark(&self, key: u64, fresh: impl FnOnce() -> u64) -> Option<u64> {
        if !self.holds(key) {
            return None;
        }
        // If another section has begun in between, it is marked instead, or its reader clears the mark.
        let mark = match self.mark.load(Relaxed) {
            UNSEEN => {
                let fresh = fresh();
                self.mark.compare_exchange(UNSEEN, fresh, Relaxed, Relaxed).map_or_else(|seen| seen, |_| fresh)
            }
            seen => seen,
        };
        (mark != MAY_LAST).then_some(mark)
    }

    /// Says that the section has ended.
    #[inline]
    pub(crate) fn clear(&self) {
        self.key.store(0, Release);
    }

    /// Where the section that is open here began, or the last one did.
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        let location = self.location.load(Relaxed);
        // SAFETY: `set` stores pointers that were `&'static`; else it is null, of which `as_ref` makes `None`.
        unsafe { location.as_ref() }
    }

    /// Whether a section of `key` is open here. A `false` carries all that it did.
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

    /// The place of a lent slot's only section.
    pub(crate) fn first(&'static self) -> &'static Place {
        let [first, ..] = &self.places;
        first
    }

    /// The first place without a section.
    #[inline]
    pub(crate) fn free_place(&'static self) -> Option<&'static Place> {
        self.places.iter().find(|place| place.is_free())
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.places.iter().all(Place::is_free)
    }

    /// Where the lint's word for the section in a place is kept.
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
