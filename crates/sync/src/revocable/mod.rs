//! Revocable objects: sections that must not block, for register access.
//!
//! A revoked object is dropped when no section is open: by the revoker, or, if the revoker has
//! given up, at the end of the last section. The turnstile tells when this moment has come, without
//! a counter.
#![allow(unsafe_code)] // threads share an object whose drop is decided at run time

mod guards;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::lint::{self, Class, hooks::SectionKind};
use crate::primitive::UnsafeCell;
use crate::slot::Slot;
use crate::turnstile::{Owner, Ticket, Turnstile};
use crate::waiter::Waiter;
use crate::{Holdouts, Reader, Stay, reader};

pub use guards::{Access, BoundProof};
use guards::{Leave, LeaveFast};

const ON_THREAD: Owner = Owner::OnThread(SectionKind::Revocable);

/// Object that can be taken away while other threads use it; see the [module documentation](self).
///
/// # Examples
/// ```
/// use lifeboat_sync::Revocable;
/// use std::time::Duration;
///
/// let registers = Revocable::new([1, 2, 3]);
/// assert_eq!(registers.try_access_with(|r| r[1]), Some(2));
/// registers.revoke(Duration::from_secs(1)).unwrap();
/// assert_eq!(registers.try_access_with(|r| r[1]), None);
/// ```
///
/// The object cannot leave its section (GATE-1); such code does not compile.
pub struct Revocable<T> {
    turnstile: Turnstile,
    object: UnsafeCell<ManuallyDrop<T>>,
    /// Whether the object has been dropped. Written by the thread that drops the object.
    dropped: UnsafeCell<bool>,
}

// SAFETY: sending a `Revocable<T>` sends the `T` in it, and a section on any thread may drop this
// `T`. Both need only `T: Send`.
unsafe impl<T: Send> Send for Revocable<T> {}

// SAFETY: sharing a `Revocable<T>` gives `&T` to several threads at once (`T: Sync`) and lets any
// of them drop a `T` that another thread created (`T: Send`). `dropped` is written once, by the
// thread that drops the object, and read only with `&mut self`.
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

impl<T> Revocable<T> {
    /// Creates an accessible object.
    pub fn new(object: T) -> Self {
        Self::with_class(&lint::REVOCABLE, object)
    }

    /// Creates an accessible object with its own class for the [lint].
    pub fn with_class(class: &'static Class, object: T) -> Self {
        Self {
            turnstile: Turnstile::new(class),
            object: UnsafeCell::new(ManuallyDrop::new(object)),
            dropped: UnsafeCell::new(false),
        }
    }

    /// Runs `f` inside a section of this thread. Returns `None` if the object has been revoked. `f`
    /// must not block.
    ///
    /// Prefer this function to [`Revocable::try_access`], because the section of a closure cannot
    /// be leaked.
    #[inline]
    #[track_caller]
    pub fn try_access_with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.access_in(reader::cached(), Location::caller(), f)
    }

    /// Runs `f` as [`Revocable::try_access_with`] does, in a section of `reader` instead of this
    /// thread.
    #[inline]
    #[track_caller]
    pub fn try_access_by<R>(&self, reader: &Reader, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.access_in(Some(reader.slot()), Location::caller(), f)
    }

    /// Begins a section of this thread. Returns `None` if the object has been revoked.
    #[inline]
    #[track_caller]
    pub fn try_access(&self) -> Option<Access<'_, T>> {
        match self.turnstile.enter(reader::cached(), Location::caller(), ON_THREAD) {
            Some(ticket) => Some(Access { revocable: self, ticket, on_this_thread: PhantomData }),
            None => self.refuse(),
        }
    }

    /// Creates a proof that keeps the object for the duration of a bus callback. Returns `None` if
    /// the object has been revoked.
    #[track_caller]
    pub fn bound(&self) -> Option<BoundProof<'_, T>> {
        match self.turnstile.enter_lent(Location::caller(), Owner::OnThread(SectionKind::Bound)) {
            Some(ticket) => Some(self.bound_with(ticket)),
            None => self.refuse(),
        }
    }

    fn bound_with(&self, ticket: Ticket) -> BoundProof<'_, T> {
        ticket.may_last();
        BoundProof { revocable: self, ticket }
    }

    /// Creates a proof as [`Revocable::bound`] does, with a reader that the caller brings. This
    /// allocates no memory, so the end of a device does not depend on memory.
    #[track_caller]
    pub fn bound_by<'a>(&'a self, reader: &'a mut Reader) -> Option<BoundProof<'a, T>> {
        match self.turnstile.enter(Some(reader.slot()), Location::caller(), Owner::OnThread(SectionKind::Bound)) {
            Some(ticket) => Some(self.bound_with(ticket)),
            None => self.refuse(),
        }
    }

    /// Returns the object without a check, because `bound` proves that the object is there.
    ///
    /// # Panics
    /// If `bound` belongs to another object.
    #[inline]
    pub fn access<'a>(&'a self, bound: &'a BoundProof<'_, T>) -> &'a T {
        assert!(std::ptr::eq(self, bound.revocable), "the proof is of another object");
        bound
    }

    /// Tells whether the object has been revoked. A `false` may be out of date when it is returned.
    pub fn is_revoked(&self) -> bool {
        self.turnstile.is_shut()
    }

    /// Returns the open sections, for a watchdog that compares them with the result of an earlier
    /// scan. [`BoundProof`](Revocable::bound) sections are left out, because they may last.
    pub fn stays(&self) -> Vec<Stay> {
        self.turnstile.stays()
    }

    /// Revokes the object: no section begins from now on. Waits until the object has been dropped,
    /// which happens when no section is open. On `Ok` the object is gone (GATE-4). Several threads
    /// may call this, and repeatedly.
    ///
    /// # Errors
    /// The sections that are still open when `limit` has passed; the last of them will drop the
    /// object. A call from inside a section of the same object always fails.
    #[track_caller]
    pub fn revoke(&self, limit: Duration) -> Result<(), Holdouts> {
        self.turnstile.wait(limit, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.drop_object() }
        })
    }

    /// Revokes the object as [`Revocable::revoke`] does, but waits until `deadline`.
    ///
    /// # Errors
    /// As [`Revocable::revoke`].
    #[track_caller]
    pub fn revoke_deadline(&self, deadline: Instant) -> Result<(), Holdouts> {
        self.revoke(deadline.saturating_duration_since(Instant::now()))
    }

    /// Revokes the object without a wait and returns it. No section can be open, because `self` is
    /// borrowed exclusively. Returns `None` if the object has been dropped already.
    pub fn revoke_nosync(&mut self) -> Option<T> {
        self.turnstile.end();
        if self.was_dropped() {
            return None;
        }
        self.dropped.with_mut(|dropped| {
            // SAFETY: `self` is borrowed exclusively.
            unsafe { *dropped = true };
        });
        self.object.with_mut(|object| {
            // SAFETY: as in `Drop`. `dropped` is set, so the object is not taken again.
            Some(unsafe { ManuallyDrop::take(&mut *object) })
        })
    }

    pub(crate) fn begin_wait(&self, begun: &'static Location<'static>) -> Waiter {
        self.turnstile.begin_wait(begun)
    }

    pub(crate) fn poll_wait(&self, waiter: &mut Waiter, context: &mut Context<'_>) -> Poll<()> {
        self.turnstile.poll_wait(waiter, context, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.drop_object() }
        })
    }

    pub(crate) fn end_wait(&self, waiter: &mut Waiter) {
        self.turnstile.end_wait(waiter, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.drop_object() }
        });
    }

    pub(crate) fn holdouts(&self) -> Holdouts {
        self.turnstile.holdouts()
    }

    /// Runs `f` in a section of `slot`. `f` is compiled twice, for the fast and for the slow entry,
    /// so that the fast path need not remember how it has entered.
    #[inline]
    fn access_in<R>(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
        f: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        let Some(place) = self.turnstile.enter_fast(slot, location) else {
            return self.access_slowly(slot, location, f);
        };
        let _leave = LeaveFast(self, place);
        // SAFETY: a section is open until `_leave` is dropped, which comes after this expression.
        // The object is dropped only when the turnstile is still, which an open section prevents,
        // and no `&mut` to the object exists before. The reference cannot outlive `f`, which is
        // generic over its lifetime.
        Some(self.object.with(|object| f(unsafe { &*object })))
    }

    #[cold]
    fn access_slowly<R>(
        &self,
        slot: Option<&'static Slot>,
        location: &'static Location<'static>,
        f: impl FnOnce(&T) -> R,
    ) -> Option<R> {
        let Some(ticket) = self.turnstile.enter_slowly(slot, location, ON_THREAD) else { return self.refuse() };
        let _leave = Leave(self, ticket);
        // SAFETY: as in `access_in`.
        Some(self.object.with(|object| f(unsafe { &*object })))
    }

    #[inline]
    fn leave(&self, ticket: Ticket) {
        self.turnstile.leave(ticket, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.drop_object() }
        });
    }

    #[cold]
    fn refuse<R>(&self) -> Option<R> {
        self.turnstile.left(|| {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.drop_object() }
        });
        None
    }

    /// Drops the object, unless that was done before.
    ///
    /// # Safety
    /// The turnstile must be still, which it becomes once: no section is open and none can begin.
    unsafe fn drop_object(&self) {
        let already = self.dropped.with_mut(|dropped| {
            // SAFETY: this function runs once, and methods with `&mut self` cannot run at the same
            // time.
            unsafe { std::mem::replace(&mut *dropped, true) }
        });
        if !already {
            self.object.with_mut(|object| {
                // SAFETY: no other reference exists, and `dropped` was not set.
                unsafe { ManuallyDrop::drop(&mut *object) };
            });
        }
    }

    fn was_dropped(&mut self) -> bool {
        self.dropped.with(|dropped| {
            // SAFETY: `self` is borrowed exclusively.
            unsafe { *dropped }
        })
    }
}

impl<T> Drop for Revocable<T> {
    fn drop(&mut self) {
        if !self.was_dropped() {
            self.object.with_mut(|object| {
                // SAFETY: guards borrow `self`, so no guard is alive, and a leaked guard can no
                // longer be used. The object has not been dropped before.
                unsafe { ManuallyDrop::drop(&mut *object) };
            });
        }
    }
}

impl<T> fmt::Debug for Revocable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocable").field("revoked", &self.is_revoked()).finish_non_exhaustive()
    }
}
