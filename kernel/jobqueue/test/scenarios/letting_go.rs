// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Teardown in two phases, where firmware must let go first (SCHED-12).

use kernel::prelude::*;
use lifeboat_core::sched::{self, ContextId, JobSpec, QueueId};
use lifeboat_jobqueue::InOrder;

use super::costs;
use crate::model::Firmware;
use crate::record::Call;
use crate::stage::{Scenario, Stage, Stop, LONG, SHORT};

/// The firmware answers when it likes.
pub(crate) const LATE: Scenario = Scenario {
    name: "firmware answers late",
    rings: &[(4, InOrder::No), (4, InOrder::Yes)],
    queues: 2,
    limit: LONG,
    firmware: Firmware::IsTold,
    resets: sched::Firmware::OfEachRing,
    body: late,
};

/// Its answer is lost: a last look finds that it has let go.
pub(crate) const WORD_IS_LOST: Scenario = Scenario {
    name: "firmware's answer is lost",
    limit: SHORT,
    firmware: Firmware::IsMute,
    body: |stage| silent(stage, &[ASKED, LOOKED, DROPPED]),
    ..LATE
};

/// It never answers: its ring is reset, and no other.
pub(crate) const NEVER: Scenario = Scenario {
    name: "firmware never answers",
    limit: SHORT,
    body: |stage| silent(stage, &[ASKED, LOOKED, Call::ResetRing(0), DROPPED]),
    ..LATE
};

/// The same, where one firmware serves all rings: the device is reset.
pub(crate) const NEVER_OF_THE_DEVICE: Scenario = Scenario {
    name: "firmware of the device never answers",
    resets: sched::Firmware::OfTheDevice,
    body: |stage| silent(stage, &[ASKED, LOOKED, Call::ResetDevice, DROPPED]),
    ..NEVER
};

/// It cannot be asked: its ring is reset at once.
pub(crate) const DEAD: Scenario = Scenario {
    name: "firmware cannot be asked",
    firmware: Firmware::IsDead,
    body: |stage| silent(stage, &[ASKED, Call::ResetRing(0), DROPPED]),
    ..LATE
};

/// What the firmware holds.
const KEPT: u32 = 100;
const ASKED: Call = Call::LetGo(KEPT);
const LOOKED: Call = Call::LastLook(KEPT);
const DROPPED: Call = Call::Dropped(KEPT);

/// A job of a queue that nothing limits but its own limit.
const PATIENT: JobSpec = JobSpec { time_limit: Some(LONG), ..costs(1) };

/// A queue that the firmware knows, with a job on the ring.
fn begin(stage: &mut Stage) -> Result<(ContextId, QueueId), Stop> {
    let (context, queue) = stage.open(0)?;
    stage.hold(queue, KEPT)?;
    stage.submit(queue, 1, PATIENT, &[])?;
    stage.settle();
    check!(stage.record.has(1), "the job does not run");
    Ok((context, queue))
}

/// Closes it. What is on the ring stays there.
fn close(stage: &Stage, context: ContextId, queue: QueueId) -> Result<(), Stop> {
    stage.scheduler.close_context(context, [queue]);
    stage.settle();
    check!(!stage.record.saw(ASKED), "the firmware is asked while a job is on the ring");
    check!(!stage.record.saw(Call::Dropped(1)), "a job is dropped that is on the ring");
    check!(stage.outcome(1).is_none(), "a job on the ring has ended by the close: {:?}", stage.outcome(1));
    Ok(())
}

fn late(stage: &mut Stage) -> Result<(), Stop> {
    let (context, queue) = begin(stage)?;
    // Behind it, and not given to the ring.
    stage.submit(queue, 2, PATIENT, &[])?;
    stage.settle();
    stage.point()?;
    close(stage, context, queue)?;
    check!(stage.outcome(2) == Some(Err(ECANCELED)), "a job that waits has ended by {:?}", stage.outcome(2));
    stage.point()?;
    stage.complete(1)?;
    check!(stage.outcome(1) == Some(Ok(())), "the fence waits for the firmware: {:?}", stage.outcome(1));
    check!(stage.record.is_in_order(&[Call::Completed(1), ASKED]), "the firmware is not asked once, after the job");
    check!(!stage.record.saw(DROPPED), "what the firmware holds is dropped before its answer");
    stage.point()?;

    // Nobody waits for it: others work on, on the same ring. Its queue has its place until it answers.
    let (other, others) = stage.open(0)?;
    stage.submit(others, 3, PATIENT, &[])?;
    stage.settle();
    stage.complete(3)?;
    check!(stage.outcome(3) == Some(Ok(())), "a job waits for a firmware that lets go of another queue");
    check!(stage.open(0) == Err(ENOSPC), "the queue's place is given away while the firmware holds it");
    check!(!stage.record.saw(DROPPED), "what the firmware holds is dropped before its answer");
    stage.point()?;

    stage.let_go(queue, KEPT);
    let all = [Call::Completed(1), ASKED, Call::HasLetGo(KEPT), DROPPED];
    check!(stage.record.is_in_order(&all), "what the firmware held is not dropped once, after its answer");
    check!(stage.open(0).is_ok(), "the queue's place is not given back");
    stage.scheduler.close_context(other, [others]);
    stage.settle();
    check!(stage.record.times(ASKED) == 1 && !stage.record.saw(LOOKED), "a firmware was asked in vain");
    check!(!stage.record.saw_reset(), "something was reset");
    Ok(())
}

/// The firmware says nothing: these calls follow, each once and in this order, and all is well again.
fn silent(stage: &mut Stage, expected: &[Call]) -> Result<(), Stop> {
    let (context, queue) = begin(stage)?;
    let (_, other) = stage.open(1)?;
    stage.point()?;
    close(stage, context, queue)?;
    stage.point()?;
    stage.complete(1)?;
    check!(stage.outcome(1) == Some(Ok(())), "the fence waits for the firmware: {:?}", stage.outcome(1));
    // On another ring, which no reset of the firmware's ring touches.
    let is_of_the_device = expected.contains(&Call::ResetDevice);
    if !is_of_the_device {
        stage.submit(other, 3, PATIENT, &[])?;
    }
    stage.point()?;
    check!(stage.comes(|stage| stage.record.saw(DROPPED)), "what the firmware holds is never dropped");
    stage.settle();
    check!(stage.record.is_in_order(expected), "the firmware was not asked, looked at, reset in this order");
    let resets = [Call::ResetRing(0), Call::ResetRing(1), Call::ResetDevice, Call::GiveUp];
    let resets: usize = resets.iter().map(|call| stage.record.times(*call)).sum();
    let due = usize::from(expected.iter().any(|call| matches!(call, Call::ResetRing(_) | Call::ResetDevice)));
    check!(resets == due, "there were {resets} resets");
    if let Some(took) = stage.record.between(ASKED, LOOKED) {
        check!(took >= SHORT, "the firmware was looked at too early: {took:?}");
    }
    stage.point()?;
    if is_of_the_device {
        stage.submit(other, 3, PATIENT, &[])?;
    }
    // The ring of that firmware works again.
    let (_, again) = stage.open(0)?;
    stage.submit(again, 4, PATIENT, &[])?;
    stage.settle();
    stage.complete(3)?;
    stage.complete(4)?;
    check!(stage.have_completed(&[1, 3, 4]), "jobs do not complete");
    Ok(())
}
