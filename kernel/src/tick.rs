// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Passes time for the scheduler: a work item that runs when the next job may be overdue.

use core::time::Duration;

use kernel::{
    sync::Arc,
    workqueue::{impl_has_delayed_work, WorkItem},
};
use lifeboat_driver::Driver;

use crate::clock::jiffies;
use crate::device::{Device, TICK};
use crate::interrupt;
use crate::registration::Driven;
use crate::worker::ask_progress;

impl_has_delayed_work! {
    impl HasDelayedWork<Self, TICK> for Device { self.tick_work }
}

impl WorkItem<TICK> for Device {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        tick(&this);
    }
}

impl Device {
    /// Has a tick come after `wait`, unless one is on its way already.
    pub(crate) fn tick_in(self: &Arc<Self>, wait: Duration) {
        let _ = self.shared.queue.enqueue_delayed::<_, TICK>(self.clone(), jiffies(wait));
    }
}

/// Asks the rings how far they are, so that a lost interrupt is no hang; then judges time.
fn tick(device: &Arc<Device>) {
    // A source whose message was lost sends no other before it is acknowledged. An error is
    // reported already.
    let _ = interrupt::attend(device);
    for ring in 0..Driven::rings(&device.info) {
        ask_progress(device, ring);
    }
    device.engine.tick();
    device.kick();
}
