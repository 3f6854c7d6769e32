//! Mutexes that the lint knows of: `parking_lot`'s, with a class.
//!
//! A *short* one is what the kernel calls a spinlock: held for a few statements, allowed in non-sleeping sections and
//! interrupt handlers, and nothing blocks while it is held. A *sleeping* one may be held across what blocks, so to take
//! it may block. Both wait in the same way; the difference is the promise.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use super::held::{self, Entry, What};
use super::wait::{self, For};
use super::{Class, check, enabled, raw};

/// A mutex; see [`Mutex::new`] and [`Mutex::sleeping`]. While the lint is off it costs one relaxed load more than
/// `parking_lot`'s.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint::{Class, Mutex};
///
/// static COUNTERS: Class = Class::new("counters");
/// static TOTAL: Mutex<u64> = Mutex::new(&COUNTERS, 0);
/// *TOTAL.lock() += 1;
/// assert_eq!(*TOTAL.lock(), 1);
/// ```
pub struct Mutex<T: ?Sized> {
    class: &'static Class,
    sleeping: bool,
    inner: raw::Mutex<T>,
}

/// A held [`Mutex`]; releasing is dropping.
#[must_use = "the mutex is released where this is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// If the lint was told.
    entry: Option<Entry>,
    nested: bool,
    pub(super) inner: raw::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// A short mutex: while it is held, nothing blocks.
    pub const fn new(class: &'static Class, value: T) -> Self {
        Self { class, sleeping: false, inner: raw::Mutex::new(value) }
    }

    /// A mutex that may be held while something blocks, and so is not taken where nothing may.
    pub const fn sleeping(class: &'static Class, value: T) -> Self {
        Self { class, sleeping: true, inner: raw::Mutex::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the mutex, waiting for it.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if enabled() {
            self.lock_watched(Location::caller(), false)
        } else {
            self.guard(self.inner.lock(), None, false)
        }
    }

    /// Takes the mutex while another of its class is held, in an order that the caller vouches for (by address, from
    /// parent to child).
    ///
    /// # Examples
    /// ```
    /// use lifeboat_sync::lint::{Class, Mutex};
    ///
    /// static BUFFER: Class = Class::new("buffer");
    ///
    /// let buffers = [Mutex::sleeping(&BUFFER, 1), Mutex::sleeping(&BUFFER, 2)];
    /// let from = buffers[0].lock();
    /// let to = buffers[1].lock_nested(); // always by index
    /// assert_eq!(*from + *to, 3);
    /// ```
    #[track_caller]
    #[inline]
    pub fn lock_nested(&self) -> MutexGuard<'_, T> {
        if enabled() { self.lock_watched(Location::caller(), true) } else { self.guard(self.inner.lock(), None, true) }
    }

    /// Takes the mutex if nobody has it. That waits for nothing, so it has no order and is allowed everywhere; what is
    /// then waited for while it is held has.
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        let entry = if enabled() { self.taken(Location::caller()) } else { None };
        Some(self.guard(inner, entry, false))
    }

    /// The value, without a lock: nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn lock_watched(&self, place: &'static Location<'static>, nested: bool) -> MutexGuard<'_, T> {
        self.before(place, nested);
        let inner = self.inner.lock();
        self.guard(inner, self.taken(place), nested)
    }

    /// To be called before waiting for it.
    fn before(&self, place: &'static Location<'static>, nested: bool) {
        if self.sleeping {
            check::blocking(format_args!("taking the sleeping lock `{}`", self.class.name()), place, None);
        }
        wait::before(self.class, wanted(nested), place, None);
    }

    fn taken(&self, place: &'static Location<'static>) -> Option<Entry> {
        held::push(if self.sleeping { What::Sleeping } else { What::Short }, Some(self.class), place)
    }

    #[inline]
    fn guard<'a>(&'a self, inner: raw::MutexGuard<'a, T>, entry: Option<Entry>, nested: bool) -> MutexGuard<'a, T> {
        MutexGuard { mutex: self, entry, nested, inner }
    }
}

fn wanted(nested: bool) -> For {
    if nested { For::NestedLock } else { For::Lock }
}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// Releases the mutex, runs `f`, and takes it again, also if `f` panics.
    #[track_caller]
    pub fn unlocked<R>(guard: &mut Self, f: impl FnOnce() -> R) -> R {
        let (mutex, nested, place) = (guard.mutex, guard.nested, Location::caller());
        guard.forget();
        let result = raw::MutexGuard::unlocked(&mut guard.inner, || {
            let result = f();
            if enabled() {
                mutex.before(place, nested);
            }
            result
        });
        if enabled() {
            guard.entry = mutex.taken(place);
        }
        result
    }

    /// To be called before waiting for a condition of this mutex: that blocks, and then takes the mutex again.
    pub(super) fn before_condition(&self, place: &'static Location<'static>) {
        let class = self.mutex.class;
        check::blocking(format_args!("waiting for a condition of `{}`", class.name()), place, self.entry);
        wait::before(class, wanted(self.nested), place, self.entry);
    }

    fn forget(&mut self) {
        if let Some(entry) = self.entry.take() {
            held::remove(entry);
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.forget();
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("class", &self.class).field("sleeping", &self.sleeping).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexGuard").field("mutex", &self.mutex).finish_non_exhaustive()
    }
}
