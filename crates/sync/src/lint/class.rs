//! Classes: groups of locks, gates or revocables that the lint treats alike.
//!
//! All locks of one purpose form one class, such as the ring locks of all rings. The lint learns
//! the order of classes, so a run with one device teaches the order for a hundred devices. Lockdep
//! has the same notion.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Class of locks, gates or revocables. Declare it as a `static` beside the type that uses it.
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
    /// Number of the class, or zero before it is needed.
    id: AtomicU32,
}

impl Class {
    /// Creates a class with this name in reports. The `static` makes the class unique, and not the
    /// name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, shared: false, id: AtomicU32::new(0) }
    }

    /// Creates a class of unrelated members, so that their nesting means nothing.
    pub(super) const fn shared(name: &'static str) -> Self {
        Self { name, shared: true, id: AtomicU32::new(0) }
    }

    /// Returns the name of the class in reports.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Returns the number of the class, which is assigned at the first use. A class is a `static`,
    /// so its number stays valid.
    pub(super) fn id(&'static self) -> u32 {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = self.id.load(Relaxed);
        if id != 0 {
            return id;
        }
        // Two threads may race here. The second thread takes the number of the first, and its own
        // number is lost, which is harmless.
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
