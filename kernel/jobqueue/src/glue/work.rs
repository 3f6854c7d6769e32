// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A work queue of our own, and work that can be stopped: `kernel::workqueue` can only start it.

use core::{ops::Deref, ptr::NonNull};

use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    workqueue::{HasDelayedWork, HasWork, Queue, Work, WorkItem},
};

/// A work queue. Dropped, it waits for what is queued; so it must not be dropped by its own work.
pub struct OwnedQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: work queues may be used and destroyed by any thread.
unsafe impl Send for OwnedQueue {}
// SAFETY: as above.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// A queue for work that is not tied to a CPU, and that memory reclaim may come to wait for.
    pub fn new(name: &'static CStr) -> Result<Self> {
        let flags = bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags_WQ_MEM_RECLAIM;
        // SAFETY: both strings end in a zero, and the format takes the one string that is passed.
        let raw = unsafe { bindings::alloc_workqueue_noprof(c"%s".as_char_ptr(), flags, 0, name.as_char_ptr()) };
        NonNull::new(raw).map(Self).ok_or(ENOMEM)
    }

    /// Waits for all that is queued now.
    pub fn flush(&self) {
        // SAFETY: the queue is valid until it is destroyed in `drop`.
        unsafe { bindings::__flush_workqueue(self.0.as_ptr()) };
    }
}

impl Deref for OwnedQueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: the queue is valid until it is destroyed in `drop`, which outlives this borrow.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: made in `new` and destroyed only here.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

/// Stops a work item for good: when this returns it does not run, and it cannot be queued any more. Waits for the work
/// item's end, so it must not be called by it.
pub fn disable<T, const ID: u64>(owner: &Arc<T>)
where
    T: HasWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: the pointer is to a living `T`, whose work was initialized by `Work::new`.
    let was_queued = unsafe { bindings::disable_work_sync(raw_work(owner)) };
    give_back(owner, was_queued);
}

/// As [`disable`], for work with a timer.
pub fn disable_delayed<T, const ID: u64>(owner: &Arc<T>)
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: the pointer is to a living `T`, whose delayed work was initialized by `DelayedWork::new`.
    let was_queued = unsafe { bindings::disable_delayed_work_sync(raw_delayed_work(owner)) };
    give_back(owner, was_queued);
}

/// Calls a work item off whose time has not come. One that runs runs on; waits for nothing.
pub fn call_off<T, const ID: u64>(owner: &Arc<T>)
where
    T: HasDelayedWork<T, ID> + WorkItem<ID, Pointer = Arc<T>>,
{
    // SAFETY: as in `disable_delayed`.
    let was_queued = unsafe { bindings::cancel_delayed_work(raw_delayed_work(owner)) };
    give_back(owner, was_queued);
}

fn raw_delayed_work<T: HasDelayedWork<T, ID>, const ID: u64>(owner: &Arc<T>) -> *mut bindings::delayed_work {
    // SAFETY: `HasDelayedWork` promises that the work item is that of a `delayed_work`.
    unsafe { kernel::container_of!(raw_work(owner), bindings::delayed_work, work) }
}

fn raw_work<T: HasWork<T, ID>, const ID: u64>(owner: &Arc<T>) -> *mut bindings::work_struct {
    // SAFETY: the pointer is to a living `T`; `raw_get_work` and `raw_get` only compute the address of its field.
    unsafe { Work::raw_get(T::raw_get_work(Arc::as_ptr(owner).cast_mut())) }
}

/// Queueing a work item turns a count of its owner into a raw pointer, which the run takes back. A run that was called
/// off takes nothing, so it is done here.
fn give_back<T>(owner: &Arc<T>, was_queued: bool) {
    if was_queued {
        // SAFETY: the kernel says that the item was queued and now is not, so the count that `enqueue` turned into a
        // pointer is nobody's. It is not the last one: `owner` has another.
        drop(unsafe { Arc::from_raw(Arc::as_ptr(owner)) });
    }
}
