//! One scheduler: its jobs, queues and contexts.
//!
//! Where queues are to stay ready, the ring is full: it has room for one job, and that never
//! completes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat::sched::{Limits, NewJob, Options, Queue, RingIndex, Scheduler};
use lifeboat::{Fence, Module, Priority};

use crate::at_once;
use crate::case::{Case, Sample};

pub(crate) const CASES: &[&Case] = &[
    &Case { name: "jobs on a queue: submitted", run: submitted },
    &Case { name: "jobs on a queue: canceled with it", run: canceled },
    &Case { name: "jobs behind a fence: submitted", run: |count| behind_a_fence(count).0 },
    &Case { name: "jobs behind a fence: run when it signals", run: |count| behind_a_fence(count).1 },
    &Case {
        name: "queues: opened and made ready",
        run: |count| {
            let full = Full::new(count);
            Sample::of(|| drop(black_box(full.ready_queues(count))))
        },
    },
    &Case { name: "ready queues: closed, oldest first", run: |count| closed(count, false) },
    &Case { name: "ready queues: closed, newest first", run: |count| closed(count, true) },
    &Case { name: "ready queues: priority raised, oldest first", run: |count| raised(count, false) },
    &Case { name: "ready queues: priority raised, newest first", run: |count| raised(count, true) },
    &Case { name: "contexts of a scheduler: opened, closed", run: contexts },
];

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_mins(1);
const RING: RingIndex = RingIndex(0);

/// A scheduler with room for so many of everything, and no share for a client that would be less.
fn open(count: usize, completes: bool) -> Scheduler<()> {
    // One of each for the job that fills the ring.
    let room = count + 1;
    let limits = Limits::new(if completes { 64 } else { 1 }, LIMIT);
    let options = Options { limits, jobs: room, queues: room, contexts: room, ..Options::default() };
    at_once::open(&options, completes)
}

fn queue(scheduler: &Scheduler<()>) -> Queue<()> {
    scheduler.queue(RING, Priority::Normal).unwrap()
}

fn submit(queue: &Queue<()>) -> Fence {
    queue.submit(NewJob::new(Arc::new(()))).unwrap()
}

/// A scheduler whose ring is full.
struct Full {
    scheduler: Scheduler<()>,
    _queue: Queue<()>,
}

impl Full {
    fn new(count: usize) -> Self {
        let scheduler = open(count, false);
        let first = queue(&scheduler);
        submit(&first);
        Self { scheduler, _queue: first }
    }

    /// Queues with a job each that waits for the ring.
    fn ready_queues(&self, count: usize) -> Vec<Option<Queue<()>>> {
        let ready = |_| {
            let queue = queue(&self.scheduler);
            submit(&queue);
            Some(queue)
        };
        (0..count).map(ready).collect()
    }
}

fn submitted(count: usize) -> Sample {
    let full = Full::new(count);
    let queue = queue(&full.scheduler);
    Sample::of(|| (0..count).for_each(|_| drop(submit(&queue))))
}

fn canceled(count: usize) -> Sample {
    let full = Full::new(count);
    let queue = queue(&full.scheduler);
    let fences: Vec<_> = (0..count).map(|_| submit(&queue)).collect();
    Sample::of(|| {
        drop(queue);
        assert!(fences.last().unwrap().wait(LIMIT).is_err());
    })
}

/// To submit them, and to run them.
fn behind_a_fence(count: usize) -> (Sample, Sample) {
    let scheduler = open(count, true);
    let queue = queue(&scheduler);
    let (gate, promise) = Module::new().timeline("growth", "gate").fence();
    let after = [gate];
    let began = Instant::now();
    let mut last = None;
    for _ in 0..count {
        last = Some(queue.submit(NewJob { after: &after, ..NewJob::new(Arc::new(())) }).unwrap());
    }
    let submitted = Sample::took(began.elapsed());
    let run = Sample::of(|| {
        promise.signal();
        last.unwrap().wait(LIMIT).unwrap();
    });
    (submitted, run)
}

fn closed(count: usize, newest_first: bool) -> Sample {
    let full = Full::new(count);
    let mut queues = full.ready_queues(count);
    if newest_first {
        queues.reverse();
    }
    Sample::of(|| queues.iter_mut().for_each(|queue| drop(queue.take())))
}

fn raised(count: usize, newest_first: bool) -> Sample {
    let full = Full::new(count);
    let mut queues = full.ready_queues(count);
    if newest_first {
        queues.reverse();
    }
    Sample::of(|| queues.iter().flatten().for_each(|queue| queue.set_priority(Priority::High)))
}

fn contexts(count: usize) -> Sample {
    let scheduler = open(count, true);
    Sample::withdrawn(|| drop((0..count).map(|_| scheduler.context().unwrap()).collect::<Vec<_>>()))
}
