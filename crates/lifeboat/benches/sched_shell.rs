//! What it costs to have a job run by somebody else and to be told, beside other ways to do so. The work is nothing, so what
//! is measured is the way there and back. `cargo xtask bench sched` makes a table of it.
//!
//! `round trip` is one job at a time, and its submitter sleeps until it is over. `throughput` is what one of a batch costs,
//! when the last of them has been waited for. `overhead` repeats two cases of the kernel's: a thousand jobs that take a
//! millisecond each on a ring that has one at a time, as one queue, or as two that depend on each other in turn.
#![allow(clippy::unwrap_used)] // a benchmark that panicked has no figure

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_channel::{Receiver, Sender, bounded};

/// Of every pool: as many as the smallest machine that runs this has processors.
const WORKERS: usize = 2;
const BATCH: usize = 1000;
const WORK: Duration = Duration::from_millis(1);

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

fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_round_trip");
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
    thread::sleep(WORK - Duration::from_micros(200));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

fn overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_overhead");
    group.sample_size(10);
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
