//! What a scheduler's own thread runs (callbacks, drops of jobs, drops of thread-locals) asks the scheduler for something
//! in turn: nothing nests, nobody waits for itself, and a panic ends nothing.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod at_once;
mod model;

use std::cell::RefCell;
use std::sync::{Arc, Barrier, OnceLock, mpsc};
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::sched::{NewJob, Options, RingIndex, Scheduler};
use lifeboat::{Module, Priority};
use model::{Hardware, LONG, Mode, queue, until};

fn at_once<J: Send + Sync + 'static>(options: &Options) -> Scheduler<J> {
    at_once::open(options, true)
}

static DELIVERED: OnceLock<Scheduler<Delivers>> = OnceLock::new();

/// A job whose drop delivers what its scheduler owes.
struct Delivers;

impl Drop for Delivers {
    fn drop(&mut self) {
        if let Some(scheduler) = DELIVERED.get() {
            assert!(!scheduler.deliver(LONG), "it has this drop in hand");
        }
    }
}

#[test]
fn sched_1_jobs_whose_drops_deliver_do_not_nest() {
    const JOBS: usize = 100_000;
    let scheduler = DELIVERED.get_or_init(|| at_once(&Options { jobs: JOBS, ..Options::default() }));
    let queue = scheduler.queue(RingIndex(0), Priority::Normal).unwrap();
    let (never, _promise) = Module::new().timeline("test", "never").fence();
    let after = [never];
    let new = || NewJob { after: &after, ..NewJob::new(Arc::new(Delivers)) };
    let fences = queue.submit_all((0..JOBS).map(|_| new())).unwrap();
    scheduler.lose(FenceError::Lost);
    assert!(scheduler.deliver(LONG));
    assert!(fences.iter().all(|fence| fence.error() == Some(FenceError::Lost)));
}

#[test]
fn fence_1_a_job_that_panics_when_the_worker_drops_it_ends_nothing() {
    let hardware = Hardware::new();
    let scheduler = hardware.open(Mode::AtOnce, &Options::default());
    let queue = queue(&scheduler);
    hardware.plan(|plan| plan.drops_panic = true);
    for dropped in 1..=3 {
        assert_eq!(queue.submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
        until(|| hardware.dropped() == dropped);
    }
    hardware.plan(|plan| plan.drops_panic = false);
    assert_eq!(queue.submit(hardware.new_job()).unwrap().wait(LONG), Ok(()));
    assert!(!hardware.given_up(), "a job has ended the device");
    drop(queue);
    assert!(scheduler.close(LONG));
    hardware.assert_nothing_left();
}

thread_local! {
    static LAST_WORD: RefCell<Option<Closes>> = const { RefCell::new(None) };
}

/// Closes a scheduler when it is dropped, and says how that went.
struct Closes(Arc<Scheduler<model::Job>>, mpsc::Sender<bool>);

impl Drop for Closes {
    fn drop(&mut self) {
        let _ = self.1.send(self.0.close(LONG));
    }
}

#[test]
fn sched_1_a_worker_that_ends_does_not_wait_for_itself() {
    let hardware = Hardware::new();
    let scheduler = Arc::new(hardware.open(Mode::ByHand, &Options::default()));
    let queue = queue(&scheduler);
    let (sender, closed) = mpsc::channel();
    let there = scheduler.clone();
    let fence = queue.submit(hardware.new_job()).unwrap();
    fence.on_signal(move |_| LAST_WORD.with(|word| *word.borrow_mut() = Some(Closes(there, sender))));
    until(|| hardware.reading() == 1);
    hardware.complete(&scheduler.events());
    assert_eq!(fence.wait(LONG), Ok(()));
    drop(queue);
    assert!(scheduler.close(LONG));
    assert!(!closed.recv_timeout(LONG).unwrap(), "a thread has waited for itself");
    hardware.assert_nothing_left();
}

#[test]
fn fence_2_callbacks_of_two_schedulers_that_deliver_for_each_other_do_not_wait() {
    let schedulers = [(); 2].map(|()| Arc::new(at_once::<()>(&Options::default())));
    let (sender, waited) = mpsc::channel();
    let queues = schedulers.each_ref().map(|scheduler| scheduler.queue(RingIndex(0), Priority::Normal).unwrap());
    let meet = Arc::new(Barrier::new(2));
    let (never, promise) = Module::new().timeline("test", "never").fence();
    let after = [never];
    for (queue, other) in queues.iter().zip([&schedulers[1], &schedulers[0]]) {
        let (other, sender, meet) = (other.clone(), sender.clone(), meet.clone());
        let fence = queue.submit(NewJob { after: &after, ..NewJob::new(Arc::new(())) }).unwrap();
        fence.on_signal(move |_| {
            meet.wait();
            let began = Instant::now();
            let delivered = other.deliver(LONG);
            sender.send((delivered, began.elapsed())).unwrap();
        });
    }
    // Each by its own worker, both in their callbacks at the same time.
    for scheduler in &schedulers {
        scheduler.lose(FenceError::Lost);
    }
    for _ in 0..2 {
        let (delivered, took) = waited.recv_timeout(3 * LONG).unwrap();
        assert!(!delivered && took < Duration::from_secs(5), "{took:?}");
    }
    drop((queues, promise));
    assert!(schedulers.iter().all(|scheduler| scheduler.close(LONG)));
}
