// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Runs the load in the background: a work item, which is queued whenever jobs may have ended.

use kernel::{
    sync::Arc,
    workqueue::{impl_has_work, WorkItem},
};

use crate::device::{Device, LOAD};
use crate::load::On;

impl_has_work! {
    impl HasWork<Self, LOAD> for Device { self.load_work }
}

impl WorkItem<LOAD> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.load.run(&On { pci: &this.pci, engine: &this.engine, counters: &this.counters });
    }
}

impl Device {
    /// Has the load verify and submit, as there may be something for it to do.
    pub(crate) fn kick_load(self: &Arc<Self>) {
        let _ = self.shared.queue.enqueue::<_, LOAD>(self.clone());
    }

    /// Turns the load on or off. Jobs in flight complete.
    pub(crate) fn set_load(self: &Arc<Self>, on: bool) {
        self.load.set(on);
        if on {
            self.kick_load();
        }
    }
}
