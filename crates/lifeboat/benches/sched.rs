//! What the scheduler costs on a ring that completes every job at once: a job there and back, beside a message there
//! and back between two threads; and jobs in batches.
#![allow(clippy::expect_used)] // a measurement that cannot go on must fail

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lifeboat::core::fence::Seqno;
use lifeboat::sched::{AtRest, Events, NewJob, Options, Queue, RingIndex, Rings, Scheduler};
use lifeboat::{Fence, Priority};

const LIMIT: Duration = Duration::from_secs(10);
/// Jobs of a batch. One waiter is woken for all of them.
const BATCH: u64 = 256;
/// Batches submitted before the oldest is waited for.
const AHEAD: usize = 4;

struct Null(Events<u64>);

impl Rings for Null {
    type Job = u64;
    type Error = Infallible;

    fn run(&mut self, ring: RingIndex, _job: &Arc<u64>, seqno: Seqno) -> Result<(), Infallible> {
        self.0.hw_done(ring, seqno);
        Ok(())
    }

    fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Infallible> {
        Ok(())
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Infallible> {
        Ok(())
    }

    fn progress(&mut self, _ring: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {}

    fn quiesce(&mut self) -> AtRest {
        AtRest::Yes
    }
}

fn with_queue(f: impl FnOnce(&Queue<u64>)) {
    let opened = Scheduler::open(&Options::default(), |events| Ok::<_, Infallible>(Null(events.clone())));
    let scheduler = opened.expect("there is a thread");
    f(&scheduler.queue(RingIndex(0), Priority::Normal).expect("there are places"));
    assert!(scheduler.close(LIMIT));
}

fn there_and_back(c: &mut Criterion) {
    let mut group = c.benchmark_group("there and back");
    let (there, arrived) = crossbeam_channel::bounded::<u64>(1);
    let (back, returned) = crossbeam_channel::bounded::<u64>(1);
    let echo = std::thread::spawn(move || arrived.iter().for_each(|message| back.send(message).expect("awaited")));
    group.bench_function("crossbeam-channel", |bencher| {
        bencher.iter(|| {
            there.send(1).expect("there is an echo");
            returned.recv()
        });
    });
    drop(there);
    echo.join().expect("it does not panic");
    with_queue(|queue| {
        group.bench_function("a job", |bencher| {
            bencher.iter(|| {
                let fence = queue.submit(NewJob::new(Arc::new(1))).expect("there is a place");
                fence.wait(LIMIT)
            });
        });
    });
    group.finish();
}

fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("batches");
    group.throughput(Throughput::Elements(BATCH));
    with_queue(|queue| {
        group.bench_function("256 jobs", |bencher| bencher.iter_custom(|count| submit_batches(queue, count)));
    });
    group.finish();
}

fn submit_batches(queue: &Queue<u64>, count: u64) -> Duration {
    let began = Instant::now();
    let mut ahead: VecDeque<Fence> = VecDeque::new();
    for _ in 0..count {
        let fences =
            queue.submit_all((0..BATCH).map(|number| NewJob::new(Arc::new(number)))).expect("there are places");
        ahead.extend(fences.into_iter().last());
        if ahead.len() == AHEAD {
            ahead.pop_front().map(|oldest| oldest.wait(LIMIT)).transpose().expect("it completes");
        }
    }
    ahead.into_iter().try_for_each(|fence| fence.wait(LIMIT)).expect("they complete");
    began.elapsed()
}

criterion_group!(benches, there_and_back, batches);
criterion_main!(benches);
