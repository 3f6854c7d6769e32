//! What it costs to have a job run by somebody else and to be told, beside other ways to do so. The work is nothing, so
//! what is measured is the way there and back. `cargo xtask bench sched` makes a table of it.
//!
//! `round trip` is one job at a time, and its submitter sleeps until it is over. `throughput` is what one of a batch
//! costs, when the last of them has been waited for. `overhead` repeats two cases of the kernel's: a thousand jobs that
//! take a millisecond each on a ring that has one at a time, as one queue, or as two that depend on each other in turn.
#![allow(clippy::unwrap_used)] // a benchmark that panicked has no figure

#[path = "../tests/at_once/mod.rs"]
mod at_once;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_channel::{Receiver, SendError, Sender, bounded};
use lifeboat::core::fence::Seqno;
use lifeboat::sched::{AtRest, Events, Limits, NewJob, Options, Queue, RingIndex, Rings, Scheduler};
use lifeboat::{Fence, Priority};

/// Of every pool: as many as the smallest machine that runs this has processors.
const WORKERS: usize = 2;
const BATCH: usize = 1000;
/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_mins(1);
const WORK: Duration = Duration::from_millis(1);
/// So much less that a sleep which ends late does not end after it.
const MOST_OF_IT: Duration = Duration::from_micros(800);

type Job = Box<dyn FnOnce() + Send>;

/// Threads that run what comes through a channel. They end with the sender.
fn workers(count: usize) -> Sender<Job> {
    let (sender, receiver): (Sender<Job>, Receiver<Job>) = bounded(BATCH);
    for _ in 0..count {
        let receiver = receiver.clone();
        thread::spawn(move || receiver.iter().for_each(|job| job()));
    }
    sender
}

fn tokio_pool() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).build().unwrap()
}

fn rayon_pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().unwrap()
}

fn null_scheduler() -> Scheduler<()> {
    // For those that run ahead, and those that have signalled and are not released yet.
    let options = Options { jobs: 8 * BATCH, ..Options::default() };
    at_once::open(&options, true)
}

fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_round_trip");
    let scheduler = null_scheduler();
    let queue = scheduler.queue(RingIndex(0), Priority::Normal).unwrap();
    let job = Arc::new(());
    group.bench_function("submit and wait", |bencher| {
        bencher.iter(|| queue.submit(NewJob::new(job.clone())).unwrap().wait(LIMIT).unwrap());
    });
    drop((queue, scheduler));
    let (there, out) = bounded::<usize>(1);
    let (back, home) = bounded::<usize>(1);
    let other = thread::spawn(move || out.iter().for_each(|job| back.send(black_box(job)).unwrap()));
    group.bench_function("crossbeam-channel ping-pong", |bencher| {
        bencher.iter(|| {
            there.send(1).unwrap();
            home.recv().unwrap()
        });
    });
    drop(there);
    other.join().unwrap();
    let pool = workers(WORKERS);
    let (done, waiter) = bounded::<usize>(1);
    group.bench_function("crossbeam-channel to workers", |bencher| {
        bencher.iter(|| {
            let done = done.clone();
            pool.send(Box::new(move || done.send(black_box(1)).unwrap())).unwrap();
            waiter.recv().unwrap()
        });
    });
    let pool = rayon_pool();
    group.bench_function("rayon spawn", |bencher| {
        bencher.iter(|| {
            let done = done.clone();
            pool.spawn(move || done.send(black_box(1)).unwrap());
            waiter.recv().unwrap()
        });
    });
    let pool = tokio_pool();
    group.bench_function("tokio spawn", |bencher| {
        bencher.iter(|| pool.block_on(pool.spawn(async { black_box(1) })).unwrap());
    });
}

/// Counts a batch down; the last one tells.
struct Batch {
    left: AtomicUsize,
    told: Sender<()>,
}

impl Batch {
    fn new() -> (Arc<Self>, Receiver<()>) {
        let (told, waiter) = bounded(1);
        (Arc::new(Self { left: AtomicUsize::new(BATCH), told }), waiter)
    }

    fn one_less(&self) {
        if self.left.fetch_sub(1, AcqRel) == 1 {
            self.told.send(()).unwrap();
        }
    }
}

/// For each job.
fn batches(iterations: u64, mut batch: impl FnMut()) -> Duration {
    let began = Instant::now();
    (0..iterations).for_each(|_| batch());
    began.elapsed() / u32::try_from(BATCH).unwrap()
}

fn throughput(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_throughput");
    let scheduler = null_scheduler();
    let queue = scheduler.queue(RingIndex(0), Priority::Normal).unwrap();
    let job = Arc::new(());
    group.bench_function("submit each, wait for the last", |bencher| {
        let batch = || {
            let submit = |_| queue.submit(NewJob::new(job.clone())).unwrap();
            let fences: Vec<_> = (0..BATCH).map(submit).collect();
            fences.last().unwrap().wait(LIMIT).unwrap();
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
    group.bench_function("submit_all, wait for the last", |bencher| {
        let batch = || {
            let fences = queue.submit_all((0..BATCH).map(|_| NewJob::new(job.clone()))).unwrap();
            fences.last().unwrap().wait(LIMIT).unwrap();
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
    group.bench_function("submit_all, three batches ahead", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut ahead: VecDeque<Fence> = VecDeque::new();
            let took = batches(iterations, || {
                let fences = queue.submit_all((0..BATCH).map(|_| NewJob::new(job.clone()))).unwrap();
                ahead.extend(fences.into_iter().next_back());
                if ahead.len() > 3 {
                    ahead.pop_front().unwrap().wait(LIMIT).unwrap();
                }
            });
            // Not of this sample, and three of thousands.
            ahead.iter().try_for_each(|fence| fence.wait(LIMIT)).unwrap();
            took
        });
    });
    drop((queue, scheduler));
    let pool = workers(WORKERS);
    group.bench_function("crossbeam-channel to workers", |bencher| {
        let batch = || {
            let (batch, waiter) = Batch::new();
            for _ in 0..BATCH {
                let batch = batch.clone();
                pool.send(Box::new(move || batch.one_less())).unwrap();
            }
            waiter.recv().unwrap();
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
    let pool = rayon_pool();
    group.bench_function("rayon spawn", |bencher| {
        let batch = || {
            let (batch, waiter) = Batch::new();
            for _ in 0..BATCH {
                let batch = batch.clone();
                pool.spawn(move || batch.one_less());
            }
            waiter.recv().unwrap();
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
    let pool = tokio_pool();
    group.bench_function("tokio spawn", |bencher| {
        let batch = || {
            let tasks: Vec<_> = (0..BATCH).map(|job| pool.spawn(async move { black_box(job) })).collect();
            pool.block_on(async {
                for task in tasks {
                    task.await.unwrap();
                }
            });
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
    // Nothing is allocated, and nobody is told until the end.
    let (there, out) = bounded::<usize>(BATCH);
    let (back, home) = bounded::<()>(1);
    let other = thread::spawn(move || out.iter().filter(|job| *job == BATCH).for_each(|_| back.send(()).unwrap()));
    group.bench_function("crossbeam-channel one way", |bencher| {
        let batch = || {
            (1..=BATCH).for_each(|job| there.send(job).unwrap());
            home.recv().unwrap();
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
    drop(there);
    other.join().unwrap();
}

/// What a ring does for a millisecond. It sleeps most of it, and is not late for that.
fn take_time() {
    let end = Instant::now() + WORK;
    thread::sleep(MOST_OF_IT);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// A ring that executes one job after the other, on a thread of its own.
struct SlowRing(Sender<(Seqno, Arc<Task>)>);

enum Task {
    /// Holds the ring until it is told to go on.
    Blocks(Receiver<()>),
    TakesTime,
}

impl SlowRing {
    fn new(events: Events<Task>) -> Self {
        let (sender, receiver): (Sender<(Seqno, Arc<Task>)>, _) = bounded(BATCH);
        thread::spawn(move || {
            for (seqno, task) in receiver {
                match &*task {
                    Task::Blocks(until) => until.recv().unwrap(),
                    Task::TakesTime => take_time(),
                }
                events.hw_done(RingIndex(0), seqno);
            }
        });
        Self(sender)
    }
}

impl Rings for SlowRing {
    type Job = Task;
    type Error = SendError<(Seqno, Arc<Task>)>;

    fn run(&mut self, _: RingIndex, job: &Arc<Task>, seqno: Seqno) -> Result<(), Self::Error> {
        self.0.send((seqno, job.clone()))
    }

    fn reset_ring(&mut self, _: RingIndex, _: Seqno) -> Result<(), Self::Error> {
        unreachable!("no job is late")
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Self::Error> {
        Ok(())
    }

    fn progress(&mut self, _: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {}

    fn quiesce(&mut self) -> AtRest {
        AtRest::Yes
    }
}

/// From the moment that a first job lets the ring go to the end of the last one.
fn thousand(queues: &[Queue<Task>], chained: bool) -> Duration {
    let (go, until) = bounded(1);
    let mut last = queues[0].submit(NewJob::new(Arc::new(Task::Blocks(until)))).unwrap();
    let task = Arc::new(Task::TakesTime);
    for number in 1..=BATCH {
        let after = std::slice::from_ref(&last);
        let job = NewJob { after: if chained { after } else { &[] }, ..NewJob::new(task.clone()) };
        last = queues[number % queues.len()].submit(job).unwrap();
    }
    let began = Instant::now();
    go.send(()).unwrap();
    last.wait(LIMIT).unwrap();
    began.elapsed()
}

fn overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_overhead");
    group.sample_size(10);
    let limits = Limits::new(1, LIMIT);
    let options = Options { limits, ..Options::default() };
    let scheduler = Scheduler::open(&options, |events| Ok::<_, Infallible>(SlowRing::new(events.clone()))).unwrap();
    let queues = [(); 2].map(|()| scheduler.queue(RingIndex(0), Priority::Normal).unwrap());
    for (name, queues, chained) in [("one queue", &queues[..1], false), ("ping-pong", &queues[..], true)] {
        group.bench_function(name, |bencher| {
            let all = |iterations| (0..iterations).map(|_| thousand(queues, chained)).sum::<Duration>();
            bencher.iter_custom(|iterations| all(iterations) / u32::try_from(BATCH).unwrap());
        });
    }
    drop((queues, scheduler));
    group.bench_function("ideal", |bencher| {
        bencher.iter_custom(|iterations| batches(iterations, || (0..BATCH).for_each(|_| take_time())));
    });
    let pool = workers(1);
    let (done, waiter) = bounded::<()>(1);
    group.bench_function("crossbeam-channel to a worker, one by one", |bencher| {
        let batch = || {
            for _ in 0..BATCH {
                let done = done.clone();
                let job = move || {
                    take_time();
                    done.send(()).unwrap();
                };
                pool.send(Box::new(job)).unwrap();
                waiter.recv().unwrap();
            }
        };
        bencher.iter_custom(|iterations| batches(iterations, batch));
    });
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
}

criterion_group! { name = benches; config = config(); targets = round_trip, throughput, overhead }
criterion_main!(benches);
