//! SCHED-3: from the commit to the signal nothing is allocated, by any thread. Memory may be what the end of a job gives
//! back, so a job that needed some to end could wait for itself.
//!
//! All allocations of the process are counted, so that this file has one test.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::alloc::System;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lifeboat::core::fence::{FenceError, Seqno};
use lifeboat::sched::{AtRest, Events, Limits, NewJob, Options, Queue, RingIndex, Rings, Scheduler, SubmitError};
use lifeboat::{Fence, Module, Priority, WaitError};
use lifeboat_sync::lint::{self, Reaction};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const LONG: Duration = Duration::from_secs(10);
const JOBS: u32 = 1000;
/// A number that no job has.
const NONE: u32 = u32::MAX;

/// Completes jobs when they are given, but for one, on which it hangs until it is reset.
struct Quick {
    events: Events<Job>,
    hang_at: Arc<AtomicU32>,
    hangs: bool,
    /// Keeps the worker from its first sleep.
    awake: Arc<AtomicBool>,
}

struct Job {
    number: u32,
    left: Arc<AtomicU32>,
}

impl Drop for Job {
    fn drop(&mut self) {
        self.left.fetch_sub(1, SeqCst);
    }
}

impl Rings for Quick {
    type Job = Job;
    type Error = Infallible;

    fn run(&mut self, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), Infallible> {
        self.hangs |= self.hang_at.compare_exchange(job.number, NONE, SeqCst, SeqCst).is_ok();
        if !self.hangs {
            self.events.hw_done(ring, seqno);
        }
        Ok(())
    }

    fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Infallible> {
        self.hangs = false;
        Ok(())
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Self::Error> {
        Ok(())
    }

    fn progress(&mut self, _ring: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {}

    fn look(&mut self) -> Option<Instant> {
        until(|| !self.awake.load(SeqCst));
        None
    }

    fn quiesce(&mut self) -> AtRest {
        AtRest::Yes
    }
}

struct Bench {
    scheduler: Scheduler<Job>,
    queue: Queue<Job>,
    hang_at: Arc<AtomicU32>,
    awake: Arc<AtomicBool>,
    left: Arc<AtomicU32>,
}

impl Bench {
    fn new(jobs: u32) -> Self {
        let limits = Limits::new(64, Duration::from_millis(20));
        let options = Options { limits, jobs: jobs as usize, ..Options::default() };
        let (hang_at, awake) = (Arc::new(AtomicU32::new(NONE)), Arc::new(AtomicBool::new(true)));
        let opened = Scheduler::open(&options, |events| {
            let (events, hang_at, awake) = (events.clone(), hang_at.clone(), awake.clone());
            Ok::<_, Infallible>(Quick { events, hang_at, hangs: false, awake })
        });
        let scheduler = opened.unwrap();
        let queue = scheduler.queue(RingIndex(0), Priority::Normal).unwrap();
        Self { scheduler, queue, hang_at, awake, left: Arc::default() }
    }

    fn job(&self, number: u32) -> NewJob<'static, Job> {
        self.left.fetch_add(1, SeqCst);
        let job = Arc::new(Job { number, left: self.left.clone() });
        NewJob { restartable: true, ..NewJob::new(job) }
    }

    /// As many jobs as there are places, committed, none of which runs before `after` has signalled.
    fn full(&self, after: &[Fence]) -> Vec<Fence> {
        let fences = self.queue.submit_all((0..JOBS).map(|number| NewJob { after, ..self.job(number) })).unwrap();
        self.until_asleep();
        fences
    }

    /// Until all fences have signalled and all jobs are gone.
    fn until_over(&self, fences: &[Fence]) {
        until_signalled(fences);
        until(|| self.left.load(SeqCst) == 0);
    }

    /// Until the worker has done all there is to do, as far as that can be seen.
    fn until_asleep(&self) {
        self.awake.store(false, SeqCst);
        until_awake(1);
    }
}

/// Until no more than so many threads of this process are awake, this one included, and stay so: on a busy machine it takes
/// its time to get to sleep, and a moment's sleep on the way is not the one that counts.
fn until_awake(threads: usize) {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < 4 {
        assert!(began.elapsed() < LONG, "too many threads are awake");
        std::thread::sleep(Duration::from_millis(5));
        quiet = if awake() <= threads { quiet + 1 } else { 0 };
    }
}

fn awake() -> usize {
    let sleeps = |stat: &String| stat.rsplit(')').next().is_some_and(|fields| fields.starts_with(" S"));
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // One that has ended meanwhile has no state.
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    stats.filter(|stat| !sleeps(stat)).count()
}

fn until_signalled(fences: &[Fence]) {
    until(|| fences.iter().all(|fence| fence.status().is_some()));
}

/// Looks only: to sleep may allocate.
fn until(so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < LONG, "it does not end");
        std::thread::yield_now();
    }
}

fn assert_none(region: &Region<'_, System>, what: &str) {
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "allocations while {what}");
}

fn jobs_run_and_signal() {
    let bench = Bench::new(JOBS);
    let (gate, promise) = Module::new().timeline("test", "gate").fence();
    let fences = bench.full(&[gate]);
    let region = Region::new(ALLOCATOR);
    promise.signal();
    bench.until_over(&fences);
    assert_none(&region, "jobs run and signal");
    assert!(fences.iter().all(|fence| fence.error().is_none()));
}

fn a_ring_hangs_and_is_reset() {
    let bench = Bench::new(JOBS);
    let (gate, promise) = Module::new().timeline("test", "gate").fence();
    let fences = bench.full(&[gate]);
    bench.hang_at.store(JOBS / 2, SeqCst);
    let region = Region::new(ALLOCATOR);
    promise.signal();
    bench.until_over(&fences);
    assert_none(&region, "a ring hangs and is reset");
    let guilty: Vec<_> = fences.iter().filter(|fence| fence.error() == Some(FenceError::Guilty)).collect();
    assert_eq!(guilty.len(), 1);
}

/// The lock library keeps a table of the threads that have ever waited, and makes it larger when one comes for which it
/// is too small. Some number of other threads makes it the worker.
fn the_worker_sleeps_for_the_first_time() {
    let (fence, promise) = Module::new().timeline("test", "others").fence();
    let others: Vec<_> = (0..12).map(|_| the_worker_sleeps_beside_another(fence.clone())).collect();
    drop(promise);
    for other in others {
        assert!(other.join().unwrap().is_err());
    }
}

fn the_worker_sleeps_beside_another(fence: Fence) -> JoinHandle<Result<(), WaitError>> {
    let other = std::thread::spawn(move || fence.wait(LONG));
    let bench = Bench::new(1);
    // Both have started; one sleeps, the worker would now.
    until_awake(2);
    bench.hang_at.store(0, SeqCst);
    let fence = [bench.queue.submit(bench.job(0)).unwrap()];
    let region = Region::new(ALLOCATOR);
    bench.awake.store(false, SeqCst);
    bench.until_over(&fence);
    assert_none(&region, "the worker sleeps for the first time");
    assert_eq!(fence[0].error(), Some(FenceError::Guilty));
    other
}

fn a_device_is_lost() {
    let bench = Bench::new(JOBS);
    let (gate, _promise) = Module::new().timeline("test", "gate").fence();
    let fences = bench.full(&[gate]);
    let region = Region::new(ALLOCATOR);
    bench.scheduler.lose(FenceError::Lost);
    bench.scheduler.deliver(LONG);
    bench.until_over(&fences);
    assert_none(&region, "a device is lost");
    assert_eq!(bench.scheduler.lost(), fences.len());
}

/// What is refused for want of a place is never committed; it is built, and costs what that costs. If what is accepted
/// costs no more, nothing is allocated from there on.
fn to_commit_costs_nothing() {
    let bench = Bench::new(1);
    bench.until_asleep();
    let (gate, promise) = Module::new().timeline("test", "gate").fence();
    let after = [gate];
    let held = bench.queue.submit(NewJob { after: &after, ..bench.job(0) }).unwrap();
    let (one, many) = (bench.job(1), bench.job(1));
    let refused = counted(|| assert_eq!(bench.queue.submit(one).unwrap_err(), SubmitError::Full));
    let refused_batch = counted(|| assert_eq!(bench.queue.submit_all([many]).unwrap_err(), SubmitError::Full));
    promise.signal();
    bench.until_over(&[held]);
    bench.until_asleep();
    let (one, many) = (bench.job(1), bench.job(1));
    let accepted = counted(|| until_signalled(&[bench.queue.submit(one).unwrap()]));
    bench.until_asleep();
    let accepted_batch = counted(|| until_signalled(&bench.queue.submit_all([many]).unwrap()));
    assert_eq!((accepted, accepted_batch), (refused, refused_batch));
}

fn counted(f: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    f();
    let change = region.change();
    change.allocations + change.reallocations
}

#[test]
fn sched_3_nothing_is_allocated_from_the_commit_to_the_signal() {
    // It remembers what it has seen.
    lint::force(Reaction::Off);
    // A thread's first wait registers it with the lock library; this thread's may be for the scheduler's lock.
    let (fence, _promise) = Module::new().timeline("test", "never").fence();
    assert!(fence.wait(Duration::from_millis(1)).is_err());
    // First: the library keeps its table.
    the_worker_sleeps_for_the_first_time();
    jobs_run_and_signal();
    a_ring_hangs_and_is_reset();
    a_device_is_lost();
    to_commit_costs_nothing();
}
