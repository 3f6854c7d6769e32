// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the core keeps for the scheduler, all of it on the kernel's heap from the beginning.

use core::marker::PhantomData;

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::sched::{self, Limits, RingSlot, Scheduler as Core, Sizes, Stores};

use crate::glue::Unsignalled;
use crate::hardware::Hardware;
use crate::options::{InOrder, Options};
use crate::scheduler::Scheduler;
use crate::storage::Storage;
use crate::wait::Waits;

/// The core's storage.
pub(crate) struct Heap<H>(PhantomData<H>);

impl<H: Hardware> sched::Storage for Heap<H> {
    type Fence = Unsignalled;
    type Payload = KBox<Held<H>>;
    type Slots<T> = Storage<T>;

    fn slots<T: Default>(count: usize) -> Option<Storage<T>> {
        Storage::new(count).ok()
    }
}

/// What the core keeps for a job: what the hardware may read, and the waits.
pub(crate) struct Held<H: Hardware> {
    /// From the commit on.
    pub(crate) job: Option<Arc<H::Job>>,
    pub(crate) waits: Waits<Scheduler<H>>,
    /// The next of those that are to be dropped.
    next: Option<KBox<Self>>,
}

impl<H: Hardware> Held<H> {
    /// For a job that is to be submitted.
    pub(crate) fn new() -> Result<KBox<Self>> {
        Ok(KBox::new(Self { job: None, waits: Waits::default(), next: None }, GFP_KERNEL)?)
    }
}

/// What is to be dropped by and by. Adding to it allocates nothing.
pub(crate) struct Released<H: Hardware>(Option<KBox<Held<H>>>);

impl<H: Hardware> Released<H> {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn push(&mut self, mut held: KBox<Held<H>>) {
        held.next = self.0.take();
        self.0 = Some(held);
    }

    pub(crate) fn pop(&mut self) -> Option<KBox<Held<H>>> {
        let mut held = self.0.take()?;
        self.0 = held.next.take();
        Some(held)
    }
}

/// A core of these sizes.
pub(crate) fn core<H: Hardware>(options: &Options<'_>) -> Result<Core<Heap<H>>> {
    let Options { contexts, queues, jobs, firmware, shares, .. } = *options;
    let sizes = Sizes { jobs, queues, rings: options.rings.len(), contexts };
    let mut stores: Stores<Heap<H>> = Stores::new(sizes).ok_or(ENOMEM)?;
    for (slot, (credits, in_order)) in stores.rings.as_mut().iter_mut().zip(options.rings) {
        let ring = RingSlot::with_credits(*credits);
        *slot = if *in_order == InOrder::No { ring.unordered() } else { ring };
    }
    // Each ring has its own credits.
    let limits = Limits { firmware, ..Limits::new(1, options.job_timeout) };
    Ok(Core::with_shares(stores, limits, shares))
}
