//! The scheduler's hosted shell and its fences by random schedules: who drops what when, against loss and completion.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p lifeboat --test shuttle`. A model has no time, so that no wait ends
//! by its limit: who is not woken waits for ever, and is found. A failing schedule is printed, and `shuttle::replay` runs
//! it again.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

#[path = "shuttle/fences.rs"]
mod fences;
mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::sched::{Events, Limits, NewJob, Options, Queue, Scheduler, SubmitError};
use lifeboat::{Callback, Fence, WaitError};
use model::{Hardware, Job, Mode, promise, queue};
use shuttle::thread;

const SCHEDULES: usize = 4_000;
/// Switches of threads at chosen moments, of the half of all runs that choose them (probabilistic concurrency testing).
const DEPTH: usize = 4;
/// Nobody waits for it: there is no time.
const LIMIT: Duration = Duration::MAX;

fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scenario.clone(), SCHEDULES);
    shuttle::check_pct(scenario, SCHEDULES, DEPTH);
}

/// Few places, so that to set up a model costs little.
fn small() -> Options {
    let limits = Limits::new(2, Duration::from_hours(1));
    Options { limits, jobs: 8, queues: 4, contexts: 1, ..Options::default() }
}

/// A fence, and how often it has told so.
struct Watched {
    fence: Fence,
    told: Arc<AtomicUsize>,
}

impl Watched {
    fn new(fence: Fence) -> Self {
        let told = Arc::<AtomicUsize>::default();
        count(&fence, &told);
        Self { fence, told }
    }

    fn submit(hardware: &Arc<Hardware>, queue: &Queue<Job>) -> Self {
        Self::new(queue.submit(hardware.new_job()).unwrap())
    }

    /// Waits until it has signalled, and says how. Its callbacks may still be running.
    fn wait(&self) -> Result<(), FenceError> {
        match self.fence.wait(LIMIT) {
            Ok(()) => Ok(()),
            Err(WaitError::Failed(error)) => Err(error),
            Err(WaitError::TimedOut) => panic!("there is no time"),
        }
    }

    /// To be asked when the scheduler has ended.
    fn assert_told_once(&self) {
        assert!(self.fence.status().is_some(), "a fence has not signalled");
        assert_eq!(self.told.load(SeqCst), 1, "a fence has signalled more than once, or told nobody");
    }
}

fn count(fence: &Fence, told: &Arc<AtomicUsize>) -> Callback {
    let told = told.clone();
    fence.on_signal(move |_| {
        told.fetch_add(1, SeqCst);
    })
}

/// The device at work on its own: completes what it finds, a few times.
fn work(hardware: &Arc<Hardware>, events: Events<Job>) -> thread::JoinHandle<()> {
    let hardware = hardware.clone();
    thread::spawn(move || {
        for _ in 0..3 {
            hardware.complete(&events);
            thread::yield_now();
        }
    })
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A thread whose whole life is a drop.
fn drop_elsewhere<T: Send + 'static>(what: T) -> thread::JoinHandle<()> {
    thread::spawn(move || drop(what))
}

#[test]
fn sched_1_everything_is_dropped_by_a_thread_of_its_own() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::ByHand, &small());
        let queue = queue(&scheduler);
        let (gate, promise) = promise();
        let after = [gate];
        let running = [0; 3].map(|_| Watched::submit(&hardware, &queue));
        let waiting = Watched::new(queue.submit(NewJob { after: &after, ..hardware.new_job() }).unwrap());
        let forgotten = queue.submit(hardware.new_job()).unwrap();
        let threads = [
            work(&hardware, scheduler.events()),
            drop_elsewhere(scheduler),
            drop_elsewhere(queue),
            drop_elsewhere(promise),
            drop_elsewhere(forgotten),
        ];
        for watched in &running {
            assert!(matches!(watched.wait(), Ok(()) | Err(FenceError::Canceled)));
        }
        assert_eq!(waiting.wait(), Err(FenceError::Canceled));
        join(threads);
        hardware.wait_until_nothing_left();
        running.iter().chain([&waiting]).for_each(Watched::assert_told_once);
    });
}

/// Threads that submit run their jobs where the worker rests, beside the worker and a loss: each job is run once, numbers
/// are written in their order, and whoever waits for the seat gets it.
#[test]
fn sched_8_and_1_submitters_run_their_jobs_beside_the_worker() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::AtOnce, &small());
        let submitters = [(); 2].map(|()| {
            let (hardware, queue) = (hardware.clone(), queue(&scheduler));
            thread::spawn(move || {
                for _ in 0..2 {
                    let watched = Watched::submit(&hardware, &queue);
                    assert_eq!(watched.wait(), Ok(()));
                }
            })
        });
        join(submitters);
        assert_eq!(hardware.ran().len(), 4);
        drop(scheduler);
        hardware.wait_until_nothing_left();
    });
}

#[test]
fn sched_5_and_1_a_loss_meets_a_submitter_that_runs_its_job() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::ByHand, &small());
        let (events, loser) = (scheduler.events(), scheduler.events());
        let queue = queue(&scheduler);
        let submitter = {
            let hardware = hardware.clone();
            thread::spawn(move || {
                let fence = queue.submit(hardware.new_job());
                drop(queue);
                if let Ok(fence) = fence {
                    let watched = Watched::new(fence);
                    assert!(matches!(watched.wait(), Ok(()) | Err(FenceError::Lost | FenceError::Canceled)));
                }
            })
        };
        let threads = [submitter, work(&hardware, events), thread::spawn(move || loser.lose(FenceError::Lost))];
        join(threads);
        drop(scheduler);
        hardware.wait_until_nothing_left();
    });
}

#[test]
fn sched_1_the_last_references_are_dropped_from_the_signalling_path() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::ByHand, &small());
        let events = scheduler.events();
        let queue = queue(&scheduler);
        let fences = [0; 3].map(|_| Watched::submit(&hardware, &queue));
        let loser = scheduler.events();
        fences[0].fence.on_signal(move |_| drop((queue, scheduler)));
        let threads = [work(&hardware, events), thread::spawn(move || loser.lose(FenceError::Lost))];
        for watched in &fences {
            assert_ne!(watched.wait(), Err(FenceError::Guilty));
        }
        join(threads);
        hardware.wait_until_nothing_left();
        fences.iter().for_each(Watched::assert_told_once);
    });
}

#[test]
fn sched_1_two_schedulers_are_dropped_in_callbacks_of_each_other() {
    explore(|| {
        let hardware = [Hardware::new(), Hardware::new()];
        let mut schedulers = [0, 1].map(|at| Some(hardware[at].open(Mode::AtOnce, &small())));
        let queues = [0, 1].map(|at| queue(schedulers[at].as_ref().unwrap()));
        let (gate, promise) = promise();
        let after = [gate];
        let fences = [0, 1].map(|at| queues[at].submit(NewJob { after: &after, ..hardware[at].new_job() }).unwrap());
        for at in [0, 1] {
            let other = schedulers[1 - at].take();
            fences[at].on_signal(move |_| drop(other));
        }
        promise.signal();
        for fence in &fences {
            assert!(matches!(fence.wait(LIMIT), Ok(()) | Err(WaitError::Failed(FenceError::Canceled))));
        }
        drop(queues);
        hardware.iter().for_each(|hardware| hardware.wait_until_nothing_left());
    });
}

#[test]
fn fence_1_loss_races_submission_and_completion() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::ByHand, &small());
        let (events, queue) = (scheduler.events(), queue(&scheduler));
        let submitter = {
            let hardware = hardware.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    match queue.submit(hardware.new_job()) {
                        Ok(fence) => {
                            let watched = Watched::new(fence);
                            assert!(matches!(watched.wait(), Ok(()) | Err(FenceError::Lost)));
                        }
                        Err(error) => assert_eq!(error, SubmitError::Ended(FenceError::Lost)),
                    }
                }
            })
        };
        let threads =
            [work(&hardware, events.clone()), submitter, thread::spawn(move || events.lose(FenceError::Lost))];
        join(threads);
        assert!(scheduler.close(LIMIT));
        hardware.wait_until_nothing_left();
    });
}

#[test]
fn fence_2_after_a_loss_and_its_delivery_every_fence_has_signalled() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::ByHand, &small());
        let queue = queue(&scheduler);
        let fences = [0; 4].map(|_| Watched::submit(&hardware, &queue));
        let threads = [work(&hardware, scheduler.events()), drop_elsewhere(queue)];
        scheduler.lose(FenceError::Lost);
        assert!(scheduler.deliver(LIMIT));
        // Also what they told: the worker has nothing in hand any more.
        fences.iter().for_each(Watched::assert_told_once);
        join(threads);
        assert!(scheduler.close(LIMIT));
        hardware.wait_until_nothing_left();
        fences.iter().for_each(Watched::assert_told_once);
    });
}

#[test]
fn sched_1_a_killed_queue_takes_nothing_of_another_with_it() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::AtOnce, &small());
        let (killed, other) = (queue(&scheduler), queue(&scheduler));
        let doomed = [0; 3].map(|_| Watched::submit(&hardware, &killed));
        let killer = drop_elsewhere(killed);
        let fences = other.submit_all([0; 3].map(|_| hardware.new_job())).unwrap();
        for fence in &fences {
            assert_eq!(fence.wait(LIMIT), Ok(()));
        }
        for watched in &doomed {
            assert!(matches!(watched.wait(), Ok(()) | Err(FenceError::Canceled)));
        }
        killer.join().unwrap();
        assert!(scheduler.close(LIMIT));
        doomed.iter().for_each(Watched::assert_told_once);
        hardware.wait_until_nothing_left();
    });
}

#[test]
fn sched_3_a_commit_races_the_end_of_the_worker() {
    explore(|| {
        let hardware = Hardware::new();
        let scheduler = hardware.open(Mode::AtOnce, &small());
        let queue = queue(&scheduler);
        let (gate, promise) = promise();
        let submitter = {
            let hardware = hardware.clone();
            thread::spawn(move || {
                // Waits for something, so that places are reserved under one lock and committed under another.
                let after = [gate];
                if let Ok(fence) = queue.submit(NewJob { after: &after, ..hardware.new_job() }) {
                    let watched = Watched::new(fence);
                    assert!(matches!(watched.wait(), Ok(()) | Err(FenceError::Canceled)));
                }
            })
        };
        let signaller = thread::spawn(move || promise.signal());
        assert!(scheduler.close(LIMIT));
        join([submitter, signaller]);
        hardware.wait_until_nothing_left();
    });
}

#[test]
fn sched_2_jobs_stay_until_somebody_else_has_brought_the_hardware_to_rest() {
    explore(|| {
        let hardware = Hardware::new();
        hardware.plan(|plan| plan.not_at_rest = true);
        let scheduler = hardware.open(Mode::ByHand, &small());
        let queue = queue(&scheduler);
        let fences = [0; 3].map(|_| Watched::submit(&hardware, &queue));
        let threads = [work(&hardware, scheduler.events()), drop_elsewhere(queue)];
        // As an unplug: announce, retire, drain, cut.
        scheduler.lose(FenceError::Lost);
        assert!(scheduler.deliver(LIMIT));
        join(threads);
        assert!(scheduler.close(LIMIT));
        hardware.switch_off();
        scheduler.hardware_gone();
        hardware.wait_until_nothing_left();
        fences.iter().for_each(Watched::assert_told_once);
    });
}

/// The job that fails is known to have failed before another's number can complete it.
#[test]
fn sched_10_a_job_that_cannot_be_started_races_completion_and_loss() {
    explore(|| {
        let hardware = Hardware::new();
        hardware.plan(|plan| (plan.run_fails, plan.errors_are_of_jobs) = (true, true));
        let scheduler = hardware.open(Mode::AtOnce, &small());
        let lanes = [queue(&scheduler), queue(&scheduler)];
        let fences = [0, 1, 0].map(|lane: usize| Watched::submit(&hardware, &lanes[lane]));
        let events = scheduler.events();
        let loser = thread::spawn(move || events.lose(FenceError::Lost));
        let ends = fences.each_ref().map(Watched::wait);
        let of = |error| ends.iter().filter(|end| **end == error).count();
        assert!(of(Err(FenceError::Guilty)) <= 1, "{ends:?}");
        assert_eq!(of(Ok(())) + of(Err(FenceError::Guilty)) + of(Err(FenceError::Lost)), 3, "{ends:?}");
        // If it was not lost before it began, the first that was run is the one.
        assert!(of(Err(FenceError::Lost)) > 0 || of(Err(FenceError::Guilty)) == 1, "{ends:?}");
        drop(lanes);
        join([loser]);
        assert!(scheduler.close(LIMIT));
        hardware.wait_until_nothing_left();
        fences.iter().for_each(Watched::assert_told_once);
    });
}

#[test]
fn sched_4_resets_race_completion_submission_and_loss() {
    for failures in 0..3 {
        let resets = Arc::<AtomicUsize>::default();
        let seen = resets.clone();
        explore(move || resets_race(failures, &seen));
        assert!(resets.load(SeqCst) > SCHEDULES / 100, "hardly any schedule comes to a reset");
    }
}

/// With so many resets that fail: none, that of the ring, that of the device as well.
fn resets_race(failures: u32, resets: &AtomicUsize) {
    let hardware = Hardware::new();
    hardware.plan(|plan| {
        (plan.reset_fails, plan.device_reset_fails, plan.give_up_loses) = (failures > 0, failures > 1, true);
    });
    let scheduler = hardware.open(Mode::ByHand, &small());
    let queue = queue(&scheduler);
    let fences = [0; 3].map(|_| Watched::submit(&hardware, &queue));
    let faults = {
        let (hardware, events) = (hardware.clone(), scheduler.events());
        thread::spawn(move || hardware.fault(&events))
    };
    let threads = [work(&hardware, scheduler.events()), faults, drop_elsewhere(queue)];
    scheduler.lose(FenceError::Lost);
    assert!(scheduler.deliver(LIMIT));
    fences.iter().for_each(Watched::assert_told_once);
    join(threads);
    assert!(scheduler.close(LIMIT));
    hardware.wait_until_nothing_left();
    fences.iter().for_each(Watched::assert_told_once);
    resets.fetch_add(hardware.resets(), SeqCst);
}

#[test]
fn a_driver_that_gives_up_loses_its_scheduler() {
    explore(|| {
        let hardware = Hardware::new();
        hardware.plan(|plan| (plan.run_fails, plan.give_up_loses) = (true, true));
        let scheduler = hardware.open(Mode::ByHand, &small());
        let queue = queue(&scheduler);
        let fences = [0; 3].map(|_| queue.submit(hardware.new_job()));
        let closer = thread::spawn(move || drop(scheduler));
        for fence in fences.into_iter().flatten() {
            assert!(matches!(fence.wait(LIMIT), Err(WaitError::Failed(FenceError::Lost | FenceError::Canceled))));
        }
        closer.join().unwrap();
        hardware.wait_until_nothing_left();
    });
}

/// What the compiler must let pass: everything may go to another thread.
#[test]
fn handles_are_for_every_thread() {
    fn everywhere<T: Send + Sync>() {}
    everywhere::<Scheduler<Job>>();
    everywhere::<Events<Job>>();
    everywhere::<Queue<Job>>();
}
