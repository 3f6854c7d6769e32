//! The scheduler driven by hand ([`scenarios`], [`starts`], [`contexts`], [`waits`], [`loans`], [`shares`], [`fairness`], [`charges`],
//! [`resets`], [`proof`], [`event_slots`], [`own_limits`], [`out_of_order`], [`aborts`], [`let_go`], [`submitter`],
//! [`endings`]), by what `drm_sched` is tested with
//! ([`kunit`]), by random events against a naive model of it ([`random`]), and by every order of events in small
//! configurations ([`exhaustive`]).

extern crate std;

mod aborts;
mod charges;
mod contexts;
mod endings;
mod event_slots;
mod exhaustive;
mod fairness;
mod growth;
mod kunit;
mod let_go;
mod loans;
mod model;
mod out_of_order;
mod own_limits;
mod proof;
mod random;
mod resets;
mod scenarios;
mod shares;
mod starts;
mod submitter;
mod waits;

use core::cell::Cell;
use core::time::Duration;
use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use super::turns::{Level, PASSES};
use super::*;
use crate::fence::Seqno;

const TIMEOUT: Duration = Duration::from_millis(100);

/// Numbers for fences and payloads, and as many slots of each kind as a test likes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Heap {}

impl Storage for Heap {
    type Fence = u32;
    type Payload = u32;
    type Slots<T> = Vec<T>;

    fn slots<T: Default>(count: usize) -> Option<Vec<T>> {
        Some(core::iter::repeat_with(T::default).take(count).collect())
    }
}

type TestScheduler = Scheduler<Heap>;

/// Slots of a number of jobs, queues, rings and contexts.
fn stores([jobs, queues, rings, contexts]: [usize; 4]) -> Stores<Heap> {
    Stores::new(Sizes { jobs, queues, rings, contexts }).unwrap()
}

std::thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// A list has looked at a slot.
pub(super) fn count_step() {
    STEPS.set(STEPS.get() + 1);
}

/// How many slots the lists of this thread look at while `f` runs.
fn steps(f: impl FnOnce()) -> u64 {
    let before = STEPS.get();
    f();
    STEPS.get() - before
}

/// A scheduler, what it has asked for so far, and a clock.
struct Bench {
    scheduler: TestScheduler,
    now: Timestamp,
    next: u32,
    running: Vec<(RingIndex, Seqno, u32)>,
    /// Resets asked for, and the numbers announced with them.
    resets: Vec<RingIndex>,
    reset_numbers: Vec<Seqno>,
    suspects: Vec<Option<u32>>,
    /// The event slot of each job that was given to a ring, if there are any.
    events: Vec<EventSlot>,
    device_resets: usize,
    gave_up: bool,
    /// Queues that the firmware is to let go of, and whether for the last time.
    let_go: Vec<(QueueId, bool)>,
    signalled: HashMap<u32, Result<(), FenceError>>,
    released: Vec<u32>,
}

impl Bench {
    fn new(jobs: usize, rings: usize, ring_credits: u32) -> Self {
        Self::with(jobs, rings, Limits::new(ring_credits, TIMEOUT))
    }

    fn with(jobs: usize, rings: usize, limits: Limits) -> Self {
        Self {
            scheduler: Scheduler::new(stores([jobs, 4, rings, 2]), limits),
            now: Timestamp::default(),
            next: 0,
            running: vec![],
            resets: vec![],
            reset_numbers: vec![],
            suspects: vec![],
            events: vec![],
            device_resets: 0,
            gave_up: false,
            let_go: vec![],
            signalled: HashMap::new(),
            released: vec![],
        }
    }

    fn queue(&mut self, ring: u8) -> QueueId {
        self.scheduler.open_queue(RingIndex(ring), Priority::Normal).unwrap()
    }

    /// Submits a job whose fence and payload are its number, without draining actions.
    fn submit_spec(&mut self, queue: QueueId, spec: JobSpec) -> Result<(u32, JobId), SubmitError> {
        let reservation = self.scheduler.reserve(queue, spec)?;
        self.next += 1;
        Ok((self.next, self.scheduler.commit(reservation, self.next, self.next)))
    }

    fn submit(&mut self, queue: QueueId) -> u32 {
        let (job, _) = self
            .submit_spec(queue, JobSpec { cost: 1, dependencies: 0, restartable: false, ..JobSpec::default() })
            .unwrap();
        self.drain();
        job
    }

    fn drain(&mut self) {
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Signal { fence, result } => {
                    assert_eq!(self.signalled.insert(fence, result), None, "fence {fence} signalled twice");
                }
                Action::Release { payload } => {
                    assert!(self.signalled.contains_key(&payload), "released before it signalled");
                    assert!(!self.released.contains(&payload));
                    self.released.push(payload);
                }
                Action::ResetRing { ring, suspect } => {
                    let suspect = suspect.map(|job| *self.scheduler.payload(job).unwrap());
                    self.suspects.push(suspect);
                    self.resets.push(ring);
                }
                Action::ResetDevice => self.device_resets += 1,
                Action::GiveUp => self.gave_up = true,
                Action::LetGo { queue, last_look, .. } => self.let_go.push((queue, last_look)),
                Action::Run { job, ring, seqno, event } => {
                    self.events.extend(event);
                    let number = *self.scheduler.payload(job).unwrap();
                    self.running.push((ring, seqno, number));
                    self.scheduler.started(ring, seqno, self.now);
                }
            }
        }
    }

    /// The ring completes its oldest job that is still running.
    fn complete(&mut self, ring: u8) {
        let at = self.running.iter().position(|(on, ..)| *on == RingIndex(ring)).unwrap();
        let (ring, seqno, _) = self.running.remove(at);
        self.scheduler.hw_done(ring, seqno, self.now);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.scheduler.tick(self.now);
        self.drain();
    }

    /// The reset of a ring begins.
    fn begin_reset(&mut self, ring: u8) {
        let number = self.scheduler.begin_reset(RingIndex(ring));
        self.reset_numbers.push(number.expect("nothing is to be reset"));
    }

    /// A ring is reset: what was on it is not there any more.
    fn reset(&mut self, ring: u8) {
        self.begin_reset(ring);
        self.end_reset(ring);
    }

    fn end_reset(&mut self, ring: u8) {
        self.running.retain(|(on, ..)| *on != RingIndex(ring));
        self.scheduler.reset_done(RingIndex(ring), true);
        self.drain();
    }

    /// The reset of a ring has failed.
    fn fail_reset(&mut self, ring: u8) {
        self.begin_reset(ring);
        self.scheduler.reset_done(RingIndex(ring), false);
        self.drain();
    }

    /// The reset of the device is over: nothing is on any ring any more.
    fn reset_device(&mut self) {
        assert!(self.scheduler.begin_device_reset());
        self.end_device_reset();
    }

    fn end_device_reset(&mut self) {
        self.running.clear();
        self.scheduler.device_reset_done(true);
        self.drain();
    }

    /// How many of the four queue slots are free; takes them.
    fn free_queues(&mut self) -> usize {
        core::iter::from_fn(|| self.scheduler.open_queue(RingIndex(0), Priority::Normal).ok()).count()
    }

    fn running(&self) -> Vec<u32> {
        self.running.iter().map(|(.., job)| *job).collect()
    }
}

fn spec(dependencies: u32, restartable: bool) -> JobSpec {
    JobSpec { cost: 1, dependencies, restartable, ..JobSpec::default() }
}
