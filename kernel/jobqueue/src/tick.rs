// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Passes time: a work item that runs when the next job may be overdue.

use kernel::{
    sync::{
        atomic::{Full, Relaxed},
        Arc,
    },
    workqueue::{impl_has_delayed_work, WorkItem},
};

use crate::clock::{jiffies, nanoseconds};
use crate::glue::{call_off, Signalling};
use crate::hardware::Hardware;
use crate::scheduler::{Scheduler, NEVER, TICK};
use crate::wait::Tell as _;

impl_has_delayed_work! {
    impl{H: Hardware} HasDelayedWork<Self, TICK> for Scheduler<H> { self.tick_work }
}

impl<H: Hardware> WorkItem<TICK> for Scheduler<H> {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.next_tick.store(NEVER, Relaxed);
        tick(&this);
    }
}

impl<H: Hardware> Scheduler<H> {
    /// Has a tick come when the next job may be overdue, unless one comes before. Called by the worker
    /// alone.
    pub(crate) fn arm_tick(self: &Arc<Self>) {
        let Some(due) = self.due() else { return };
        let at = nanoseconds(due);
        if at >= self.next_tick.load(Relaxed) {
            return;
        }
        call_off::<Self, TICK>(self);
        self.next_tick.xchg(at, Full);
        let wait = due.saturating_sub(self.clock().elapsed());
        let _ = self.queue().enqueue_delayed::<_, TICK>(self.clone(), jiffies(wait));
    }
}

/// Asks the rings how far they are, so that a lost interrupt is no hang; then judges time.
fn tick<H: Hardware>(scheduler: &Arc<Scheduler<H>>) {
    let Some(hardware) = scheduler.hardware() else { return };
    {
        let _signalling = Signalling::begin();
        // A source whose message was lost sends no other before it is acknowledged.
        hardware.attend();
        scheduler.ask_all(&hardware);
        scheduler.judge();
    }
    scheduler.kick();
}
