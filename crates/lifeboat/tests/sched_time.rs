//! The scheduler and time, on hardware that does what a test says: hangs, what is done about them, and when the driver
//! looks.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::sched::{Limits, NewJob, Options, Queue, RingIndex, SubmitError};
use lifeboat::{Priority, WaitError};
use model::{Hardware, Job, LONG, LOST, Mode, queue, until};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));

fn hasty(rings: u8) -> Options {
    let limits = Limits::new(4, Duration::from_millis(50));
    Options { rings, limits, ..Options::default() }
}

#[test]
fn sched_4_a_hang_is_found_while_another_ring_keeps_the_worker_busy() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::FirstByHand, &hasty(2));
    let queue = queue(&scheduler);
    let hung = queue.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    let busy = Arc::new(scheduler.queue(RingIndex(1), Priority::Normal).unwrap());
    resubmit(&hardware, &busy);
    assert_eq!(hung.wait(LONG), GUILTY);
    assert_eq!(hardware.resets(), 1);
    drop((queue, busy));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

/// The end of each job submits the next, on the worker itself, so that it always has something to do.
fn resubmit(hardware: &Arc<Hardware>, queue: &Arc<Queue<Job>>) {
    let Ok(fence) = queue.submit(hardware.new_job()) else { return };
    let (hardware, queue) = (hardware.clone(), queue.clone());
    fence.on_signal(move |_| resubmit(&hardware, &queue));
}

#[test]
fn sched_4_a_ring_that_cannot_be_reset_has_the_device_reset_and_one_that_cannot_either_is_given_up() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &hasty(2));
    let queues = [0, 1].map(|ring| scheduler.queue(RingIndex(ring), Priority::Normal).unwrap());
    hardware.plan(|plan| plan.reset_fails = true);
    let hung = queues[0].submit(hardware.new_job()).unwrap();
    let behind = queues[0].submit(NewJob { restartable: true, ..hardware.new_job() }).unwrap();
    assert_eq!(hung.wait(LONG), GUILTY);
    assert_eq!((hardware.resets(), hardware.device_resets(), hardware.given_up()), (1, 1, false));
    until(|| hardware.ran() == [0, 1, 1]);
    hardware.complete(&scheduler.events());
    assert_eq!(behind.wait(LONG), Ok(()));
    hardware.plan(|plan| {
        (plan.reset_fails, plan.device_reset_fails, plan.give_up_loses) = (true, true, true);
    });
    let last = queues[1].submit(hardware.new_job()).unwrap();
    assert_eq!(last.wait(LONG), LOST);
    assert_eq!((hardware.resets(), hardware.device_resets(), hardware.given_up()), (2, 2, true));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_4_a_job_that_the_driver_sees_move_has_its_time_again_but_not_for_ever() {
    let hardware = Hardware::new();
    let options = hasty(1);
    let scheduler =
        hardware.open(Mode::ByHand, &Options { limits: Limits { extensions: 3, ..options.limits }, ..options });
    let queue = queue(&scheduler);
    hardware.plan(|plan| plan.moves = true);
    let begun = Instant::now();
    let endless = queue.submit(hardware.new_job()).unwrap();
    assert_eq!(endless.wait(LONG), GUILTY);
    assert!(begun.elapsed() >= 4 * options.limits.job_timeout, "its time, and three times as long again");
    assert_eq!(hardware.resets(), 1);
    drop(scheduler);
    drop(queue);
    hardware.wait_until_nothing_left();
}

#[test]
fn sched_4_a_completion_whose_interrupt_was_lost_is_no_hang() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &hasty(1));
    let queue = queue(&scheduler);
    let fences: Vec<_> = (0..2).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    until(|| hardware.reading() == 2);
    hardware.complete_silently();
    assert_eq!(fences[0].wait(LONG), Ok(()));
    assert_eq!(hardware.resets(), 0);
    // The second has its own time, and does hang.
    assert_eq!(fences[1].wait(LONG), GUILTY);
    assert_eq!(hardware.resets(), 1);
    // The queue goes on (SCHED-6).
    let fence = queue.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    hardware.complete(&scheduler.events());
    assert_eq!(fence.wait(LONG), Ok(()));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_7_a_context_past_its_limit_is_refused_and_another_is_not() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &Options { guilty_limit: 1, ..hasty(1) });
    let (bad, good) = (scheduler.context().unwrap(), scheduler.context().unwrap());
    let queues = [&bad, &good].map(|context| context.queue(RingIndex(0), Priority::Normal).unwrap());
    assert_eq!(queues[0].submit(hardware.new_job()).unwrap().wait(LONG), GUILTY);
    assert!(bad.reset_stats().banned && !good.reset_stats().banned);
    assert_eq!(queues[0].submit(hardware.new_job()).unwrap_err(), SubmitError::Banned);
    assert!(queues[1].submit(hardware.new_job()).is_ok());
    drop((bad, queues, good));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn kms_3_the_driver_looks_in_time_also_while_there_is_always_work() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let (queue, events) = (queue(&scheduler), scheduler.events());
    until(|| hardware.looks() > 0);
    let before = hardware.looks();
    // The worker always has a batch before it when another is on its way.
    let mut batches = VecDeque::new();
    let began = Instant::now();
    while hardware.looks() < before + 3 {
        assert!(began.elapsed() < LONG, "it never looks");
        batches.push_back(queue.submit_all((0..64).map(|_| hardware.new_job())).unwrap());
        events.nudge();
        if batches.len() > 4 {
            batches.pop_front().and_then(|batch| batch.last().map(|fence| fence.wait(LONG))).unwrap().unwrap();
        }
    }
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn the_driver_looks_when_it_wants_to_and_when_it_is_nudged() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    until(|| hardware.looks() == 1);
    hardware.plan(|plan| plan.look_at = Some(Instant::now() + Duration::from_millis(30)));
    let before = hardware.looks();
    scheduler.events().nudge();
    // Once for the nudge, once more at the given moment, and then no more.
    until(|| hardware.looks() == before + 2);
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(hardware.looks(), before + 2);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

/// The worker is kept from a job that it was handed, for longer than the job may take.
#[test]
fn sched_4_time_counts_from_when_the_hardware_has_the_job() {
    let hardware = Hardware::new();
    let limits = Limits::new(1, Duration::from_millis(50));
    let scheduler = hardware.open(Mode::ByHand, &Options { limits, ..Options::default() });
    let queue = queue(&scheduler);
    let first = queue.submit(hardware.new_job()).unwrap();
    let second = queue.submit(hardware.new_job()).unwrap();
    // The signal of the first and the turn of the second are in one batch.
    let (sender, receiver) = mpsc::channel();
    let began = Instant::now();
    first.on_signal(move |_| while began.elapsed() < limits.job_timeout * 3 {});
    second.on_signal(move |ended| sender.send((ended, Instant::now())).unwrap());
    until(|| hardware.reading() == 1);
    hardware.complete(&scheduler.events());
    // It hangs, and is found to: not before it has had its time.
    let (ended, when) = receiver.recv_timeout(LONG).unwrap();
    assert_eq!(ended, Err(FenceError::Guilty));
    let given = hardware.last_run().unwrap();
    assert!(when - given >= limits.job_timeout, "guilty {:?} after the hardware had it", when - given);
    drop(queue);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_4_a_job_that_completes_while_the_driver_looks_costs_no_reset() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &hasty(1));
    let queue = queue(&scheduler);
    let there = hardware.clone();
    hardware.at_look(move |events| assert!(there.complete(events)));
    let slow = queue.submit(hardware.new_job()).unwrap();
    let bystander = queue.submit(hardware.new_job()).unwrap();
    assert_eq!(slow.wait(LONG), Ok(()));
    assert_eq!(hardware.resets(), 0);
    // And one that nobody tells of.
    let there = hardware.clone();
    hardware.at_look(move |_| there.complete_silently());
    assert_eq!(bystander.wait(LONG), GUILTY, "nobody knows of it, not even its ring");
    assert_eq!(hardware.resets(), 1);
    drop(queue);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_7_a_fault_while_the_driver_looks_is_charged_to_the_job_that_faulted() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &hasty(1));
    let contexts = [(); 2].map(|()| scheduler.context().unwrap());
    let queues = [0, 1].map(|at: usize| contexts[at].queue(RingIndex(0), Priority::Normal).unwrap());
    let there = hardware.clone();
    hardware.at_look(move |events| {
        assert!(there.complete(events));
        there.fault(events);
    });
    let slow = queues[0].submit(hardware.new_job()).unwrap();
    let bad = queues[1].submit(hardware.new_job()).unwrap();
    assert_eq!((slow.wait(LONG), bad.wait(LONG)), (Ok(()), GUILTY));
    assert_eq!(contexts.each_ref().map(|context| context.reset_stats().guilty), [0, 1]);
    drop((queues, contexts));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_4_extreme_limits_mean_what_they_say() {
    // Never overdue.
    let hardware = Hardware::new();
    let limits = Limits::new(4, Duration::MAX);
    let scheduler = hardware.open(Mode::ByHand, &Options { limits, ..Options::default() });
    let patience = queue(&scheduler);
    let patient = patience.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    assert_eq!(patient.wait(Duration::from_millis(100)), Err(WaitError::TimedOut));
    hardware.complete(&scheduler.events());
    assert_eq!((patient.wait(LONG), hardware.resets()), (Ok(()), 0));
    drop(patience);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
    // Overdue if it has not completed when its ring is asked.
    let hardware = Hardware::new();
    let limits = Limits::new(4, Duration::ZERO);
    let scheduler = hardware.open(Mode::FirstByHand, &Options { rings: 2, limits, ..Options::default() });
    let queues = [0, 1].map(|ring| scheduler.queue(RingIndex(ring), Priority::Normal).unwrap());
    assert_eq!(queues[1].submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
    assert_eq!(queues[0].submit(hardware.new_job()).unwrap().wait(LONG), GUILTY);
    drop(queues);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}
