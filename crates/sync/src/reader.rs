//! Readers: the owners of sections.
//!
//! Each thread has its own reader, which is made at the thread's first section. An asynchronous
//! task that holds a section across an `.await` may continue on another thread, so the task brings
//! its own [`Reader`].

use std::cell::Cell;
use std::marker::PhantomData;

use crate::registry::Registry;
use crate::slot::Slot;

/// Owner of sections: a task, a handle, a request. See
/// [`Gate::enter_with`](crate::Gate::enter_with).
///
/// A reader may move to another thread, and so may its open sections. Two threads cannot use a
/// reader at the same time:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<lifeboat_sync::Reader>();
/// ```
///
/// A reader outlives its sections:
/// ```compile_fail,E0505
/// # use lifeboat_sync::{Gate, Reader};
/// let gate = Gate::new();
/// let reader = Reader::new("request 7");
/// let section = gate.enter_with(&reader);
/// drop(reader);
/// drop(section);
/// ```
#[derive(Debug)]
pub struct Reader {
    slot: &'static Slot,
    one_thread_at_a_time: PhantomData<Cell<()>>,
}

impl Reader {
    /// Creates a reader. Reports of its open sections call it `name`.
    pub fn new(name: impl Into<String>) -> Self {
        let slot = Registry::get().take();
        slot.set_name(name.into());
        Self { slot, one_thread_at_a_time: PhantomData }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'static Slot {
        self.slot
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // All borrows of `self` have ended. A leaked section keeps its place, and so the slot as
        // well.
        Registry::get().give_back(self.slot);
    }
}

/// Reader of a thread. It gives its slot back at the end of the thread.
#[cfg(not(any(loom, shuttle)))]
struct ThreadReader(Reader);

#[cfg(not(any(loom, shuttle)))]
impl Drop for ThreadReader {
    fn drop(&mut self) {
        CACHED.set(None);
    }
}

#[cfg(not(any(loom, shuttle)))]
thread_local! {
    /// Slot of `OWNER`, for fast access. This variable needs no destructor, so it can be read until
    /// the very end of the thread.
    static CACHED: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    static OWNER: ThreadReader = ThreadReader(Reader::new(thread_name()));
}

// In models, threads keep their slots: loom's statics are gone when the destructors of
// thread-locals run.
#[cfg(any(loom, shuttle))]
crate::primitive::thread_local! {
    static CACHED: Cell<Option<&'static Slot>> = Cell::new(None);
}

/// Returns the slot of this thread, if it has been made already.
#[inline]
pub(crate) fn cached() -> Option<&'static Slot> {
    CACHED.with(Cell::get)
}

/// Returns the slot of this thread. Returns `None` at the end of the thread, when no slot can be
/// made any more.
#[cold]
#[cfg_attr(any(loom, shuttle), allow(clippy::unnecessary_wraps))]
pub(crate) fn of_thread() -> Option<&'static Slot> {
    #[cfg(not(any(loom, shuttle)))]
    let slot = OWNER.try_with(|owner| owner.0.slot).ok()?;
    #[cfg(any(loom, shuttle))]
    let slot = Registry::get().take();
    CACHED.with(|cached| cached.set(Some(slot)));
    Some(slot)
}

pub(crate) fn thread_name() -> String {
    std::thread::current().name().unwrap_or("unnamed thread").to_owned()
}
