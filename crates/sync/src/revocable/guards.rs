//! Guards of a [`Revocable`]: while a guard is there, the object is there.
#![allow(unsafe_code)] // a guard reaches the object without a check

use std::marker::PhantomData;
use std::ops::Deref;

use super::Revocable;
use crate::slot::Place;
use crate::turnstile::Ticket;

/// Open section of this thread. Dropping it ends the section. The thread must not block while it
/// holds an `Access`.
///
/// An `Access` refers to the cell and not to the object, because its drop may drop the object while
/// the guard still exists.
#[must_use = "the section ends where this is dropped"]
pub struct Access<'a, T> {
    pub(super) revocable: &'a Revocable<T>,
    pub(super) ticket: Ticket,
    pub(super) on_this_thread: PhantomData<*const ()>,
}

impl<T> Deref for Access<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the section is open until `self` is dropped, or for ever if `self` is leaked. The
        // reference cannot outlive the borrow of `self`. `access_in` argues why an open section
        // keeps the object valid.
        self.revocable.object.with(|object| unsafe { &*object })
    }
}

impl<T> Drop for Access<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.revocable.leave(self.ticket);
    }
}

/// Proof that the object is not dropped before the proof is. The bus gives it to its callbacks, as
/// the kernel gives `&Device<Bound>`. Access with this proof needs no check (GATE-10).
///
/// To a revoker, the proof is one long section. Inside it, blocking is allowed. The proof may be
/// shared and sent between threads.
#[must_use = "the object can be revoked where this is dropped"]
pub struct BoundProof<'a, T> {
    pub(super) revocable: &'a Revocable<T>,
    pub(super) ticket: Ticket,
}

impl<T> Deref for BoundProof<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: as for `Access`, because a `BoundProof` has a section as well.
        self.revocable.object.with(|object| unsafe { &*object })
    }
}

impl<T> Drop for BoundProof<'_, T> {
    fn drop(&mut self) {
        self.revocable.leave(self.ticket);
    }
}

/// Ends the section when dropped, even if the section's code panics.
pub(super) struct LeaveFast<'a, T>(pub(super) &'a Revocable<T>, pub(super) &'static Place);

impl<T> Drop for LeaveFast<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.turnstile.leave_fast(self.1, || {
            // SAFETY: the turnstile runs this when it is still.
            unsafe { self.0.drop_object() }
        });
    }
}

/// Ends a section that was entered slowly, as [`LeaveFast`] does for the fast path.
pub(super) struct Leave<'a, T>(pub(super) &'a Revocable<T>, pub(super) Ticket);

impl<T> Drop for Leave<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// A section gives access to the object, and the reference stays inside the section:
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

/// A reference ends with its proof:
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
