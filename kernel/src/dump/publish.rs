// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Hands captured states to the kernel as `devcoredump`s: a work item.

use core::time::Duration;

use kernel::{
    prelude::*,
    sync::Arc,
    time::Jiffies,
    workqueue::{impl_has_delayed_work, WorkItem},
};
use lifeboat_driver::dump::write;

use super::capture::Capture;
use super::recorder::Recorder;
use super::state::Shown;
use crate::clock::jiffies;
use crate::glue::{coredump, disable_delayed};
use crate::shown::Shown as Logged;

/// The most bytes of a dump.
pub(super) const LIMIT: usize = 64 << 10;

/// Number of the work item.
pub(super) const PUBLISH: u64 = 0;

/// Time between two looks whether the kernel has room again. A dump stays there for five minutes at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl_has_delayed_work! {
    impl HasDelayedWork<Self, PUBLISH> for Recorder { self.publish_work }
}

impl WorkItem<PUBLISH> for Recorder {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if !this.publish() {
            this.publish_soon(jiffies(LOOK_EVERY));
        }
    }
}

impl Recorder {
    /// Has the work item look whether there is something to be published.
    pub(super) fn publish_soon(self: &Arc<Self>, wait: Jiffies) {
        // An error only says that it is on its way already, or that the binding is being released.
        let _ = self.shared.queue.enqueue_delayed::<_, PUBLISH>(self.clone(), wait);
    }

    /// The binding ends: publishes what waits, if there is room, and drops what was set aside. Nothing is captured any more.
    /// The device must be in sysfs still.
    pub(crate) fn close(self: &Arc<Self>) {
        disable_delayed::<Self, PUBLISH>(self);
        self.publish();
        let (waiting, free) = {
            let mut dumps = self.dumps.lock();
            (core::mem::take(&mut dumps.waiting), core::mem::take(&mut dumps.free))
        };
        for capture in &waiting {
            dev_notice!(self.pci, "a dump is lost ({}): nobody has read the one before\n", Logged(capture.reason));
        }
        drop((waiting, free));
    }

    /// Publishes what the kernel has room for. `false` if something is left.
    fn publish(&self) -> bool {
        loop {
            if self.dumps.lock().waiting.is_empty() {
                return true;
            }
            if coredump::has_dump(self.pci.as_ref()) {
                return false;
            }
            let Ok(text) = VVec::from_elem(0, LIMIT, GFP_KERNEL) else { return false };
            // The oldest; another incident may have taken it since.
            let Ok(capture) = self.dumps.lock().waiting.remove(0) else { return true };
            self.hand_over(&capture, text);
            // There is room for all that were set aside.
            let _ = self.dumps.lock().free.push_within_capacity(capture);
        }
    }

    fn hand_over(&self, capture: &Capture, mut text: VVec<u8>) {
        let location = self.pci.as_ref().name().to_bytes();
        let Ok(length) = write(&Shown::new(capture, self.minor(), location), &mut text) else {
            return dev_notice!(self.pci, "no dump: {LIMIT} bytes do not hold what all dumps have\n");
        };
        text.truncate(length);
        coredump::hand_over(self.pci.as_ref(), text);
        dev_notice!(self.pci, "a dump is in /sys/class/devcoredump: {}\n", Logged(capture.reason));
    }
}
