//! Mutexes that the lint watches: those of `parking_lot`, with a class.
//!
//! A *short* mutex is like a spinlock of the kernel: it is held for a few statements, it is allowed
//! in non-sleeping sections and interrupt handlers, and no code blocks while it is held. A
//! *sleeping* mutex may be held across code that blocks, so taking it may block. Both wait in the
//! same way; they differ only in this promise.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use super::held::{self, Entry, What};
use super::wait::{self, For};
use super::{Class, check, enabled, raw};

/// Mutex that the lint watches; see [`Mutex::new`] and [`Mutex::sleeping`]. While the lint is off,
/// a lock costs one relaxed load more than that of `parking_lot`.
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

/// Guard of a locked [`Mutex`]. Dropping it releases the mutex.
#[must_use = "the mutex is released where this is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// Entry in the list of the thread, if the lint was on.
    entry: Option<Entry>,
    nested: bool,
    pub(super) inner: raw::MutexGuard<'a, T>,
}

impl<T> Mutex<T> {
    /// Creates a short mutex: no code blocks while it is held.
    pub const fn new(class: &'static Class, value: T) -> Self {
        Self { class, sleeping: false, inner: raw::Mutex::new(value) }
    }

    /// Creates a mutex under which code may block. It cannot be taken where blocking is forbidden.
    pub const fn sleeping(class: &'static Class, value: T) -> Self {
        Self { class, sleeping: true, inner: raw::Mutex::new(value) }
    }

    /// Consumes the mutex and returns the value.
    pub fn into_inner(self) -> T {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, and waits for it if necessary.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if enabled() {
            self.lock_watched(Location::caller(), false)
        } else {
            self.guard(self.inner.lock(), None, false)
        }
    }

    /// Locks the mutex while another mutex of its class is held. The caller guarantees an order,
    /// such as by address, or from parent to child.
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

    /// Locks the mutex if it is free. This waits for nothing, so it adds no edge to the order and
    /// is allowed everywhere. A wait while the mutex is held does add an edge.
    #[track_caller]
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let inner = self.inner.try_lock()?;
        let entry = if enabled() { self.taken(Location::caller()) } else { None };
        Some(self.guard(inner, entry, false))
    }

    /// Returns the value without locking, because the mutex is borrowed exclusively.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    fn lock_watched(&self, place: &'static Location<'static>, nested: bool) -> MutexGuard<'_, T> {
        self.before(place, nested);
        let inner = self.inner.lock();
        self.guard(inner, self.taken(place), nested)
    }

    /// Checks the lock before the wait for it.
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
    /// Releases the mutex, runs `f`, and locks the mutex again, even if `f` panics.
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

    /// Checks a wait for a condition of this mutex, which blocks and then takes the mutex again.
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
