//! Rings that can give up one job, before they are reset (SCHED-4).
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use lifeboat::core::fence::{FenceError, Seqno};
use lifeboat::sched::{Abort, AtRest, Events, Limits, NewJob, Options, RingIndex, Rings, Scheduler};
use lifeboat::{Fence, Priority, WaitError};

/// Longer than anything in these tests takes; a wait that reaches it has hung.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);
const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));

type Job = &'static str;

/// What a ring does that is to give up a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Cannot,
    /// At once.
    Done,
    /// It says that it will, and does when the test has it.
    Later,
    /// It says that it will, and completes the job after all.
    Completes,
}

struct Hardware {
    does: Does,
    state: Mutex<HardwareState>,
}

#[derive(Default)]
struct HardwareState {
    has: Vec<(Seqno, Weak<Job>, Job)>,
    asked: Vec<Job>,
    resets: usize,
    released_early: bool,
}

struct Loose {
    hardware: Arc<Hardware>,
    events: Events<Job>,
}

impl Hardware {
    fn state(&self) -> MutexGuard<'_, HardwareState> {
        self.state.lock().unwrap()
    }

    /// Is done with a job: it reads nothing of it any more.
    fn end(&self, job: Job) -> Seqno {
        let mut state = self.state();
        let place = state.has.iter().position(|(.., has)| *has == job).unwrap();
        let (seqno, memory, _) = state.has.remove(place);
        state.released_early |= memory.strong_count() == 0;
        seqno
    }

    fn has(&self) -> Vec<Job> {
        self.state().has.iter().map(|(.., job)| *job).collect()
    }
}

impl Rings for Loose {
    type Job = Job;
    type Error = Infallible;

    fn run(&mut self, _ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), Infallible> {
        self.hardware.state().has.push((seqno, Arc::downgrade(job), **job));
        Ok(())
    }

    fn abort(&mut self, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Abort {
        self.hardware.state().asked.push(**job);
        match self.hardware.does {
            Does::Cannot => Abort::Cannot,
            Does::Done => {
                assert_eq!(self.hardware.end(job), seqno);
                Abort::Done
            }
            Does::Later => Abort::Asked,
            Does::Completes => {
                self.events.hw_done_one(ring, self.hardware.end(job));
                Abort::Asked
            }
        }
    }

    fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Infallible> {
        let mut state = self.hardware.state();
        state.resets += 1;
        state.has.clear();
        Ok(())
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Infallible> {
        unreachable!("no reset of a ring fails here")
    }

    fn progress(&mut self, _ring: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {}

    fn quiesce(&mut self) -> AtRest {
        self.hardware.state().has.clear();
        AtRest::Yes
    }
}

fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < LONG, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A job that hangs, and one that has all the time there is, on one ring.
struct Bench {
    hardware: Arc<Hardware>,
    scheduler: Scheduler<Job>,
    hangs: Fence,
    other: Fence,
    memory: Weak<Job>,
}

fn bench(does: Does) -> Bench {
    let hardware = Arc::new(Hardware { does, state: Mutex::default() });
    let rings = hardware.clone();
    let options = Options { limits: Limits::new(8, LONG * 10), unordered: vec![true], ..Options::default() };
    let scheduler =
        Scheduler::open(&options, |events| Ok::<_, Infallible>(Loose { hardware: rings, events: events.clone() }))
            .unwrap();
    let submit = |job: Job, time_limit| {
        let queue = scheduler.queue(RingIndex(0), Priority::Normal).unwrap();
        let job = Arc::new(job);
        let memory = Arc::downgrade(&job);
        let fence = queue.submit(NewJob { time_limit, ..NewJob::new(job) }).unwrap();
        // A queue that is dropped cancels what has not begun.
        fence.on_signal(move |_| drop(queue));
        (fence, memory)
    };
    let (other, _) = submit("other", None);
    let (hangs, memory) = submit("hangs", Some(SHORT));
    Bench { hardware, scheduler, hangs, other, memory }
}

impl Bench {
    /// The other job is still there, and completes; nothing was reset.
    fn assert_only_one_ended(&self) {
        assert_eq!((self.hardware.has(), self.hardware.state().resets), (vec!["other"], 0));
        assert_eq!(self.other.status(), None);
        self.scheduler.events().hw_done_one(RingIndex(0), self.hardware.end("other"));
        assert_eq!(self.other.wait(LONG), Ok(()));
        until(|| self.memory.strong_count() == 0);
        let state = self.hardware.state();
        assert_eq!((&state.asked, state.released_early), (&vec!["hangs"], false));
    }
}

#[test]
fn sched_4_a_ring_that_gives_up_a_job_is_not_reset() {
    let bench = bench(Does::Done);
    assert_eq!(bench.hangs.wait(LONG), GUILTY);
    bench.assert_only_one_ended();
}

#[test]
fn sched_4_a_job_that_is_reported_as_aborted_ends_then_and_not_before() {
    let bench = bench(Does::Later);
    until(|| !bench.hardware.state().asked.is_empty());
    // Within its limit, unless this machine is very busy: then the ring is reset, as it must be.
    let aborted = (bench.hangs.status(), bench.memory.strong_count() > 0);
    let seqno = {
        let mut state = bench.hardware.state();
        let place = state.has.iter().position(|(.., job)| *job == "hangs");
        place.map(|place| state.has.remove(place).0)
    };
    if let Some(seqno) = seqno {
        bench.scheduler.events().aborted(RingIndex(0), seqno);
    }
    assert_eq!(bench.hangs.wait(LONG), GUILTY);
    if bench.hardware.state().resets == 0 {
        assert_eq!(aborted, (None, true), "it ended before it was given up");
        bench.assert_only_one_ended();
    }
}

#[test]
fn sched_4_a_ring_that_never_gives_up_the_job_is_reset() {
    let bench = bench(Does::Later);
    assert_eq!(bench.hangs.wait(LONG), GUILTY);
    assert_eq!(bench.other.wait(LONG), Err(WaitError::Failed(FenceError::Innocent)));
    let state = bench.hardware.state();
    assert_eq!((&state.asked, state.resets), (&vec!["hangs"], 1));
}

#[test]
fn sched_4_a_ring_that_cannot_give_up_a_job_is_reset() {
    let bench = bench(Does::Cannot);
    assert_eq!(bench.hangs.wait(LONG), GUILTY);
    assert_eq!(bench.other.wait(LONG), Err(WaitError::Failed(FenceError::Innocent)));
    assert_eq!(bench.hardware.state().resets, 1);
}

#[test]
fn sched_4_a_job_that_completes_instead_has_completed() {
    let bench = bench(Does::Completes);
    assert_eq!(bench.hangs.wait(LONG), Ok(()));
    bench.assert_only_one_ended();
}
