//! A revocable object: sections that must not block, for register access.
//!
//! # The protocol
//!
//! One atomic word holds the number of open sections and a flag "revoked".
//!
//! - *Enter*: if the flag is clear, count one up, in one compare-and-exchange. So once the flag is set the count can
//!   only fall.
//! - *Leave*: count one down.
//! - *Revoke*: set the flag.
//!
//! The word therefore becomes "revoked, nobody inside" exactly once, by exactly one atomic operation: the last leave,
//! or the revoke itself if nobody is inside. Whoever performs that operation drops the object. A revoker waits for
//! that, with a limit; when the limit passes it may go on, because the drop is not its duty: it falls to the last leave.
#![allow(unsafe_code)] // sharing an object whose drop is decided at run time is what this file is for

use std::mem::ManuallyDrop;
#[cfg(not(loom))]
use std::ops::Deref;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Duration;
use std::{error, fmt};

use crate::deadline::deadline_after;
use crate::primitive::{AtomicUsize, Condvar, Mutex, UnsafeCell, lock, wait_until};

const REVOKED: usize = 1;
const ONE_SECTION: usize = 2;

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
/// The object cannot leave its section:
/// ```compile_fail
/// # use lifeboat_sync::Revocable;
/// let registers = Revocable::new(vec![1, 2, 3]);
/// let escaped: Option<&Vec<i32>> = registers.try_access_with(|r| r);
/// ```
pub struct Revocable<T> {
    /// Open sections times [`ONE_SECTION`], plus [`REVOKED`].
    word: AtomicUsize,
    object: UnsafeCell<ManuallyDrop<T>>,
    /// Whether the object has been dropped; guards nothing but the wait for it.
    dropped: Mutex<bool>,
    was_dropped: Condvar,
}

// SAFETY: sending a `Revocable<T>` sends the `T` in it, and a section on any thread may be the one that drops it; both
// only need `T: Send`.
unsafe impl<T: Send> Send for Revocable<T> {}

// SAFETY: sharing a `Revocable<T>` gives `&T` to several threads at once (`T: Sync`) and lets any of them drop the `T`
// that another created (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Revocable<T> {}

/// An open section; leaving is dropping. Must not be held across anything that blocks.
///
/// It holds no reference to the object, only to the cell: leaving may drop the object while the guard is still there.
#[cfg(not(loom))]
#[must_use = "the section ends where this is dropped"]
pub struct Access<'a, T>(&'a Revocable<T>);

/// Sections were still open when the limit had passed. The last of them drops the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillOpen {
    /// How many.
    pub sections: usize,
}

impl fmt::Display for StillOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} register section(s) still open", self.sections)
    }
}

impl error::Error for StillOpen {}

impl<T> Revocable<T> {
    /// An accessible object.
    pub fn new(object: T) -> Self {
        Self {
            word: AtomicUsize::new(0),
            object: UnsafeCell::new(ManuallyDrop::new(object)),
            dropped: Mutex::new(false),
            was_dropped: Condvar::new(),
        }
    }

    /// Runs `f` inside a section, or returns `None` if the object has been revoked. `f` must not block.
    ///
    /// Prefer this to [`Revocable::try_access`]: a closure's section cannot be leaked.
    pub fn try_access_with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.enter().then(|| {
            let _leave = Leave(self);
            self.object.with(|object| {
                // SAFETY: a section is open until `_leave` is dropped, after this. The object is dropped only when the
                // word becomes "revoked, nobody inside", which an open section prevents; and nobody has `&mut` to it
                // before. The reference cannot outlive `f`, which is generic over its lifetime.
                f(unsafe { &*object })
            })
        })
    }

    /// Begins a section, or returns `None` if the object has been revoked.
    #[cfg(not(loom))]
    pub fn try_access(&self) -> Option<Access<'_, T>> {
        self.enter().then_some(Access(self))
    }

    /// Whether the object has been revoked. A `false` may be out of date as soon as it is returned.
    pub fn is_revoked(&self) -> bool {
        self.word.load(Acquire) & REVOKED != 0
    }

    /// Takes the object away: no section begins from now on, and the object is dropped as soon as none is open. Waits
    /// for that. When it returns `Ok`, the object is gone (GATE-4). Idempotent and safe to call from several threads.
    ///
    /// # Errors
    /// [`StillOpen`] if sections are open when `limit` has passed. Called from inside a section of the same object it
    /// can only end so.
    pub fn revoke(&self, limit: Duration) -> Result<(), StillOpen> {
        // Acquire: what closed sections did happens before the drop. Release: what we did happens before the drop if
        // the last section performs it.
        let before = self.word.fetch_or(REVOKED, AcqRel);
        if before == 0 {
            // SAFETY: our `fetch_or` made the word "revoked, nobody inside".
            unsafe { self.drop_object() };
            return Ok(());
        }
        let deadline = deadline_after(limit);
        let (_guard, dropped) = wait_until(&self.was_dropped, lock(&self.dropped), deadline, |dropped| *dropped);
        if dropped { Ok(()) } else { Err(StillOpen { sections: self.word.load(Relaxed) / ONE_SECTION }) }
    }

    fn enter(&self) -> bool {
        let mut word = self.word.load(Relaxed);
        while word & REVOKED == 0 {
            // No overflow: that would take usize::MAX / 2 sections, each of which has a stack frame or a guard.
            // Acquire pairs with nothing yet to see (the object was published with `self`), but keeps the accesses
            // of the section from moving before it.
            match self.word.compare_exchange_weak(word, word + ONE_SECTION, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    fn leave(&self) {
        // Release: our accesses happen before the drop. Acquire: if we drop, so do those of all others.
        let before = self.word.fetch_sub(ONE_SECTION, AcqRel);
        if before == ONE_SECTION | REVOKED {
            // SAFETY: our `fetch_sub` made the word "revoked, nobody inside".
            unsafe { self.drop_object() };
        }
    }

    /// # Safety
    /// Only for the one operation that made the word "revoked, nobody inside".
    unsafe fn drop_object(&self) {
        self.object.with_mut(|object| {
            // SAFETY: the caller's operation is the only one of its kind in the life of `self`, so this runs once. No
            // section is open and none can open, so there is no other reference.
            unsafe { ManuallyDrop::drop(&mut *object) };
        });
        *lock(&self.dropped) = true;
        self.was_dropped.notify_all();
    }
}

/// Leaves the section when dropped, also when the section's code panics.
struct Leave<'a, T>(&'a Revocable<T>);

impl<T> Drop for Leave<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(not(loom))]
impl<T> Deref for Access<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the section is open until `self` is dropped (or for ever, if it is leaked), and the reference cannot
        // outlive the borrow of `self`; see `try_access_with` for why an open section keeps the object valid.
        self.0.object.with(|object| unsafe { &*object })
    }
}

#[cfg(not(loom))]
impl<T> Drop for Access<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<T> Drop for Revocable<T> {
    fn drop(&mut self) {
        if self.word.load(Relaxed) & REVOKED == 0 {
            self.object.with_mut(|object| {
                // SAFETY: guards borrow `self`, so none is alive (a leaked one can no longer be used), and without the
                // flag nobody has dropped the object.
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

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
        assert_eq!(revocable.revoke(SOON), Err(StillOpen { sections: 1 }));
        assert_eq!(Arc::strong_count(&*section), 2);
        drop(section);
        assert_eq!(Arc::strong_count(&object), 1);
    }

    #[test]
    fn life_6_a_forgotten_guard_leaks_and_is_reported() {
        let object = Arc::new(());
        let revocable = Revocable::new(object.clone());
        std::mem::forget(revocable.try_access());
        assert_eq!(revocable.revoke(SOON), Err(StillOpen { sections: 1 }));
        assert_eq!(Arc::strong_count(&object), 2);
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
    fn an_object_that_was_never_revoked_is_dropped_with_its_cell() {
        let object = Arc::new(());
        drop(Revocable::new(object.clone()));
        assert_eq!(Arc::strong_count(&object), 1);
    }
}
