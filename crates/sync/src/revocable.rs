//! A revocable object: sections that must not block, for register access.
//!
//! The object is dropped when it has been revoked and no section is open: by the revoker, or, if that gave up waiting,
//! at the end of the last section. How that is known without counting is the turnstile's matter.
#![allow(unsafe_code)] // sharing an object whose drop is decided at run time is what this file is for

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::panic::Location;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::lint::{self, Class, hooks::SectionKind};
use crate::primitive::UnsafeCell;
use crate::slot::{Place, Slot};
use crate::turnstile::{Kind, Ticket, Turnstile};
use crate::waiter::Waiter;
use crate::{Holdouts, Reader, Stay, reader};

const ON_THREAD: Kind = Kind::OnThread(SectionKind::Revocable);

/// An object that can be taken away while others use it; see the [module documentation](self).
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
/// The object cannot leave its section (GATE-1): that does not compile.
pub struct Revocable<T> {
    turnstile: Turnstile,
    object: UnsafeCell<ManuallyDrop<T>>,
    /// Whether the object has been dropped. Written by the one that drops it.
    dropped: UnsafeCell<bool>,
}

// SAFETY: sending a `Revocable<T>` sends the `T` in it, and a section on any thread may be the one that drops it; both
// only need `T: Send`.
unsafe impl<T: Send> Send for Revocable<T> {}

// SAFETY: sharing a `Revocable<T>` gives `&T` to several threads at once (`T: Sync`) and lets any of them drop the `T`
// that another created (`T: Send`). `dropped` is written once, by whoever drops, and read with `&mut self` only.
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

/// An open section of this thread; leaving is dropping. Must not be held across anything that blocks.
///
/// It holds no reference to the object, only to the cell: leaving may drop the object while the guard is still there.
#[must_use = "the section ends where this is dropped"]
pub struct Access<'a, T> {
    revocable: &'a Revocable<T>,
    ticket: Ticket,
    on_this_thread: PhantomData<*const ()>,
}

/// Proof that the object stays as long as this does: what the bus gives to its callbacks, as the kernel gives
/// `&Device<Bound>`. Access through it checks nothing (GATE-10).
///
/// To a revoker it is one long section, in which blocking is allowed. It may be shared and sent between threads.
#[must_use = "the object can be revoked where this is dropped"]
pub struct Bound<'a, T> {
    revocable: &'a Revocable<T>,
    ticket: Ticket,
}

impl<T> Revocable<T> {
    /// An accessible object.
    pub fn new(object: T) -> Self {
        Self::with_class(&lint::REVOCABLE, object)
    }

    /// An accessible object whose sections are of a class of their own to the [lint].
    pub fn with_class(class: &'static Class, object: T) -> Self {
        Self {
            turnstile: Turnstile::new(class),
            object: UnsafeCell::new(ManuallyDrop::new(object)),
            dropped: UnsafeCell::new(false),
        }
    }

    /// Runs `f` inside a section of this thread, or returns `None` if the object has been revoked. `f` must not block.
    ///
    /// Prefer this to [`Revocable::try_access`]: a closure's section cannot be leaked.
    #[inline]
    #[track_caller]
    pub fn try_access_with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.access_in(reader::cached(), Location::caller(), f)
    }

    /// The same as a section of `reader`, under whose name it is reported.
    #[inline]
    #[track_caller]
    pub fn try_access_by<R>(&self, reader: &Reader, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.access_in(Some(reader.slot()), Location::caller(), f)
    }

    /// Begins a section of this thread, or returns `None` if the object has been revoked.
    #[inline]
    #[track_caller]
    pub fn try_access(&self) -> Option<Access<'_, T>> {
        match self.turnstile.enter(reader::cached(), Location::caller(), ON_THREAD) {
            Some(ticket) => Some(Access { revocable: self, ticket, on_this_thread: PhantomData }),
            None => self.refuse(),
        }
    }

    /// Keeps the object from being revoked for the time of a bus callback, or `None` if it has been already.
    #[track_caller]
    pub fn bound(&self) -> Option<Bound<'_, T>> {
        match self.turnstile.enter_lent(Location::caller(), Kind::OnThread(SectionKind::Bound)) {
            Some(ticket) => Some(self.bound_with(ticket)),
            None => self.refuse(),
        }
    }

    fn bound_with(&self, ticket: Ticket) -> Bound<'_, T> {
        ticket.may_last();
        Bound { revocable: self, ticket }
    }

    /// As [`Revocable::bound`], on behalf of a reader that was made for it. Takes no memory, so that what ends a device does not
    /// depend on it.
    #[track_caller]
    pub fn bound_by<'a>(&'a self, reader: &'a mut Reader) -> Option<Bound<'a, T>> {
        match self.turnstile.enter(Some(reader.slot()), Location::caller(), Kind::OnThread(SectionKind::Bound)) {
            Some(ticket) => Some(self.bound_with(ticket)),
            None => self.refuse(),
        }
    }

    /// The object, without a check: `bound` proves that it is there.
    ///
    /// # Panics
    /// If `bound` is of another object.
    #[inline]
    pub fn access<'a>(&'a self, bound: &'a Bound<'_, T>) -> &'a T {
        assert!(std::ptr::eq(self, bound.revocable), "the proof is of another object");
        bound
    }

    /// Whether the object has been revoked. A `false` may be out of date as soon as it is returned.
    pub fn is_revoked(&self) -> bool {
        self.turnstile.is_shut()
    }

    /// The sections that are open now, but for [bound](Revocable::bound) ones, which may last: for a watchdog, which
    /// compares them with those of a later look.
    pub fn stays(&self) -> Vec<Stay> {
        self.turnstile.stays()
    }

    /// Takes the object away: no section begins from now on, and the object is dropped as soon as none is open. Waits
    /// for that. When it returns `Ok`, the object is gone (GATE-4). Idempotent and safe to call from several threads.
    ///
    /// # Errors
    /// The sections that are open when `limit` has passed; the last of them drops the object. Called from inside a
    /// section of the same object it can only end so.
    #[track_caller]
    pub fn revoke(&self, limit: Duration) -> Result<(), Holdouts> {
        self.turnstile.wait(limit, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.drop_object() }
        })
    }

    /// The same until a moment instead of for a time.
    ///
    /// # Errors
    /// As [`Revocable::revoke`].
    #[track_caller]
    pub fn revoke_deadline(&self, deadline: Instant) -> Result<(), Holdouts> {
        self.revoke(deadline.saturating_duration_since(Instant::now()))
    }

    /// Takes the object away without waiting for anybody: there can be nobody, since `self` is borrowed exclusively.
    /// Gives it back, or `None` if it has been revoked before.
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
            // SAFETY: as in `Drop`; `dropped` is set, so nobody takes it again.
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

    /// `f` is compiled twice, so that the fast path needs to remember nothing of how it came in.
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
        // SAFETY: a section is open until `_leave` is dropped, after this. The object is dropped only when the
        // turnstile is still, which an open section prevents; and nobody has `&mut` to it before. The reference cannot
        // outlive `f`, which is generic over its lifetime.
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

    /// # Safety
    /// Only when the turnstile is still, which it becomes once: no section is open and none can open.
    unsafe fn drop_object(&self) {
        let already = self.dropped.with_mut(|dropped| {
            // SAFETY: this runs once; `&mut self` methods cannot run beside it.
            unsafe { std::mem::replace(&mut *dropped, true) }
        });
        if !already {
            self.object.with_mut(|object| {
                // SAFETY: there is no other reference, and `dropped` was not set.
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

/// Leaves the section when dropped, also when the section's code panics.
struct LeaveFast<'a, T>(&'a Revocable<T>, &'static Place);

impl<T> Drop for LeaveFast<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.turnstile.leave_fast(self.1, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.0.drop_object() }
        });
    }
}

/// The same for a section that was entered slowly.
struct Leave<'a, T>(&'a Revocable<T>, Ticket);

impl<T> Drop for Leave<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

impl<T> Deref for Access<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the section is open until `self` is dropped (or for ever, if it is leaked), and the reference cannot
        // outlive the borrow of `self`; see `access_in` for why an open section keeps the object valid.
        self.revocable.object.with(|object| unsafe { &*object })
    }
}

impl<T> Deref for Bound<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: as for `Access`: it has a section too.
        self.revocable.object.with(|object| unsafe { &*object })
    }
}

impl<T> Drop for Access<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.revocable.leave(self.ticket);
    }
}

impl<T> Drop for Bound<'_, T> {
    fn drop(&mut self) {
        self.revocable.leave(self.ticket);
    }
}

impl<T> Drop for Revocable<T> {
    fn drop(&mut self) {
        if !self.was_dropped() {
            self.object.with_mut(|object| {
                // SAFETY: guards borrow `self`, so none is alive (a leaked one can no longer be used), and nobody has
                // dropped the object.
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

/// What is behind a revocable is reached inside a section, and stays there:
///
/// ```
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let mut value = None;
/// registers.try_access_with(|r| value = Some(r[0]));
/// assert_eq!(value, Some(1));
/// ```
/// ```compile_fail,E0521
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let mut escaped = None;
/// registers.try_access_with(|r| escaped = Some(r));
/// ```
#[cfg(doctest)]
mod gate_1_the_object_does_not_leave_the_section_of_a_closure {}

/// A reference ends with its guard:
///
/// ```
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let section = registers.try_access().unwrap();
/// let object: &Vec<i32> = &section;
/// assert_eq!(object[0], 1);
/// drop(section);
/// ```
/// ```compile_fail,E0505
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let section = registers.try_access().unwrap();
/// let object: &Vec<i32> = &section;
/// drop(section);
/// assert_eq!(object[0], 1);
/// ```
#[cfg(doctest)]
mod gate_1_the_object_does_not_outlive_its_guard {}

/// And with its proof:
///
/// ```
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let bound = registers.bound().unwrap();
/// let object: &Vec<i32> = registers.access(&bound);
/// assert_eq!(object[0], 1);
/// drop(bound);
/// ```
/// ```compile_fail,E0505
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let bound = registers.bound().unwrap();
/// let object: &Vec<i32> = registers.access(&bound);
/// drop(bound);
/// assert_eq!(object[0], 1);
/// ```
#[cfg(doctest)]
mod gate_1_the_object_does_not_outlive_its_proof {}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    fn holdouts<T>(result: Result<T, Holdouts>) -> usize {
        result.map_or_else(|holdouts| holdouts.iter().count(), |_| 0)
    }

    #[test]
    fn gate_4_the_object_is_dropped_once_and_before_revoke_returns() {
        let object = Arc::new(());
        let revocable = Revocable::new(object.clone());
        assert!(revocable.try_access_with(|_| ()).is_some());
        revocable.revoke(SOON).unwrap();
        assert_eq!(Arc::strong_count(&object), 1);
        assert!(revocable.try_access().is_none());
        revocable.revoke(SOON).unwrap();
        drop(revocable);
        assert_eq!(Arc::strong_count(&object), 1);
    }

    #[test]
    fn an_open_section_defers_the_drop_to_its_end() {
        let object = Arc::new(());
        let revocable = Revocable::new(object.clone());
        let section = revocable.try_access().unwrap();
        assert_eq!(holdouts(revocable.revoke(SOON)), 1);
        assert_eq!(Arc::strong_count(&*section), 2);
        drop(section);
        assert_eq!(Arc::strong_count(&object), 1);
    }

    #[test]
    fn life_6_a_forgotten_guard_leaks_and_is_reported() {
        let object = Arc::new(());
        let mut revocable = Revocable::new(object.clone());
        std::mem::forget(revocable.try_access());
        let holdouts = revocable.revoke(SOON).unwrap_err();
        assert_eq!(holdouts.iter().next().unwrap().place.line(), line!() - 2);
        assert_eq!(Arc::strong_count(&object), 2);
        // Nobody can use it any more.
        assert!(revocable.revoke_nosync().is_some());
        drop(revocable);
        assert_eq!(Arc::strong_count(&object), 1);
    }

    #[test]
    fn gate_10_a_proof_needs_no_check_and_holds_the_object() {
        drop(crate::Reader::new("had the slot before"));
        let object = Arc::new(());
        let revocable = Revocable::new(object.clone());
        let bound = revocable.bound().unwrap();
        let in_the_way = revocable.revoke(SOON).unwrap_err();
        let thread = std::thread::current().name().unwrap().to_owned();
        assert_eq!(in_the_way.iter().map(|holdout| &holdout.thread).collect::<Vec<_>>(), [&thread]);
        assert!(revocable.try_access().is_none());
        assert_eq!(Arc::strong_count(revocable.access(&bound)), 2);
        std::thread::scope(|scope| {
            scope.spawn(move || drop(bound));
        });
        assert_eq!(Arc::strong_count(&object), 1);
        assert!(revocable.bound().is_none());
    }

    #[test]
    #[should_panic(expected = "another object")]
    fn gate_10_a_proof_of_something_else_is_refused() {
        let (one, other) = (Revocable::new(1), Revocable::new(2));
        one.access(&other.bound().unwrap());
    }

    #[test]
    fn a_panic_inside_a_section_leaves_it() {
        let revocable = Revocable::new(());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            revocable.try_access_with(|()| panic!("inside"));
        }));
        assert!(panicked.is_err());
        revocable.revoke(SOON).unwrap();
    }

    #[test]
    fn an_object_that_panics_in_its_drop_is_gone_all_the_same() {
        struct Bad;
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        let revocable = Revocable::new(Bad);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| revocable.revoke(SOON)));
        assert!(panicked.is_err());
        revocable.revoke(SOON).unwrap();
    }

    #[test]
    fn an_object_that_was_never_revoked_is_dropped_with_its_cell() {
        let object = Arc::new(());
        drop(Revocable::new(object.clone()));
        assert_eq!(Arc::strong_count(&object), 1);
    }
}
