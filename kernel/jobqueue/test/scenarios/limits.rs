// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A limit for each job, which counts from when the hardware has it (SCHED-11).

use kernel::{
    prelude::*,
    time::{delay::fsleep, Delta},
};
use lifeboat_core::sched::{self, JobSpec};
use lifeboat_jobqueue::InOrder;

use super::costs;
use crate::model::Firmware;
use crate::record::Call;
use crate::stage::{Scenario, Stage, Stop, LONG, SHORT};

/// Jobs with a short limit hang, among others that take long. Three of them wait before that for much
/// longer than their limit.
pub(crate) const SCENARIO: Scenario = Scenario {
    name: "limits",
    rings: &[(4, InOrder::No), (2, InOrder::Yes), (1, InOrder::No)],
    queues: 6,
    limit: LONG,
    firmware: Firmware::IsTold,
    resets: sched::Firmware::OfEachRing,
    body: play,
};

/// Has the default limit, on the ring without an order.
const LONGER: u32 = 1;
/// Has a short one, on the same ring at the same time.
const AT_ONCE: u32 = 2;
/// Waits for a fence of somebody else.
const FENCE: u32 = 3;
/// Is on a ring that keeps the order, behind another.
const BEHIND: u32 = 4;
const BEFORE: u32 = 5;
/// Waits for the credit that another has.
const CREDIT: u32 = 6;
const HAS_CREDIT: u32 = 7;

fn play(stage: &mut Stage) -> Result<(), Stop> {
    let short = JobSpec { time_limit: Some(SHORT), ..costs(1) };
    let fence = stage.foreign()?;
    let jobs = [(0, LONGER, costs(1)), (0, AT_ONCE, short), (2, HAS_CREDIT, costs(1)), (2, CREDIT, short)];
    for (ring, number, spec) in jobs {
        let (_, queue) = stage.open(ring)?;
        stage.submit(queue, number, spec, &[])?;
    }
    let (_, queue) = stage.open(0)?;
    stage.submit(queue, FENCE, short, &[fence])?;
    let (_, queue) = stage.open(1)?;
    stage.submit(queue, BEFORE, costs(1), &[])?;
    stage.submit(queue, BEHIND, short, &[])?;
    stage.settle();
    stage.point()?;

    is_judged(stage, AT_ONCE, Call::Run(AT_ONCE))?;
    fsleep(Delta::from_millis(4 * i64::try_from(SHORT.as_millis() as u64).unwrap_or(0)));
    stage.settle();
    check!(stage.record.has(BEHIND), "the ring that keeps the order does not have both jobs");
    check!(!stage.record.saw(Call::Run(FENCE)), "a job runs before its fence has signalled");
    check!(!stage.record.saw(Call::Run(CREDIT)), "a job runs without a credit");
    for job in [LONGER, FENCE, BEHIND, BEFORE, CREDIT, HAS_CREDIT] {
        let is_left_alone = stage.outcome(job).is_none() && !stage.record.saw(Call::Abort(job));
        check!(
            is_left_alone,
            "job {job} is judged although its time has not begun, or is long: {:?}",
            stage.outcome(job)
        );
    }
    stage.point()?;

    stage.signal_foreign();
    stage.settle();
    is_judged(stage, FENCE, Call::Run(FENCE))?;
    stage.point()?;
    stage.complete(BEFORE)?;
    is_judged(stage, BEHIND, Call::Completed(BEFORE))?;
    stage.complete(HAS_CREDIT)?;
    is_judged(stage, CREDIT, Call::Run(CREDIT))?;
    stage.point()?;

    check!(stage.outcome(LONGER).is_none() && stage.record.has(LONGER), "a job was disturbed by others");
    stage.complete(LONGER)?;
    for job in [LONGER, BEFORE, HAS_CREDIT] {
        check!(stage.outcome(job) == Some(Ok(())), "job {job} has ended by {:?}", stage.outcome(job));
    }
    check!(!stage.record.saw_reset(), "something was reset although rings give up single jobs");
    Ok(())
}

/// A job is found to hang, alone, and not before its limit has passed since a call.
fn is_judged(stage: &Stage, job: u32, since: Call) -> Result<(), Stop> {
    let has_ended = stage.comes(|stage| stage.outcome(job).is_some());
    check!(has_ended, "job {job} is not found to hang");
    check!(stage.outcome(job) == Some(Err(ETIME)), "job {job} hung and has ended by {:?}", stage.outcome(job));
    check!(stage.record.times(Call::Abort(job)) == 1, "the ring was not told once to give up job {job}");
    let took = stage.record.between(since, Call::Abort(job));
    check!(took.is_some_and(|took| took >= SHORT), "job {job} was given up too early: {took:?}");
    check!(stage.comes(|stage| stage.record.saw(Call::Dropped(job))), "job {job} was given up and not dropped");
    Ok(())
}
