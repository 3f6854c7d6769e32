//! The scheduler on hardware that does what a test says: drops in every order, losses, mistakes of the driver.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::sched::{Limits, NewJob, Options, RingIndex, SubmitError};
use lifeboat::{Priority, WaitError};
use model::{Hardware, LONG, LOST, Mode, promise, queue, until};

const CANCELED: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Canceled));

fn narrow() -> Options {
    let limits = Limits { ring_credits: 4, ..Options::default().limits };
    Options { limits, ..Options::default() }
}

#[test]
fn sched_1_a_dropped_scheduler_cancels_what_waits_is_queued_and_runs() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &narrow());
    let queue = queue(&scheduler);
    let (never, promise) = promise();
    let mut fences: Vec<_> = (0..20).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    let after = [never];
    fences.push(queue.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap());
    until(|| hardware.reading() == 4);
    drop(scheduler);
    for fence in &fences {
        assert_eq!(fence.wait(LONG), CANCELED);
    }
    assert_eq!(queue.submit(hardware.new_job()).unwrap_err(), SubmitError::Ended(FenceError::Canceled));
    // The handle of a queue and an open promise hold nothing back.
    until(|| hardware.dropped() == 22);
    until(|| Arc::strong_count(&hardware) == 1);
    hardware.assert_nothing_left();
    drop((queue, promise));
}

#[test]
fn sched_1_a_scheduler_may_be_dropped_in_a_fence_callback_of_its_own_worker() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &Options::default());
    let events = scheduler.events();
    let queue = queue(&scheduler);
    let fences: Vec<_> = (0..10).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    let (sender, dropped) = mpsc::channel();
    fences[0].on_signal(move |_| {
        // Both are the last references; and a worker cannot wait for itself, whatever the limit.
        assert!(!scheduler.close(LONG));
        drop((scheduler, queue));
        sender.send(()).unwrap();
    });
    until(|| hardware.reading() == 10);
    hardware.complete(&events);
    dropped.recv_timeout(LONG).unwrap();
    assert_eq!(fences[0].wait(LONG), Ok(()));
    for fence in &fences[1..] {
        assert_eq!(fence.wait(LONG), CANCELED);
    }
    until(|| Arc::strong_count(&hardware) == 1);
    hardware.assert_nothing_left();
}

#[test]
fn sched_1_two_schedulers_may_be_dropped_in_callbacks_of_each_other() {
    for _ in 0..100 {
        let hardware = [Hardware::new(), Hardware::new()];
        let schedulers = [0, 1].map(|at| hardware[at].open(Mode::ByHand, &Options::default()));
        let events = [0, 1].map(|at| schedulers[at].events());
        let queues = [0, 1].map(|at| queue(&schedulers[at]));
        let fences = [0, 1].map(|at| queues[at].submit(hardware[at].new_job()).unwrap());
        let mut schedulers = schedulers.map(Some);
        for at in [0, 1] {
            let other = schedulers[1 - at].take();
            fences[at].on_signal(move |_| drop(other));
        }
        for at in [0, 1] {
            until(|| hardware[at].reading() == 1 || hardware[at].quiesced());
            hardware[at].complete(&events[at]);
        }
        for fence in &fences {
            assert_ne!(fence.wait(LONG), Err(WaitError::TimedOut));
        }
        drop(queues);
        for hardware in hardware {
            until(|| Arc::strong_count(&hardware) == 1);
            hardware.assert_nothing_left();
        }
    }
}

#[test]
fn sched_1_the_last_reference_to_a_queue_may_be_dropped_from_the_signalling_path() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &narrow());
    let queue = Arc::new(queue(&scheduler));
    let fences: Vec<_> = (0..10).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    let last = queue.clone();
    fences[0].on_signal(move |_| drop(last));
    drop(queue);
    until(|| hardware.reading() == 4);
    hardware.complete(&scheduler.events());
    assert_eq!(fences[0].wait(LONG), Ok(()));
    // What is on the ring runs on; what is not is canceled. The worker may have had the fifth in hand already.
    for fence in &fences[5..] {
        assert_eq!(fence.wait(LONG), CANCELED);
    }
    while fences[..5].iter().any(|fence| fence.status().is_none()) {
        hardware.complete(&scheduler.events());
    }
    for fence in &fences[1..4] {
        assert_eq!(fence.wait(LONG), Ok(()));
    }
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_2_jobs_on_the_hardware_stay_until_it_is_at_rest_although_all_handles_are_gone() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &narrow());
    let queue = queue(&scheduler);
    let fences: Vec<_> = (0..6).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    until(|| hardware.reading() == 4);
    let (arrived, quiesce) = mpsc::channel();
    let (go_on, wait) = mpsc::channel();
    hardware.at_quiesce(move || {
        arrived.send(()).unwrap();
        wait.recv_timeout(LONG).unwrap();
    });
    drop((scheduler, queue));
    quiesce.recv_timeout(LONG).unwrap();
    // Everybody knows that it is over, and what never reached the ring is gone; four jobs are still being read.
    assert!(fences.iter().all(|fence| fence.error() == Some(FenceError::Canceled)));
    assert_eq!(hardware.dropped(), 2);
    go_on.send(()).unwrap();
    until(|| Arc::strong_count(&hardware) == 1);
    hardware.assert_nothing_left();
}

#[test]
fn sched_2_jobs_outlive_the_worker_if_somebody_else_brings_the_hardware_to_rest() {
    let hardware = Hardware::new();
    hardware.plan(|plan| plan.not_at_rest = true);
    let scheduler = hardware.open(Mode::ByHand, &Options::default());
    let queue = queue(&scheduler);
    let fence = queue.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    assert!(scheduler.close(LONG));
    assert_eq!((fence.error(), hardware.dropped()), (Some(FenceError::Canceled), 0));
    hardware.switch_off();
    scheduler.hardware_gone();
    assert_eq!(hardware.dropped(), 1);
    hardware.assert_nothing_left();
}

#[test]
fn sched_2_what_nobody_says_is_at_rest_is_never_dropped() {
    let hardware = Hardware::new();
    hardware.plan(|plan| plan.not_at_rest = true);
    let scheduler = hardware.open(Mode::ByHand, &Options::default());
    let queue = queue(&scheduler);
    let fence = queue.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    drop((scheduler, queue));
    assert_eq!(fence.wait(LONG), CANCELED);
    until(|| hardware.quiesced());
    // The job in the core, and this one: the rings are gone.
    until(|| Arc::strong_count(&hardware) == 2);
    std::thread::sleep(Duration::from_millis(10));
    assert_eq!((hardware.reading(), hardware.dropped()), (1, 0));
}

#[test]
fn sched_3_a_batch_is_submitted_in_order_or_refused_whole() {
    let hardware = Hardware::new();
    let options = Options { jobs: 8, ..Options::default() };
    let scheduler = hardware.open(Mode::ByHand, &options);
    let queue = queue(&scheduler);
    let batch = |jobs| (0..jobs).map(|_| hardware.new_job()).collect::<Vec<_>>();
    let first = queue.submit_all(batch(6)).unwrap();
    assert_eq!(queue.submit_all(batch(3)).unwrap_err(), SubmitError::Full);
    let too_large = [hardware.new_job(), NewJob { cost: u32::MAX, ..hardware.new_job() }];
    assert_eq!(queue.submit_all(too_large).unwrap_err(), SubmitError::TooLarge);
    // The refused ones are gone and took no place.
    assert_eq!(hardware.dropped(), 5);
    let second = queue.submit_all(batch(2)).unwrap();
    assert!(queue.submit_all([]).unwrap().is_empty());
    let numbers: Vec<_> = first.iter().chain(&second).map(|fence| fence.seqno().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    until(|| hardware.reading() == 8);
    while hardware.complete(&scheduler.events()) {}
    assert_eq!(second[1].wait(LONG), Ok(()));
    assert_eq!(hardware.ran(), [0, 1, 2, 3, 4, 5, 11, 12]);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn jobs_of_a_batch_wait_for_fences_and_for_each_other() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let (first, second) = (queue(&scheduler), queue(&scheduler));
    let (gate, promise) = promise();
    let after = [gate];
    let jobs = [hardware.new_job(), NewJob { after: &after, ..hardware.new_job() }, hardware.new_job()];
    let fences = first.submit_all(jobs).unwrap();
    let behind = second.submit(NewJob { after: &fences, ..hardware.new_job() }).unwrap();
    assert_eq!(fences[0].wait(LONG), Ok(()));
    assert_eq!(behind.wait(Duration::from_millis(20)), Err(WaitError::TimedOut));
    promise.signal();
    assert_eq!(behind.wait(LONG), Ok(()));
    assert_eq!(hardware.ran(), [0, 1, 2, 3]);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn signals_of_one_queue_come_in_order_whatever_batches_they_came_in() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let queue = queue(&scheduler);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut last = None;
    for size in [1, 100, 7, 64, 1, 33, 32, 31] {
        let (gate, promise) = promise();
        let after = [gate];
        let jobs = (0..size).map(|at| NewJob { after: if at == 0 { &after } else { &[] }, ..hardware.new_job() });
        let fences = queue.submit_all(jobs).unwrap();
        for fence in &fences {
            let (order, number) = (order.clone(), fence.seqno());
            fence.on_signal(move |_| order.lock().unwrap().push(number.unwrap()));
        }
        promise.signal();
        last = fences.into_iter().next_back();
    }
    last.unwrap().wait(LONG).unwrap();
    assert!(scheduler.close(LONG));
    let order = order.lock().unwrap();
    assert_eq!(*order, (1..=269).collect::<Vec<_>>());
    hardware.assert_nothing_left();
}

#[test]
fn fence_2_a_loss_is_delivered_while_the_worker_waits_for_hardware() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &Options::default());
    let queue = queue(&scheduler);
    let fences: Vec<_> = (0..3).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    until(|| hardware.reading() == 3);
    let (arrived, stuck) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    fences[0].on_signal(move |_| {
        arrived.send(()).unwrap();
        let _ = wait.recv_timeout(LONG);
    });
    hardware.complete(&scheduler.events());
    stuck.recv_timeout(LONG).unwrap();
    assert!(!scheduler.deliver(LONG), "there is nothing to deliver before a loss");
    scheduler.lose(FenceError::Lost);
    // What the worker has in hand it has; the rest is signalled here.
    assert!(!scheduler.deliver(Duration::from_millis(1)));
    assert_eq!((fences[1].wait(Duration::ZERO), fences[2].wait(Duration::ZERO)), (LOST, LOST));
    assert_eq!(scheduler.lost(), 2);
    go_on.send(()).unwrap();
    assert!(scheduler.deliver(LONG) && scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn sched_3_what_is_submitted_too_late_is_refused_or_signals_at_once() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let queue = queue(&scheduler);
    let (gate, promise) = promise();
    let after = [gate];
    let waiting = queue.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap();
    assert!(scheduler.close(LONG));
    assert_eq!(waiting.wait(Duration::ZERO), CANCELED);
    assert_eq!(queue.submit_all([hardware.new_job()]).unwrap_err(), SubmitError::Ended(FenceError::Canceled));
    // Old news, for nobody.
    promise.signal();
    assert!(scheduler.close(LONG) && scheduler.counts().is_empty());
    hardware.assert_nothing_left();
}

#[test]
fn a_job_that_could_not_be_run_is_not_completed_by_the_next() {
    let hardware = Hardware::new();
    hardware.plan(|plan| plan.give_up_loses = true);
    let scheduler = hardware.open(Mode::ByHand, &Options::default());
    let queue = queue(&scheduler);
    let first = queue.submit(hardware.new_job()).unwrap();
    until(|| hardware.reading() == 1);
    hardware.plan(|plan| plan.run_fails = true);
    // The worker finds both in one look.
    let fences = queue.submit_all([hardware.new_job(), hardware.new_job()]).unwrap();
    assert_eq!([&first, &fences[0], &fences[1]].map(|fence| fence.wait(LONG)), [LOST; 3]);
    assert!(hardware.given_up());
    assert_eq!(hardware.ran(), [0]);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn a_panic_of_the_driver_ends_the_device_and_not_the_duty_to_signal() {
    let hardware = Hardware::new();
    hardware.plan(|plan| (plan.run_panics, plan.give_up_loses) = (true, true));
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let queue = queue(&scheduler);
    let fence = queue.submit(hardware.new_job()).unwrap();
    assert_eq!(fence.wait(LONG), LOST);
    assert!(hardware.given_up());
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

#[test]
fn fence_2_a_job_that_panics_when_it_is_dropped_takes_no_fence_with_it() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::ByHand, &Options::default());
    let queue = queue(&scheduler);
    let (go_on, wait) = mpsc::channel::<()>();
    let (arrived, stuck) = mpsc::channel();
    let (gate, promise) = promise();
    let after = [gate];
    hardware.plan(|plan| plan.drops_panic = true);
    let waiting: Vec<_> =
        (0..3).map(|_| queue.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap()).collect();
    // The worker is held up in a callback, so that the drops are this thread's.
    let other = scheduler.queue(RingIndex(0), Priority::Normal).unwrap();
    other.submit(hardware.new_job()).unwrap().on_signal(move |_| {
        arrived.send(()).unwrap();
        let _ = wait.recv_timeout(LONG);
    });
    until(|| hardware.reading() == 1);
    hardware.complete(&scheduler.events());
    stuck.recv_timeout(LONG).unwrap();
    scheduler.lose(FenceError::Lost);
    assert!(!scheduler.deliver(Duration::from_millis(1)));
    assert!(waiting.iter().all(|fence| fence.error() == Some(FenceError::Lost)));
    go_on.send(()).unwrap();
    assert!(scheduler.deliver(LONG) && scheduler.close(LONG));
    drop(promise);
    hardware.assert_nothing_left();
}

/// A thread that delivers what a lost scheduler owes runs a callback that delivers, too: it would wait for itself.
#[test]
fn fence_2_who_delivers_does_not_wait_for_what_it_has_in_hand_itself() {
    let hardware = Hardware::new();
    let scheduler = Arc::new(hardware.open(Mode::ByHand, &Options::default()));
    let queue = queue(&scheduler);
    let blocked = queue.submit(hardware.new_job()).unwrap();
    let fences: Vec<_> = (0..3).map(|_| queue.submit(hardware.new_job()).unwrap()).collect();
    until(|| hardware.reading() == 4);
    // The worker is held up in the first callback, so that this thread runs the others.
    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    blocked.on_signal(move |_| {
        enter.send(()).unwrap();
        let _ = left.recv_timeout(LONG);
    });
    let (sender, inner) = std::sync::mpsc::channel();
    for fence in &fences {
        let (scheduler, sender) = (scheduler.clone(), sender.clone());
        fence.on_signal(move |_| {
            let began = std::time::Instant::now();
            let delivered = scheduler.deliver(LONG);
            sender.send((std::thread::current().id(), delivered, began.elapsed())).unwrap();
        });
    }
    hardware.complete(&scheduler.events());
    entered.recv_timeout(LONG).unwrap();
    scheduler.lose(FenceError::Lost);
    assert!(!scheduler.deliver(Duration::ZERO), "the worker has something in hand");
    let this = std::thread::current().id();
    for _ in &fences {
        let (thread, delivered, waited) = inner.recv_timeout(LONG).unwrap();
        assert_eq!((thread, delivered), (this, false));
        // A call that waited for its own thread would take the whole limit, ten seconds.
        assert!(waited < LONG / 2, "a callback waited {waited:?} for its own thread");
    }
    leave.send(()).unwrap();
    assert!(scheduler.deliver(LONG));
    hardware.switch_off();
    scheduler.hardware_gone();
    drop(queue);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}
