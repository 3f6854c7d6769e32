//! Classes: what the lint takes to be the same.
//!
//! All locks of one purpose (the ring lock of every ring) are one class, and order is learned for classes, so that a
//! run with one device teaches what holds for a hundred. As in lockdep.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A class of locks, gates or revocables: a `static` beside the type that has them.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint::{Class, Mutex};
///
/// static RING: Class = Class::new("device.ring");
///
/// struct Ring {
///     tail: Mutex<u32>,
/// }
/// let ring = Ring { tail: Mutex::new(&RING, 0) };
/// *ring.tail.lock() += 1;
/// ```
pub struct Class {
    name: &'static str,
    shared: bool,
    /// Zero until it is needed.
    id: AtomicU32,
}

impl Class {
    /// A class that reports call `name`. It is the `static` that makes it one class, not the name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, shared: false, id: AtomicU32::new(0) }
    }

    /// A class of unrelated things, whose nesting means nothing.
    pub(super) const fn shared(name: &'static str) -> Self {
        Self { name, shared: true, id: AtomicU32::new(0) }
    }

    /// Its name in reports.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Its number, given at first use. It stands for the class, since a class of a program's `static` is never gone.
    pub(super) fn id(&'static self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = self.id.load(Relaxed);
        if id != 0 {
            return id;
        }
        // Of two threads the second finds the first one's number; its own is lost, and there are plenty.
        let new = NEXT.fetch_add(1, Relaxed);
        match self.id.compare_exchange(0, new, Relaxed, Relaxed) {
            Ok(_) => new,
            Err(id) => id,
        }
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Class").field(&self.name).finish()
    }
}
