//! What the scheduler of `lifeboat-core` costs by itself: no threads, no locks, no clock, no shell.
//!
//! `submit to release` is one job's whole life with so many others pending: reserve, commit, run, completion, signal,
//! release, and the two polls that find nothing more to do. `retire` is what a loss costs for each pending job: the
//! scheduler stops, every fence is handed out, the hardware is gone, every payload is handed out. Beside them stand
//! queues that decide nothing, with the same number pending. `cargo xtask bench sched` makes a table of it.
#![allow(clippy::unwrap_used)] // a benchmark that panicked has no figure

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lifeboat_core::Timestamp;
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{Action, JobSpec, Limits, Priority, QueueId, RingIndex, Scheduler, Sizes, Storage, Stores};

/// A fence and a payload are references to something, in every shell.
type Word = usize;
type Core = Scheduler<Heap>;

/// As many slots as a benchmark likes, and no contexts.
struct Heap;

impl Storage for Heap {
    type Fence = Word;
    type Payload = Word;
    type Slots<T> = Vec<T>;

    fn slots<T: Default>(count: usize) -> Option<Vec<T>> {
        Some(std::iter::repeat_with(T::default).take(count).collect())
    }
}

/// Jobs on a ring at a time, as hardware has it; the others wait in their queues.
const CREDITS: u32 = 64;
const NOW: Timestamp = Timestamp::new(Duration::ZERO);

/// A scheduler whose rings complete their jobs when they are told to.
struct World {
    core: Core,
    queues: Vec<QueueId>,
    /// For each ring, the number of the last job it was given, and of the last it completed.
    rings: Vec<(Seqno, Seqno)>,
    next_queue: usize,
    next_ring: usize,
}

impl World {
    /// `pending` jobs at a time, one more at the moment of a submission.
    fn new(queues: usize, rings: usize, pending: usize) -> Self {
        let limits = Limits::new(CREDITS, Duration::from_secs(1));
        let stores = Stores::new(Sizes { jobs: pending + 1, queues, rings, contexts: 0 });
        let mut core = Scheduler::new(stores.unwrap(), limits);
        let ring = |queue: usize| RingIndex(u8::try_from(queue % rings).unwrap());
        let queues = (0..queues).map(|queue| core.open_queue(ring(queue), Priority::Normal).unwrap()).collect();
        let mut world =
            Self { core, queues, rings: vec![(Seqno::ZERO, Seqno::ZERO); rings], next_queue: 0, next_ring: 0 };
        (1..pending).for_each(|_| world.submit());
        world.drain();
        world
    }

    /// The queues take turns.
    fn submit(&mut self) {
        let spec = JobSpec { cost: 1, ..JobSpec::default() };
        let reservation = self.core.reserve(self.queues[self.next_queue], spec).unwrap();
        self.core.commit(reservation, self.next_queue, self.next_queue);
        self.next_queue = if self.next_queue + 1 == self.queues.len() { 0 } else { self.next_queue + 1 };
    }

    fn drain(&mut self) {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Run { job, ring, seqno, .. } => {
                    black_box(self.core.payload(job));
                    self.rings[usize::from(ring.0)].0 = seqno;
                    self.core.started(ring, seqno, NOW);
                }
                Action::Signal { fence, .. } => drop(black_box(fence)),
                Action::Release { payload } => drop(black_box(payload)),
                Action::ResetRing { .. } | Action::ResetDevice | Action::GiveUp | Action::LetGo { .. } => {}
            }
        }
    }

    /// The next ring that has a job completes its oldest one.
    fn complete(&mut self) {
        loop {
            let number = self.next_ring;
            self.next_ring = if number + 1 == self.rings.len() { 0 } else { number + 1 };
            let (given, completed) = &mut self.rings[number];
            if completed != given {
                *completed = completed.next();
                let seqno = *completed;
                return self.core.hw_done(RingIndex(u8::try_from(number).unwrap_or(0)), seqno, NOW);
            }
        }
    }

    /// One job comes, one goes.
    fn step(&mut self) {
        self.submit();
        self.drain();
        self.complete();
        self.drain();
    }

    /// The device is lost.
    fn retire(&mut self) {
        self.core.lose(FenceError::Lost);
        self.drain();
        self.core.hardware_gone();
        self.drain();
    }
}

const PENDING: [usize; 3] = [1, 1000, 100_000];

fn life(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_core");
    for pending in PENDING {
        let sizes = [("1 queue, 1 ring", 1, 1), ("64 queues, 1 ring", 64, 1), ("64 queues, 8 rings", 64, 8)];
        for (size, queues, rings) in sizes.into_iter().chain([("1024 queues, 8 rings", 1024, 8)]) {
            let name = format!("submit to release, {size}");
            let mut world = World::new(queues, rings, pending);
            group.bench_function(BenchmarkId::new(name, pending), |bencher| bencher.iter(|| world.step()));
        }
        let mut fifo: VecDeque<(Word, Word)> = (1..pending).map(|job| (job, job)).collect();
        group.bench_function(BenchmarkId::new("VecDeque push and pop", pending), |bencher| {
            bencher.iter(|| {
                fifo.push_back(black_box((1, 1)));
                fifo.pop_front()
            });
        });
        let (sender, receiver) = crossbeam_channel::bounded::<(Word, Word)>(pending + 1);
        (1..pending).for_each(|job| sender.send((job, job)).unwrap());
        group.bench_function(BenchmarkId::new("crossbeam-channel send and receive", pending), |bencher| {
            bencher.iter(|| {
                sender.send(black_box((1, 1))).unwrap();
                receiver.recv()
            });
        });
        let (sender, receiver) = std::sync::mpsc::sync_channel::<(Word, Word)>(pending + 1);
        (1..pending).for_each(|job| sender.send((job, job)).unwrap());
        group.bench_function(BenchmarkId::new("std sync_channel send and receive", pending), |bencher| {
            bencher.iter(|| {
                sender.send(black_box((1, 1))).unwrap();
                receiver.recv()
            });
        });
    }
}

/// For each job.
fn loss(c: &mut Criterion) {
    let mut group = c.benchmark_group("sched_retire");
    for pending in [1000, 10_000, 100_000] {
        for (size, queues, rings) in [("1 queue, 1 ring", 1, 1), ("1024 queues, 8 rings", 1024, 8)] {
            let name = format!("retire, {size}");
            group.bench_function(BenchmarkId::new(name, pending), |bencher| {
                bencher.iter_custom(|iterations| {
                    each(iterations, pending, || World::new(queues, rings, pending + 1), World::retire)
                });
            });
        }
        group.bench_function(BenchmarkId::new("VecDeque drained", pending), |bencher| {
            let full = || (0..pending).map(|job| (job, job)).collect::<VecDeque<(Word, Word)>>();
            bencher.iter_custom(|iterations| {
                each(iterations, pending, full, |fifo| {
                    while let Some(job) = fifo.pop_front() {
                        black_box(job);
                    }
                })
            });
        });
    }
}

fn each<T>(iterations: u64, pending: usize, new: impl Fn() -> T, measured: impl Fn(&mut T)) -> Duration {
    let mut took = Duration::ZERO;
    for _ in 0..iterations {
        let mut subject = new();
        let began = Instant::now();
        measured(&mut subject);
        took += began.elapsed();
    }
    took / u32::try_from(pending).unwrap()
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots()
}

criterion_group! { name = benches; config = config(); targets = life, loss }
criterion_main!(benches);
