// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Completion out of order (SCHED-11).

use kernel::prelude::*;
use lifeboat_core::sched;
use lifeboat_jobqueue::InOrder;

use super::costs;
use crate::model::Firmware;
use crate::record::Call;
use crate::stage::{Scenario, Stage, Stop, LONG};

/// Jobs of a ring complete in another order than they were given to it.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "order",
    rings: &[(8, InOrder::No)],
    queues: 4,
    limit: LONG,
    firmware: Firmware::IsTold,
    resets: sched::Firmware::OfEachRing,
    body: play,
};

fn play(stage: &mut Stage) -> Result<(), Stop> {
    let mut queues = KVec::new();
    for number in 1..=4 {
        let (_, queue) = stage.open(0)?;
        stage.submit(queue, number, costs(1), &[])?;
        queues.push(queue, GFP_KERNEL).map_err(Error::from)?;
    }
    // Behind the third, in its queue.
    let third = queues.get(2).copied().ok_or(EIO)?;
    stage.submit(third, 5, costs(1), &[])?;
    // The worker may be in the midst of them.
    stage.point()?;
    stage.settle();
    check!((1..=4).all(|job| stage.record.has(job)), "the ring does not have one job of each queue");
    check!(!stage.record.has(5), "the ring has two jobs of a queue, and keeps no order");
    check!(stage.have_completed(&[]), "a job has ended that is on the ring");
    stage.point()?;
    let mut completed: KVec<u32> = KVec::new();
    for job in [3, 1, 5, 4, 2] {
        stage.complete(job)?;
        completed.push(job, GFP_KERNEL).map_err(Error::from)?;
        check!(stage.have_completed(&completed), "other fences than those of {completed:?} have signalled");
        for other in 1..=5 {
            let is_dropped = stage.record.saw(Call::Dropped(other));
            check!(is_dropped == completed.contains(&other), "job {other}: dropped {is_dropped} after {completed:?}");
        }
        check!(stage.record.saw(Call::Run(5)), "the next of a queue does not run when its first has completed");
        stage.point()?;
    }
    check!(!stage.record.saw_reset(), "something was reset");
    Ok(())
}
