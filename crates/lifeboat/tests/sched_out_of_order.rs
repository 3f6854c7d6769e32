//! Rings that complete jobs in any order, and report each by itself (SCHED-11).
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use lifeboat::core::fence::{FenceError, Seqno};
use lifeboat::sched::{AtRest, Events, Limits, NewJob, Options, Queue, RingIndex, Rings, Scheduler};
use lifeboat::{Priority, WaitError};

/// Longer than anything in these tests takes; a wait that reaches it has hung.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);

/// A job is its number.
type Job = usize;

/// A device that executes all jobs that it has at once.
#[derive(Default)]
struct Hardware(Mutex<HardwareState>);

#[derive(Default)]
struct HardwareState {
    has: Vec<(RingIndex, Seqno, Weak<Job>, Job)>,
    /// Jobs that it has completed without a message.
    silent: Vec<(RingIndex, Seqno)>,
    resets: usize,
    /// The most that any ring has had at a time, by ring.
    most: [usize; 2],
    released_early: bool,
}

struct Loose {
    hardware: Arc<Hardware>,
    events: Events<Job>,
}

impl Hardware {
    fn open(self: &Arc<Self>, options: &Options) -> Scheduler<Job> {
        let hardware = self.clone();
        Scheduler::open(options, |events| Ok::<_, Infallible>(Loose { hardware, events: events.clone() })).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, HardwareState> {
        self.0.lock().unwrap()
    }

    /// The numbers of the jobs that it has, oldest first.
    fn has(&self) -> Vec<Job> {
        self.state().has.iter().map(|(.., job)| *job).collect()
    }

    /// Waits until it has so many, and no more come for a moment.
    fn wait_for(&self, count: usize) {
        until(|| self.has().len() >= count);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(self.has().len(), count);
    }

    /// Is done with a job: it reads nothing of it any more.
    fn end(&self, job: Job) -> Option<(RingIndex, Seqno)> {
        let mut state = self.state();
        let place = state.has.iter().position(|(.., number)| *number == job)?;
        let (ring, seqno, memory, _) = state.has.remove(place);
        state.released_early |= memory.strong_count() == 0;
        Some((ring, seqno))
    }

    fn complete(&self, events: &Events<Job>, job: Job) {
        let (ring, seqno) = self.end(job).unwrap();
        events.hw_done_one(ring, seqno);
    }
}

impl Rings for Loose {
    type Job = Job;
    type Error = Infallible;

    fn run(&mut self, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), Infallible> {
        let mut state = self.hardware.state();
        state.has.push((ring, seqno, Arc::downgrade(job), **job));
        let count = state.has.iter().filter(|(on, ..)| *on == ring).count();
        let most = &mut state.most[usize::from(ring.0)];
        *most = (*most).max(count);
        Ok(())
    }

    fn reset_ring(&mut self, ring: RingIndex, _seqno: Seqno) -> Result<(), Infallible> {
        let mut state = self.hardware.state();
        state.resets += 1;
        state.has.retain(|(on, ..)| *on != ring);
        Ok(())
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Infallible> {
        self.hardware.state().has.clear();
        Ok(())
    }

    fn progress(&mut self, ring: RingIndex) -> Option<Seqno> {
        let silent = std::mem::take(&mut self.hardware.state().silent);
        for (on, seqno) in silent {
            assert_eq!(on, ring, "one ring is enough here");
            self.events.hw_done_one(on, seqno);
        }
        None
    }

    fn give_up(&mut self) {}

    fn quiesce(&mut self) -> AtRest {
        self.hardware.state().has.clear();
        AtRest::Yes
    }
}

fn until(mut what: impl FnMut() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < LONG, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// One unordered ring; its jobs have no limit but their own.
fn unordered() -> Options {
    Options { unordered: vec![true], limits: Limits::new(8, LONG * 10), ..Options::default() }
}

fn queues<const N: usize>(scheduler: &Scheduler<Job>) -> [Queue<Job>; N] {
    [(); N].map(|()| scheduler.queue(RingIndex(0), Priority::Normal).unwrap())
}

fn ended(fence: &lifeboat::Fence) -> Option<Result<(), FenceError>> {
    fence.status()
}

#[test]
fn sched_11_each_job_ends_when_it_completes_and_those_before_and_behind_it_stay() {
    let hardware = Arc::new(Hardware::default());
    let scheduler = hardware.open(&unordered());
    let events = scheduler.events();
    let queues: [_; 4] = queues(&scheduler);
    let jobs = [0, 1, 2, 3].map(Arc::new);
    let memory = jobs.each_ref().map(Arc::downgrade);
    let mut jobs = jobs.into_iter();
    let fences = queues.each_ref().map(|queue| queue.submit(NewJob::new(jobs.next().unwrap())).unwrap());
    hardware.wait_for(4);
    for (done, job) in [2, 0, 3, 1].into_iter().enumerate() {
        hardware.complete(&events, job);
        assert_eq!(fences[job].wait(LONG), Ok(()));
        until(|| memory[job].strong_count() == 0);
        assert_eq!(fences.iter().filter(|fence| ended(fence).is_some()).count(), done + 1);
        assert_eq!(memory.iter().filter(|memory| memory.strong_count() > 0).count(), 3 - done);
    }
    assert!(!hardware.state().released_early);
}

#[test]
fn sched_11_a_job_that_hangs_is_found_by_its_own_limit_although_an_older_one_runs() {
    let hardware = Arc::new(Hardware::default());
    let scheduler = hardware.open(&unordered());
    let events = scheduler.events();
    let queues: [_; 2] = queues(&scheduler);
    let slow = queues[0].submit(NewJob { restartable: true, ..NewJob::new(Arc::new(0)) }).unwrap();
    hardware.wait_for(1);
    let hangs = queues[1].submit(NewJob { time_limit: Some(SHORT), ..NewJob::new(Arc::new(1)) }).unwrap();
    assert_eq!(hangs.wait(LONG), Err(WaitError::Failed(FenceError::Guilty)));
    // The older one is innocent, and runs again.
    hardware.wait_for(1);
    assert_eq!((hardware.has(), ended(&slow)), (vec![0], None));
    hardware.complete(&events, 0);
    assert_eq!((slow.wait(LONG), hardware.state().resets), (Ok(()), 1));
}

#[test]
fn sched_11_a_single_completion_whose_message_was_lost_is_no_hang() {
    let hardware = Arc::new(Hardware::default());
    let scheduler = hardware.open(&unordered());
    let queues: [_; 2] = queues(&scheduler);
    let older = queues[0].submit(NewJob::new(Arc::new(0))).unwrap();
    hardware.wait_for(1);
    let lost = queues[1].submit(NewJob { time_limit: Some(SHORT), ..NewJob::new(Arc::new(1)) }).unwrap();
    until(|| {
        let done = hardware.end(1);
        hardware.state().silent.extend(done);
        done.is_some()
    });
    assert_eq!(lost.wait(LONG), Ok(()));
    assert_eq!((hardware.state().resets, ended(&older)), (0, None));
}

#[test]
fn sched_11_jobs_of_one_queue_run_one_after_the_other_on_a_ring_that_keeps_no_order() {
    let hardware = Arc::new(Hardware::default());
    let scheduler = hardware.open(&unordered());
    let events = scheduler.events();
    let [queue] = queues(&scheduler);
    let fences = [0, 1, 2].map(|job| queue.submit(NewJob::new(Arc::new(job))).unwrap());
    for (job, fence) in fences.iter().enumerate() {
        hardware.wait_for(1);
        hardware.complete(&events, job);
        assert_eq!(fence.wait(LONG), Ok(()));
    }
}

#[test]
fn sched_11_each_ring_has_its_own_credits_and_its_own_order() {
    let hardware = Arc::new(Hardware::default());
    let options = Options {
        rings: 2,
        limits: Limits::new(2, LONG * 10),
        ring_credits: vec![3],
        unordered: vec![false, true],
        ..Options::default()
    };
    let scheduler = hardware.open(&options);
    let events = scheduler.events();
    let queues = [0, 1, 1, 1].map(|ring| scheduler.queue(RingIndex(ring), Priority::Normal).unwrap());
    let mut fences = vec![];
    for job in 0..16 {
        fences.push(queues[job % 4].submit(NewJob::new(Arc::new(job))).unwrap());
    }
    // Three of one queue on the first, two of different queues on the second.
    hardware.wait_for(5);
    assert_eq!(hardware.state().most, [3, 2]);
    until(|| {
        if let Some(job) = hardware.has().pop() {
            // The first ring keeps its order: its oldest job completes.
            let job = if job % 4 == 0 { *hardware.has().iter().find(|job| **job % 4 == 0).unwrap() } else { job };
            hardware.complete(&events, job);
        }
        fences.iter().all(|fence| ended(fence) == Some(Ok(())))
    });
    assert_eq!(hardware.state().most, [3, 2]);
}

/// Users and the hardware at once. Neither hangs, and each job is released once the hardware is done with it.
#[test]
fn sched_11_many_jobs_complete_in_whatever_order() {
    const JOBS: usize = 300;
    let hardware = Arc::new(Hardware::default());
    let scheduler = hardware.open(&unordered());
    let events = scheduler.events();
    let queues: [_; 6] = queues(&scheduler);
    let memory: Mutex<Vec<Weak<Job>>> = Mutex::default();
    let fences = std::thread::scope(|scope| {
        let users: Vec<_> = (0..)
            .zip(&queues)
            .map(|(number, queue)| {
                let memory = &memory;
                scope.spawn(move || {
                    let submit = |job| {
                        let job = Arc::new(number * JOBS + job);
                        memory.lock().unwrap().push(Arc::downgrade(&job));
                        queue.submit(NewJob::new(job)).unwrap()
                    };
                    (0..JOBS).map(submit).collect::<Vec<_>>()
                })
            })
            .collect();
        let (mut random, mut completed) = (11_u64, 0);
        until(|| {
            loop {
                let has = hardware.has();
                let Some(last) = has.len().checked_sub(1) else { break };
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                hardware.complete(&events, has[usize::try_from(random >> 33).unwrap() % (last + 1)]);
                completed += 1;
            }
            completed == queues.len() * JOBS
        });
        users.into_iter().flat_map(|user| user.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(fences.iter().all(|fence| fence.wait(LONG) == Ok(())));
    until(|| memory.lock().unwrap().iter().all(|memory| memory.strong_count() == 0));
    let state = hardware.state();
    assert!(!state.released_early && state.most[0] > 1);
}

/// Dropped while jobs are on the ring: they are released when the hardware is at rest, or is done with them before.
#[test]
fn sched_2_and_11_what_is_on_an_unordered_ring_is_released_when_it_is_at_rest() {
    let hardware = Arc::new(Hardware::default());
    let scheduler = hardware.open(&unordered());
    let events = scheduler.events();
    let queues: [_; 3] = queues(&scheduler);
    let jobs = [0, 1, 2].map(Arc::new);
    let memory = jobs.each_ref().map(Arc::downgrade);
    let mut jobs = jobs.into_iter();
    let fences = queues.each_ref().map(|queue| queue.submit(NewJob::new(jobs.next().unwrap())).unwrap());
    hardware.wait_for(3);
    scheduler.lose(FenceError::Lost);
    for fence in &fences {
        assert_eq!(fence.wait(LONG), Err(WaitError::Failed(FenceError::Lost)));
    }
    assert!(memory.iter().all(|memory| memory.strong_count() > 0), "the hardware may read them");
    hardware.complete(&events, 1);
    until(|| memory[1].strong_count() == 0);
    assert!([0, 2].iter().all(|job| memory[*job].strong_count() > 0));
    drop(scheduler);
    until(|| memory.iter().all(|memory| memory.strong_count() == 0));
    assert!(!hardware.state().released_early);
}
