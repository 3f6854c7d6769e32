//! Readers: on whose behalf a section is open.
//!
//! Each thread has one of its own, made at its first section. An asynchronous task that holds a section while it waits,
//! and goes on somewhere else, brings a [`Reader`] along.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::registry::Registry;
use crate::slot::Slot;

/// Someone who opens sections: a task, a handle, a request. See [`Gate::enter_with`](crate::Gate::enter_with).
///
/// It may move to another thread, and so may the sections it has open. It cannot be used by two threads at once:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<lifeboat_sync::Reader>();
/// ```
///
/// It outlives its sections:
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
    /// A reader that reports call `name` if it keeps someone waiting.
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
        // What borrows `self` has ended. A section that was leaked keeps its place, and the slot with it.
        Registry::get().give_back(self.slot);
    }
}

/// The reader of a thread, which gives its slot back at the thread's end.
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
    /// The slot of `OWNER`, where it is found fast. Needs no destructor, so it can be read until the thread's very end.
    static CACHED: Cell<Option<&'static Slot>> = const { Cell::new(None) };
    static OWNER: ThreadReader = ThreadReader(Reader::new(thread_name()));
}

// In models threads keep their slots: loom's statics are gone when the destructors of its threads' locals run.
#[cfg(any(loom, shuttle))]
crate::primitive::thread_local! {
    static CACHED: Cell<Option<&'static Slot>> = Cell::new(None);
}

/// The slot of this thread if it has one already.
#[inline]
pub(crate) fn cached() -> Option<&'static Slot> {
    CACHED.with(Cell::get)
}

/// The slot of this thread, or `None` in its last moments, when it cannot have one any more.
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
