//! No client of a scheduler locks out the others, and what fails to start fails alone (SCHED-9, SCHED-10).
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::sched::{Limits, NewJob, Options, QueueError, RingIndex, SubmitError};
use lifeboat::{Fence, Priority, WaitError};
use model::{Hardware, LONG, Mode, promise, queue, until};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));

/// One job on the ring at a time, which the test completes.
fn one_at_a_time() -> Options {
    Options { limits: Limits::new(1, LONG), ..Options::default() }
}

#[test]
fn sched_9_jobs_that_wait_for_ever_fill_a_share_and_no_more() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let [greedy, modest] = [(); 2].map(|()| scheduler.context().unwrap());
    let (never, _promise) = promise();
    let after = [never];
    let greedy_queue = greedy.queue(RingIndex(0), Priority::High).unwrap();
    let submit = || greedy_queue.submit(NewJob { after: &after, ..hardware.new_job() });
    let held: Vec<Fence> = std::iter::from_fn(|| submit().ok()).collect();
    let refused = submit().unwrap_err();
    assert_eq!((held.len(), refused, Errno::from(refused)), (1024, SubmitError::OverShare, Errno::EDQUOT));
    let modest = modest.queue(RingIndex(0), Priority::Low).unwrap();
    for _ in 0..100 {
        assert_eq!(modest.submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
    }
    // All others together leave room for each.
    let mut hogs = vec![];
    while let Some(hog) = scheduler.context() {
        let queue = hog.queue(RingIndex(0), Priority::High).unwrap();
        let filled = std::iter::from_fn(|| queue.submit(NewJob { after: &after, ..hardware.new_job() }).ok()).count();
        assert!(filled >= 16, "a context has {filled} jobs of its own");
        hogs.push((hog, queue));
    }
    assert_eq!(hogs.len(), 510);
    assert_eq!(modest.submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
    drop((hogs, greedy_queue, modest, greedy));
    assert!(scheduler.close(LONG));
    assert!(held.iter().all(|fence| fence.error() == Some(FenceError::Canceled)));
    hardware.assert_nothing_left();
}

#[test]
fn sched_9_queues_have_a_share_too() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options { queue_share: Some(3), ..Options::default() });
    let context = scheduler.context().unwrap();
    let open = || context.queue(RingIndex(0), Priority::Normal);
    let queues: Vec<_> = std::iter::from_fn(|| open().ok()).collect();
    assert_eq!((queues.len(), open().unwrap_err()), (3, QueueError::OverShare));
    drop(queues);
    until(|| open().is_ok());
    drop(context);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_9_a_flooded_ring_leaves_the_others_their_turns() {
    for (flooded, other) in [(0, 1), (1, 0)] {
        let hardware = Hardware::new();
        let scheduler = Arc::new(hardware.open(Mode::AtOnce, &Options { rings: 2, ..Options::default() }));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let flood = || {
                let queue = scheduler.queue(RingIndex(flooded), Priority::High).unwrap();
                while !stop.load(Relaxed) {
                    let _ = queue.submit_all((0..64).map(|_| hardware.new_job()));
                }
            };
            let flooders = [scope.spawn(flood), scope.spawn(flood)];
            until(|| hardware.ran().len() > 1000);
            let queue = scheduler.queue(RingIndex(other), Priority::Low).unwrap();
            // Jobs that the flooded ring has been given between the submission and the run, at most: a batch and what
            // comes in turn. On a ring that waits for the other to be empty it is as many as there are.
            let before = hardware.ran().len();
            let fence = loop {
                if let Ok(fence) = queue.submit(hardware.new_job()) {
                    break fence;
                }
            };
            let waited = fence.wait(LONG);
            stop.store(true, Relaxed);
            for flooder in flooders {
                flooder.join().unwrap();
            }
            assert_eq!(waited, Ok(()), "starved for {} jobs", hardware.ran().len() - before);
        });
        assert!(scheduler.close(LONG));
    }
}

/// The order in which jobs were run, when a ring does one at a time.
fn order(hardware: &Arc<Hardware>, scheduler: &lifeboat::sched::Scheduler<model::Job>, jobs: usize) -> Vec<usize> {
    for done in 1..=jobs {
        until(|| hardware.ran().len() >= done && hardware.reading() == 1);
        hardware.complete(&scheduler.events());
    }
    hardware.ran()
}

#[test]
fn sched_9_a_high_job_lends_its_priority_through_whatever_fences_it_waits_for() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &one_at_a_time());
    let lane = |priority| scheduler.queue(RingIndex(0), priority).unwrap();
    let (busy, low, lower, middle, normal, high) = (
        lane(Priority::High),
        lane(Priority::Low),
        lane(Priority::Low),
        lane(Priority::Normal),
        lane(Priority::Normal),
        lane(Priority::High),
    );
    let first = busy.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    let flood: Vec<_> = (0..3).map(|_| normal.submit(hardware.new_job()).unwrap()).collect();
    let one = low.submit(hardware.new_job()).unwrap();
    let other = lower.submit(hardware.new_job()).unwrap();
    // The middle one waits for both, and the high one for that, through fences made of others.
    let both = [Fence::all([one.clone(), other.clone()])];
    let between = middle.submit(NewJob { after: &both, ..hardware.new_job() }).unwrap();
    let merged = [between.merge(&first)];
    let urgent = high.submit(NewJob { after: &merged, ..hardware.new_job() }).unwrap();
    let order = order(&hardware, &scheduler, 8);
    // Numbers in the order of submission: 0 busy, 1-3 flood, 4 and 5 low, 6 between, 7 urgent. When a fence signals, the
    // ring is given its next job at the same time as those who wait for it are told: so at most one of the flood comes
    // between two of a chain.
    let place = |job: usize| order.iter().position(|ran| *ran == job).unwrap();
    assert_eq!(order[..3], [0, 4, 5], "{order:?}");
    assert!(place(6) <= 4 && place(7) <= place(6) + 2, "{order:?}");
    for fence in flood.iter().chain([&first, &one, &other, &between, &urgent]) {
        assert_eq!(fence.wait(LONG), Ok(()));
    }
    drop((busy, low, lower, middle, normal, high));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_9_a_context_with_many_queues_gets_no_more_of_a_ring_than_one_with_one() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &one_at_a_time());
    let [many, one] = [(); 2].map(|()| scheduler.context().unwrap());
    let queues: Vec<_> = (0..100).map(|_| many.queue(RingIndex(0), Priority::Normal).unwrap()).collect();
    let single = one.queue(RingIndex(0), Priority::Normal).unwrap();
    for queue in &queues {
        queue.submit(hardware.new_job()).unwrap();
    }
    let theirs: Vec<usize> = (100..110).collect();
    for _ in &theirs {
        single.submit(hardware.new_job()).unwrap();
    }
    let order = order(&hardware, &scheduler, 60);
    // How long a job took is what the machine made of it, so turns need not be strict; with a turn for each queue the
    // last of these would be the 110th.
    assert!(theirs.iter().all(|job| order.contains(job)), "{order:?}");
    drop((queues, single, many, one));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_9_a_low_priority_is_not_starved() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &one_at_a_time());
    let (normal, low) = (queue(&scheduler), scheduler.queue(RingIndex(0), Priority::Low).unwrap());
    let flood = normal.submit_all((0..100).map(|_| hardware.new_job())).unwrap();
    until(|| hardware.reading() == 1);
    let starved = low.submit(hardware.new_job()).unwrap();
    let order = order(&hardware, &scheduler, 101);
    assert_eq!(order.iter().position(|job| *job == 100), Some(17));
    drop((normal, low, flood, starved));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_10_a_job_that_cannot_be_started_fails_alone() {
    let hardware = Hardware::new();
    let options = Options { limits: Limits::new(8, Duration::from_mins(1)), guilty_limit: 2, ..Options::default() };
    let scheduler = hardware.open(Mode::ByHand, &options);
    let [bad, good] = [(); 2].map(|()| scheduler.context().unwrap());
    let queues = [&bad, &good].map(|context| context.queue(RingIndex(0), Priority::Normal).unwrap());
    hardware.plan(|plan| plan.errors_are_of_jobs = true);
    for round in 1..=2 {
        hardware.plan(|plan| plan.run_fails = true);
        let failed = queues[0].submit(hardware.new_job()).unwrap();
        assert_eq!(failed.wait(LONG), GUILTY);
        assert_eq!((bad.reset_stats().guilty, good.reset_stats().guilty), (round, 0));
        let fine = queues[1].submit(hardware.new_job()).unwrap();
        until(|| hardware.reading() == 1);
        hardware.complete(&scheduler.events());
        assert_eq!(fine.wait(LONG), Ok(()));
    }
    assert!(!hardware.given_up() && hardware.resets() == 0);
    assert_eq!(queues[0].submit(hardware.new_job()).unwrap_err(), SubmitError::Banned);
    drop((queues, bad, good));
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_10_a_dead_fence_of_another_device_loses_nothing() {
    let others = Hardware::new();
    let other = others.open(Mode::ByHand, &Options::default());
    let dead = queue(&other).submit(others.new_job()).unwrap();
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let queue = queue(&scheduler);
    let after = [dead.clone()];
    let dependent = queue.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap();
    other.lose(FenceError::Lost);
    assert!(dead.wait(LONG).is_err());
    assert_eq!(dependent.wait(LONG), Err(WaitError::Failed(FenceError::Canceled)));
    let late = queue.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap();
    assert_eq!(late.wait(LONG), Err(WaitError::Failed(FenceError::Canceled)));
    assert_eq!(queue.submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
    assert!(!hardware.given_up());
    drop(queue);
    assert!(scheduler.close(LONG) && other.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_9_a_high_job_lends_its_priority_through_combinations_of_any_size() {
    for deep in [false, true] {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::ByHand, &one_at_a_time());
        let lane = |priority| scheduler.queue(RingIndex(0), priority).unwrap();
        let (busy, low, normal, high) =
            (lane(Priority::High), lane(Priority::Low), lane(Priority::Normal), lane(Priority::High));
        let first = busy.submit(hardware.new_job()).unwrap();
        until(|| hardware.reading() == 1);
        let lows: Vec<Fence> = (0..200).map(|_| low.submit(hardware.new_job()).unwrap()).collect();
        let flood = normal.submit_all((0..300).map(|_| hardware.new_job())).unwrap();
        let all = if deep {
            lows.iter().skip(1).fold(lows[0].clone(), |all, one| one.merge(&all))
        } else {
            Fence::all(lows.iter().cloned())
        };
        let after = [all];
        let urgent = high.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap();
        let order = order(&hardware, &scheduler, 203);
        // The first, 200 low ones, at most one of the flood, and the high one. A loan is a higher priority, and one of a
        // lower has a turn now and then.
        let flooded = order[..201].iter().filter(|job| (201..501).contains(*job)).count();
        assert!(flooded <= 201 / 17 + 1, "deep: {deep}, {order:?}");
        drop((busy, low, normal, high, first, flood, urgent));
        assert!(scheduler.close(LONG));
        hardware.assert_nothing_left();
    }
}
