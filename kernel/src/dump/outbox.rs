// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The captured states of a function's devices, until the kernel has taken them: a work item hands
//! them over as `devcoredump`s.
//!
//! It is of the function, and outlives the devices that are bound one after the other. A state that
//! waits for room is not lost when its device is recovered.

use core::time::Duration;

use kernel::{
    new_mutex, pci,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
    time::Jiffies,
    workqueue::{impl_has_delayed_work, new_delayed_work, DelayedWork, WorkItem},
};
use lifeboat_driver::{
    dump::{write, Reason},
    Driver,
};

use super::capture::Capture;
use super::state::Shown;
use crate::clock::jiffies;
use crate::glue::{coredump, disable_delayed};
use crate::registration::Driven;
use crate::shared::Shared;
use crate::shown::Shown as Logged;

/// The most bytes of a dump.
pub(super) const LIMIT: usize = 64 << 10;

/// Number of the work item.
const PUBLISH: u64 = 0;

/// Time between two looks whether the kernel has room again. A dump stays there for five minutes at
/// most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Captures that are set aside for a device: one may be on its way to the kernel, or wait for that,
/// while the next is made.
const CAPTURES: usize = 2;

/// See the module documentation.
#[pin_data]
pub(crate) struct Outbox {
    function: ARef<pci::Device>,
    shared: Arc<Shared>,
    #[pin]
    captures: Mutex<Captures>,
    #[pin]
    work: DelayedWork<Outbox, PUBLISH>,
}

/// Locked for a look: captures are made, and written, without it.
struct Captures {
    /// For the device that is bound. Neither this nor `waiting` ever grows beyond the room that it
    /// has from the beginning.
    free: KVec<KBox<Capture>>,
    /// Those that are to be published, oldest first.
    waiting: KVec<KBox<Capture>>,
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self, PUBLISH> for Outbox { self.work }
}

impl WorkItem<PUBLISH> for Outbox {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        if !this.publish() {
            this.publish_soon(jiffies(LOOK_EVERY));
        }
    }
}

impl Outbox {
    /// The outbox of a function, without memory for captures yet.
    pub(crate) fn new(function: &pci::Device, shared: Arc<Shared>) -> Result<Arc<Self>> {
        let room = || KVec::with_capacity(2 * CAPTURES, GFP_KERNEL);
        let captures = Captures { free: room()?, waiting: room()? };
        Arc::pin_init(
            pin_init!(Self {
                function: function.into(),
                shared,
                captures <- new_mutex!(captures, "lifeboat::dumps"),
                work <- new_delayed_work!("lifeboat::dump"),
            }),
            GFP_KERNEL,
        )
    }

    /// Sets memory aside for the dumps of a device that is about to be bound. What was set aside
    /// for the one before it is freed, unless it is filled.
    pub(super) fn set_aside(&self, info: &<Driven as Driver>::Info) -> Result {
        let mut fresh = KVec::with_capacity(2 * CAPTURES, GFP_KERNEL)?;
        for _ in 0..CAPTURES {
            fresh.push(Capture::new(info)?, GFP_KERNEL)?;
        }
        let former = core::mem::replace(&mut self.captures.lock().free, fresh);
        drop(former);
        Ok(())
    }

    /// Memory to be filled: what is free, or else the newest that waits. Allocates nothing.
    pub(super) fn take(&self, info: &<Driven as Driver>::Info, reason: Reason) -> Option<KBox<Capture>> {
        let (capture, replaced) = {
            let mut captures = self.captures.lock();
            let free = captures.free.pop();
            let fits = captures.waiting.last().is_some_and(|newest| newest.info == *info);
            let newest = if free.is_none() && fits { captures.waiting.pop() } else { None };
            let replaced = newest.as_ref().map(|newest| newest.reason);
            (free.or(newest), replaced)
        };
        if let Some(replaced) = replaced {
            dev_notice!(self.function, "the dump that waited ({}) gives way to a newer one\n", Logged(replaced));
        }
        if capture.is_none() {
            dev_notice!(self.function, "no dump ({}): those before are not published yet\n", Logged(reason));
        }
        capture
    }

    /// Publishes a capture as soon as there is room. Allocates nothing.
    pub(super) fn send(self: &Arc<Self>, capture: KBox<Capture>) {
        dev_notice!(self.function, "the state was captured: {}\n", Logged(capture.reason));
        // There is room for those of two devices.
        let _ = self.captures.lock().waiting.push_within_capacity(capture);
        self.publish_soon(0);
    }

    /// The function is given back: publishes what waits, if there is room, and drops what was set
    /// aside. Nothing is captured any more. The function must be in sysfs still.
    pub(crate) fn close(self: &Arc<Self>) {
        disable_delayed::<Self, PUBLISH>(self);
        self.publish();
        let (waiting, free) = {
            let mut captures = self.captures.lock();
            (core::mem::take(&mut captures.waiting), core::mem::take(&mut captures.free))
        };
        for capture in &waiting {
            dev_notice!(self.function, "a dump is lost ({}): nobody has read the one before\n", Logged(capture.reason));
        }
        drop((waiting, free));
    }

    fn publish_soon(self: &Arc<Self>, wait: Jiffies) {
        // An error only says that it is on its way already, or that the function is being given
        // back.
        let _ = self.shared.queue.enqueue_delayed::<_, PUBLISH>(self.clone(), wait);
    }

    /// Publishes what the kernel has room for. `false` if something is left.
    fn publish(&self) -> bool {
        loop {
            if self.captures.lock().waiting.is_empty() {
                return true;
            }
            if coredump::has_dump(self.function.as_ref()) {
                return false;
            }
            let Ok(text) = VVec::from_elem(0, LIMIT, GFP_KERNEL) else { return false };
            // The oldest; a newer incident may have taken it since.
            let Ok(capture) = self.captures.lock().waiting.remove(0) else { return true };
            self.hand_over(&capture, text);
            self.set_free(capture);
        }
    }

    /// Gives memory back to the device that is bound, if it was set aside for one like that.
    fn set_free(&self, capture: KBox<Capture>) {
        let mut captures = self.captures.lock();
        if captures.free.len() < CAPTURES && captures.free.first().is_none_or(|free| free.info == capture.info) {
            // There is room.
            let _ = captures.free.push_within_capacity(capture);
            return;
        }
        drop(captures);
        drop(capture);
    }

    fn hand_over(&self, capture: &Capture, mut text: VVec<u8>) {
        let location = self.function.as_ref().name().to_bytes();
        let Ok(length) = write(&Shown::new(capture, location), &mut text) else {
            return dev_notice!(self.function, "no dump: {LIMIT} bytes do not hold what all dumps have\n");
        };
        text.truncate(length);
        coredump::hand_over(self.function.as_ref(), text);
        dev_notice!(self.function, "a dump is in /sys/class/devcoredump: {}\n", Logged(capture.reason));
    }
}
