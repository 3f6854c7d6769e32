// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Credits, of each ring its own (SCHED-11). The most that was on a ring is judged at the end of each
//! scenario, this or another.

use kernel::prelude::*;
use lifeboat_core::sched;
use lifeboat_jobqueue::InOrder;

use super::costs;
use crate::model::Firmware;
use crate::record::Call;
use crate::stage::{Scenario, Stage, Stop, LONG};

/// More jobs than rings have credits for.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "credits",
    rings: &[(3, InOrder::No), (1, InOrder::Yes)],
    queues: 8,
    limit: LONG,
    firmware: Firmware::IsTold,
    resets: sched::Firmware::OfEachRing,
    body: play,
};

fn play(stage: &mut Stage) -> Result<(), Stop> {
    let (_, refused) = stage.open(1)?;
    check!(stage.submit(refused, 0, costs(2), &[]).is_err(), "a job that its ring has no credits for is taken");
    for number in 1..=5 {
        let (_, queue) = stage.open(0)?;
        stage.submit(queue, number, costs(1), &[])?;
    }
    let (_, other) = stage.open(1)?;
    stage.submit(other, 11, costs(1), &[])?;
    stage.submit(other, 12, costs(1), &[])?;
    stage.point()?;
    stage.settle();
    check!(on_ring(stage, 1..=5) == 3, "{} jobs are on the ring with three credits", on_ring(stage, 1..=5));
    check!(on_ring(stage, 11..=12) == 1, "{} jobs are on the ring with one credit", on_ring(stage, 11..=12));
    stage.point()?;
    // One that is neither the oldest nor the last gives its credit back, to its own ring.
    let is_there = |job: &u32| stage.record.has(*job);
    let second = (1..=5).filter(is_there).nth(1).ok_or(EIO)?;
    stage.complete(second)?;
    check!(on_ring(stage, 1..=5) == 3, "a credit that was given back is not used");
    check!(!stage.record.saw(Call::Run(12)), "a ring uses the credit of another");
    stage.point()?;
    stage.complete(11)?;
    check!(stage.record.has(12), "a credit that was given back is not used");
    while let Some(job) = (1..=12).find(|job| stage.record.has(*job)) {
        stage.complete(job)?;
        stage.point()?;
    }
    check!(stage.have_completed(&[1, 2, 3, 4, 5, 11, 12]), "jobs have not completed");
    check!(!stage.record.saw_reset(), "something was reset");
    Ok(())
}

fn on_ring(stage: &Stage, mut jobs: core::ops::RangeInclusive<u32>) -> usize {
    jobs.by_ref().filter(|job| stage.record.has(*job)).count()
}
