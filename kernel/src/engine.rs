// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The scheduler of a device: how much of everything it has.

use core::time::Duration;

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::fence::FenceError;
use lifeboat_core::sched::{Shares, PRIORITIES};
use lifeboat_core::share::Share;
use lifeboat_driver::Driver;
use lifeboat_jobqueue::{Hardware, InOrder, Ledger, Options, OwnedQueue, Scheduler};

use crate::counters::Counters;
use crate::registration::Driven;
use crate::ring;
use crate::workspace::SLOTS;

/// Jobs of the driver's own on one ring, in all states: for each slot of its workspace the one in
/// flight, and earlier ones that have ended and that the hardware has not given back.
const OWN_JOBS: usize = 4 * SLOTS as usize;

/// Most jobs of one context, in all states: a long queue of small ones.
pub(crate) const JOBS_OF_CONTEXT: usize = 1024;

/// Jobs of all clients: the greediest three contexts leave room for a fourth.
const JOBS: usize = 4 * JOBS_OF_CONTEXT;

/// Places that are set aside for each context, so that one can always go on.
const SET_ASIDE: u32 = 8;

/// A scheduler for a device with these rings, and so many contexts for clients.
pub(crate) fn new<H: Hardware<Ledger = Counters>>(
    info: &<Driven as Driver>::Info,
    contexts: usize,
    job_timeout: Duration,
    counters: &Arc<Counters>,
    queue: &Arc<OwnedQueue>,
) -> Result<Arc<Scheduler<H>>> {
    let mut rings = KVec::new();
    for number in 0..Driven::rings(info) {
        let in_order = if Driven::in_order(info, number) { InOrder::Yes } else { InOrder::No };
        rings.push((ring::credits(info, number), in_order), GFP_KERNEL)?;
    }
    // The driver's own jobs are held responsible together.
    let contexts = contexts + 1;
    // A context needs no more: one for each ring and priority.
    let queues = u32::try_from(rings.len() * PRIORITIES)?;
    let jobs = JOBS + OWN_JOBS * rings.len();
    let options = Options {
        contexts,
        queues: contexts * rings.len() * PRIORITIES,
        jobs,
        rings: &rings,
        shares: Shares {
            jobs: Share::new(u32::try_from(JOBS_OF_CONTEXT)?).unwrap_or(Share::ALL),
            own_jobs: SET_ASIDE,
            queues: Share::new(queues).unwrap_or(Share::ALL),
            own_queues: queues,
        },
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
