// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Drops what jobs kept alive: a work item of its own. The drop of a buffer may wait for memory, and
//! the kernel may wait for fences to get some, so the worker, on which fences depend, does not do it.

use kernel::{
    sync::Arc,
    workqueue::{impl_has_work, WorkItem},
};

use crate::hardware::Hardware;
use crate::heap::Held;
use crate::scheduler::{Scheduler, RELEASES};

impl_has_work! {
    impl{H: Hardware} HasWork<Self, RELEASES> for Scheduler<H> { self.releases_work }
}

impl<H: Hardware> WorkItem<RELEASES> for Scheduler<H> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.drop_released();
    }
}

impl<H: Hardware> Scheduler<H> {
    /// Has what a job kept alive be dropped soon.
    pub(crate) fn release_soon(self: &Arc<Self>, held: kernel::alloc::KBox<Held<H>>) {
        self.released.lock().push(held);
        // An error says that it is on its way already, or that the end of the device drops it.
        let _ = self.queue.enqueue::<_, RELEASES>(self.clone());
    }

    /// Drops all that is to be dropped, here and now.
    pub(crate) fn drop_released(&self) {
        loop {
            let Some(held) = self.released.lock().pop() else { return };
            drop(held);
        }
    }
}
