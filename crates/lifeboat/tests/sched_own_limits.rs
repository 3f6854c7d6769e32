//! What a ring or a job has of its own: credits, and a time limit (SCHED-11).
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;

use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::sched::{Limits, NewJob, Options, QueueError, RingIndex, SubmitError};
use lifeboat::{Priority, WaitError};
use model::{Hardware, LONG, Mode, queue, until};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));

#[test]
fn each_ring_has_its_own_credits() {
    let hardware = Hardware::new();
    let options = Options { rings: 2, limits: Limits::new(4, LONG), ring_credits: vec![1], ..Options::default() };
    let scheduler = hardware.open(Mode::ByHand, &options);
    let events = scheduler.events();
    let queues = [0, 1].map(|ring| scheduler.queue(RingIndex(ring), Priority::Normal).unwrap());
    let mut fences = vec![];
    for _ in 0..6 {
        fences.extend(queues.iter().map(|queue| queue.submit(hardware.new_job()).unwrap()));
    }
    until(|| hardware.reading() == 5);
    let large = |cost| NewJob { cost, ..hardware.new_job() };
    assert_eq!(queues[0].submit(large(2)).unwrap_err(), SubmitError::TooLarge);
    fences.push(queues[1].submit(large(4)).unwrap());
    assert_eq!(queues[1].move_to(RingIndex(0)).unwrap_err(), QueueError::TooLarge);
    while !fences.iter().all(|fence| fence.wait(Duration::from_millis(1)) == Ok(())) {
        hardware.complete(&events);
    }
    // Its large job is released a moment after the fence has signalled.
    until(|| queues[1].move_to(RingIndex(0)).is_ok());
    drop((queues, scheduler));
    hardware.wait_until_nothing_left();
}

#[test]
fn a_job_is_judged_by_its_own_limit_and_by_that_of_all_if_it_has_none() {
    let short = Duration::from_millis(50);
    for (of_all, own) in [(LONG * 10, Some(short)), (short, None)] {
        let hardware = Hardware::new();
        let options = Options { limits: Limits::new(4, of_all), ..Options::default() };
        let scheduler = hardware.open(Mode::ByHand, &options);
        let queue = queue(&scheduler);
        let begun = Instant::now();
        let hangs = queue.submit(NewJob { time_limit: own, ..hardware.new_job() }).unwrap();
        assert_eq!(hangs.wait(LONG), GUILTY);
        assert!(begun.elapsed() >= short);
        assert_eq!(hardware.resets(), 1);
        drop((queue, scheduler));
        hardware.wait_until_nothing_left();
    }
}

#[test]
fn a_job_may_take_longer_than_others_and_the_next_has_its_own_time() {
    let short = Duration::from_millis(50);
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &Options { limits: Limits::new(4, short), ..Options::default() });
    let (queue, events) = (queue(&scheduler), scheduler.events());
    let slow = queue.submit(NewJob { time_limit: Some(LONG * 10), ..hardware.new_job() }).unwrap();
    let hangs = queue.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 2);
    // The second would be overdue three times over if its time had begun.
    std::thread::sleep(3 * short);
    assert_eq!(hardware.resets(), 0);
    hardware.complete(&events);
    assert_eq!((slow.wait(LONG), hardware.resets()), (Ok(()), 0));
    assert_eq!(hangs.wait(LONG), GUILTY);
    drop((queue, scheduler));
    hardware.wait_until_nothing_left();
}
