//! Jobs that the thread runs which has submitted them, if nothing is in their way and the worker rests.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::fmt;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use lifeboat::core::fence::{FenceError, Seqno};
use lifeboat::sched::{AtRest, ErrorScope, Events, NewJob, Options, Queue, RingIndex, Rings, Scheduler};
use lifeboat::{Module, Priority, WaitError};

/// Longer than anything in these tests takes; a wait that reaches it has hung.
const LONG: Duration = Duration::from_secs(10);
const RING: RingIndex = RingIndex(0);

type Job = u32;

/// Who ran which job, in the order in which they were run, and the number of each.
type Log = Arc<Mutex<Vec<(Job, ThreadId, Seqno)>>>;

#[derive(Debug)]
struct Refused(ErrorScope);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused on purpose")
    }
}

/// What a job's number makes of it.
const FAILS: Job = 1_000;
const PANICS: Job = 1_001;
const FAILS_FOR_GOOD: Job = 1_002;
const BLOCKS: Job = 1_003;

/// A ring that completes every job when it is given it.
struct Quick {
    log: Log,
    events: Events<Job>,
    blocks: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

impl Rings for Quick {
    type Job = Job;
    type Error = Refused;

    fn run(&mut self, ring: RingIndex, job: &Arc<Job>, seqno: Seqno) -> Result<(), Refused> {
        self.log.lock().unwrap().push((**job, thread::current().id(), seqno));
        match **job {
            FAILS => return Err(Refused(ErrorScope::Job)),
            FAILS_FOR_GOOD => return Err(Refused(ErrorScope::Device)),
            PANICS => panic!("on purpose"),
            BLOCKS => {
                let (arrived, go_on) = self.blocks.take().unwrap();
                arrived.send(()).unwrap();
                go_on.recv_timeout(LONG).unwrap();
            }
            _ => {}
        }
        self.events.hw_done(ring, seqno);
        Ok(())
    }

    fn scope(&self, error: &Refused) -> ErrorScope {
        error.0
    }

    fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Refused> {
        Ok(())
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Refused> {
        Ok(())
    }

    fn progress(&mut self, _ring: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {
        self.events.lose(FenceError::Lost);
    }

    fn quiesce(&mut self) -> AtRest {
        AtRest::Yes
    }
}

struct Rig {
    scheduler: Scheduler<Job>,
    queue: Queue<Job>,
    log: Log,
}

impl Rig {
    fn new(options: &Options) -> Self {
        Self::blocking(options, None)
    }

    fn blocking(options: &Options, blocks: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>) -> Self {
        let log = Log::default();
        let rings = log.clone();
        let scheduler = Scheduler::open(options, |events: &Events<Job>| {
            Ok::<_, Refused>(Quick { log: rings, events: events.clone(), blocks })
        })
        .unwrap();
        let queue = scheduler.queue(RING, Priority::Normal).unwrap();
        Self { scheduler, queue, log }
    }

    /// Submits a job and waits for its end. Whether this thread has run it.
    fn submit(&self, job: Job) -> (bool, Result<(), WaitError>) {
        let fence = self.queue.submit(NewJob::new(Arc::new(job))).unwrap();
        let result = fence.wait(LONG);
        let log = self.log.lock().unwrap();
        let run_by = log.iter().rev().find(|(number, ..)| *number == job).map(|(_, thread, _)| *thread);
        (run_by == Some(thread::current().id()), result)
    }

    /// Submits jobs until this thread has run one: the worker rests when it has nothing to do, sooner or later.
    fn until_the_worker_rests(&self) {
        let began = Instant::now();
        while !self.submit(0).0 {
            assert!(began.elapsed() < LONG, "the worker never rests");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The same, with this job.
    fn run_here(&self, job: Job) -> Result<(), WaitError> {
        let began = Instant::now();
        loop {
            self.until_the_worker_rests();
            thread::sleep(Duration::from_millis(5));
            let (here, result) = self.submit(job);
            if here {
                return result;
            }
            assert!(began.elapsed() < LONG, "the worker never rests");
        }
    }

    /// Numbers were given out in the order in which jobs were written.
    fn assert_in_order(&self) {
        let log = self.log.lock().unwrap();
        assert!(log.is_sorted_by(|(.., one), (.., next)| next.is_after(*one)), "{log:?}");
    }
}

#[test]
fn sched_8_a_job_that_nothing_is_in_the_way_of_is_run_by_its_submitter() {
    let rig = Rig::new(&Options::default());
    rig.until_the_worker_rests();
    rig.assert_in_order();
    assert!(rig.scheduler.close(LONG));
}

#[test]
fn sched_8_the_worker_runs_all_jobs_where_it_is_to() {
    let rig = Rig::new(&Options { run_by_submitter: false, ..Options::default() });
    for job in 0..100 {
        thread::sleep(Duration::from_millis(1));
        assert_eq!(rig.submit(job), (false, Ok(())));
    }
}

/// It waits for a fence, and is run by whoever is there when that has signalled: the worker.
#[test]
fn sched_8_a_job_that_waits_is_run_by_the_worker() {
    let rig = Rig::new(&Options::default());
    rig.until_the_worker_rests();
    let (gate, promise) = Module::new().timeline("test", "gate").fence();
    let fence = rig.queue.submit(NewJob { after: &[gate], ..NewJob::new(Arc::new(7)) }).unwrap();
    promise.end(Ok(()));
    fence.wait(LONG).unwrap();
    let log = rig.log.lock().unwrap();
    assert!(log.iter().any(|(job, thread, _)| *job == 7 && *thread != thread::current().id()));
}

/// A callback runs on whatever thread signals, and must not touch registers.
#[test]
fn sched_8_a_job_that_is_submitted_by_a_callback_is_run_by_the_worker() {
    let rig = Rig::new(&Options::default());
    for job in 1..50 {
        rig.until_the_worker_rests();
        thread::sleep(Duration::from_millis(2));
        let (gate, promise) = Module::new().timeline("test", "gate").fence();
        let queue = rig.scheduler.queue(RING, Priority::Normal).unwrap();
        let (sender, submitted) = mpsc::channel();
        gate.on_signal(move |_| sender.send(queue.submit(NewJob::new(Arc::new(job)))).unwrap());
        promise.end(Ok(()));
        // The callback has run on this thread. Its queue is gone, but the job may have been canceled only before.
        let _ = submitted.recv_timeout(LONG).unwrap().unwrap().wait(LONG);
        let log = rig.log.lock().unwrap();
        assert!(!log.iter().any(|(ran, thread, _)| *ran == job && *thread == thread::current().id()));
    }
}

#[test]
fn sched_10_a_job_that_its_submitter_cannot_start_fails_alone() {
    let rig = Rig::new(&Options::default());
    assert_eq!(rig.run_here(FAILS), Err(WaitError::Failed(FenceError::Guilty)));
    assert_eq!(rig.run_here(1), Ok(()));
    rig.until_the_worker_rests();
}

#[test]
fn sched_10_an_error_or_a_panic_on_the_submitters_thread_ends_the_device_and_not_the_thread() {
    for job in [FAILS_FOR_GOOD, PANICS] {
        let rig = Rig::new(&Options::default());
        assert_eq!(rig.run_here(job), Err(WaitError::Failed(FenceError::Lost)));
        assert!(rig.scheduler.close(LONG));
    }
}

/// While a thread is in the driver for its job, the worker gives what signals are owed, and others' jobs run later.
#[test]
fn sched_8_and_1_a_submitter_that_is_held_up_holds_up_no_signal() {
    let began = Instant::now();
    while !held_up() {
        assert!(began.elapsed() < LONG, "the worker never rests");
    }
}

/// `false` if the job was the worker's, which did not rest yet.
fn held_up() -> bool {
    let ((arrived, arrival), (go_on, wait)) = (mpsc::channel(), mpsc::channel());
    let rig = Rig::blocking(&Options::default(), Some((arrived, wait)));
    rig.until_the_worker_rests();
    thread::sleep(Duration::from_millis(5));
    let other = rig.scheduler.queue(RING, Priority::Normal).unwrap();
    let (never, _promise) = Module::new().timeline("test", "never").fence();
    thread::scope(|scope| {
        let submitter = scope.spawn(|| rig.queue.submit(NewJob::new(Arc::new(BLOCKS))).unwrap().wait(LONG));
        arrival.recv_timeout(LONG).unwrap();
        let by = rig.log.lock().unwrap().last().map(|(_, thread, _)| *thread);
        let by_submitter = by == Some(submitter.thread().id());
        if by_submitter {
            let waits = other.submit(NewJob { after: &[never], ..NewJob::new(Arc::new(2)) }).unwrap();
            let later = rig.queue.submit(NewJob::new(Arc::new(1))).unwrap();
            drop(other);
            assert_eq!(waits.wait(LONG), Err(WaitError::Failed(FenceError::Canceled)));
            assert_eq!(later.status(), None);
            go_on.send(()).unwrap();
            assert_eq!(later.wait(LONG), Ok(()));
        } else {
            go_on.send(()).unwrap();
        }
        assert_eq!(submitter.join().unwrap(), Ok(()));
        rig.assert_in_order();
        by_submitter
    })
}

/// Threads that submit at the same time, and the worker: numbers are written in their order whoever writes them.
#[test]
fn sched_8_numbers_reach_a_ring_in_their_order_whoever_runs_the_jobs() {
    let rig = Rig::new(&Options::default());
    let queues = [(); 4].map(|()| rig.scheduler.queue(RING, Priority::Normal).unwrap());
    thread::scope(|scope| {
        for queue in &queues {
            scope.spawn(move || {
                for job in 0..500 {
                    let fence = queue.submit(NewJob::new(Arc::new(job))).unwrap();
                    if job % 3 == 0 {
                        fence.wait(LONG).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(rig.submit(9).1, Ok(()));
    rig.assert_in_order();
    assert!(rig.scheduler.close(LONG));
    assert_eq!(rig.log.lock().unwrap().len(), 2001);
}

/// A ring that completes nothing, and counts its resets.
struct Deaf(Arc<Mutex<u32>>);
impl Rings for Deaf {
    type Job = Job;
    type Error = Refused;

    fn run(&mut self, _ring: RingIndex, _job: &Arc<Job>, _seqno: Seqno) -> Result<(), Refused> {
        Ok(())
    }
    fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Refused> {
        *self.0.lock().unwrap() += 1;
        Ok(())
    }
    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Refused> {
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

/// A job that its submitter has run hangs: the worker, which slept, finds out.
#[test]
fn sched_4_the_worker_watches_over_what_submitters_run() {
    let options = Options {
        limits: lifeboat::sched::Limits { job_timeout: Duration::from_millis(50), ..Options::default().limits },
        ..Options::default()
    };
    let hung = Arc::new(Mutex::new(0));
    let scheduler = Scheduler::open(&options, |_| Ok::<_, Refused>(Deaf(hung.clone()))).unwrap();
    let queue = scheduler.queue(RING, Priority::Normal).unwrap();
    for resets in 1..=5 {
        // The worker rests by now, as a rule; whoever runs it, the hang is found.
        thread::sleep(Duration::from_millis(5));
        let fence = queue.submit(NewJob::new(Arc::new(0))).unwrap();
        assert_eq!(fence.wait(LONG), Err(WaitError::Failed(FenceError::Guilty)));
        assert_eq!(*hung.lock().unwrap(), resets);
    }
}
