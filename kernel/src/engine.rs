// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The scheduler of a device: how much of everything it has.

use core::time::Duration;

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::Shares;
use lifeboat_driver::Driver;
use lifeboat_jobqueue::{Hardware, InOrder, Ledger, Options, OwnedQueue, Scheduler};

use crate::counters::Counters;
use crate::registration::Driven;
use crate::ring;
use crate::workspace::SLOTS;

/// Jobs of one ring in all states: for each slot of its workspace the one in flight, and earlier
/// ones that have ended and that the hardware has not given back.
const JOBS: usize = 4 * SLOTS as usize;
/// Queues of one ring.
const QUEUES: usize = 1;
/// Contexts of one device: the driver's own jobs are held responsible together.
const CONTEXTS: usize = 1;

/// A scheduler for a device with these rings.
pub(crate) fn new<H: Hardware<Ledger = Counters>>(
    info: &<Driven as Driver>::Info,
    job_timeout: Duration,
    counters: &Arc<Counters>,
    queue: &Arc<OwnedQueue>,
) -> Result<Arc<Scheduler<H>>> {
    let mut rings = KVec::new();
    for number in 0..Driven::rings(info) {
        let in_order = if Driven::in_order(info, number) { InOrder::Yes } else { InOrder::No };
        rings.push((ring::credits(info, number), in_order), GFP_KERNEL)?;
    }
    let options = Options {
        contexts: CONTEXTS,
        queues: QUEUES * rings.len(),
        jobs: JOBS * rings.len(),
        rings: &rings,
        shares: Shares::ALL,
        job_timeout,
        firmware: Driven::firmware(info),
    };
    Scheduler::new(&options, counters.clone(), queue.clone())
}

impl Ledger for Counters {
    fn ended(&self, outcome: Result<(), FenceError>) {
        Counters::ended(self, outcome);
    }
}
