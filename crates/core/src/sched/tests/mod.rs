//! The scheduler driven by hand ([`scenarios`], [`contexts`], [`waits`], [`resets`], [`event_slots`], [`endings`]), by what `drm_sched` is tested with
//! ([`kunit`]), by random events against a naive model of it ([`random`]), and by every order of events in small
//! configurations ([`exhaustive`]).

extern crate std;

mod contexts;
mod endings;
mod event_slots;
mod exhaustive;
mod kunit;
mod model;
mod random;
mod resets;
mod scenarios;
mod waits;

use core::time::Duration;
use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::fence::Seqno;

const TIMEOUT: Duration = Duration::from_millis(100);

type TestScheduler = Scheduler<u32, u32, Vec<JobSlot<u32, u32>>, Vec<QueueSlot>, Vec<RingSlot>, Vec<ContextSlot>>;

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
    signalled: HashMap<u32, Result<(), FenceError>>,
    released: Vec<u32>,
}

impl Bench {
    fn new(jobs: usize, rings: usize, ring_credits: u32) -> Self {
        Self::with(jobs, rings, Limits::new(ring_credits, TIMEOUT))
    }

    fn with(jobs: usize, rings: usize, limits: Limits) -> Self {
        let slots = |count| (0..count).map(|_| JobSlot::default()).collect();
        let queues = (0..4).map(|_| QueueSlot::default()).collect();
        let rings = (0..rings).map(|_| RingSlot::default()).collect();
        let contexts = (0..2).map(|_| ContextSlot::default()).collect();
        Self {
            scheduler: Scheduler::with_contexts(slots(jobs), queues, rings, contexts, limits),
            now: Timestamp::default(),
            next: 0,
            running: vec![],
            resets: vec![],
            reset_numbers: vec![],
            suspects: vec![],
            events: vec![],
            device_resets: 0,
            gave_up: false,
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
        while let Some(action) = self.scheduler.poll_action(self.now) {
            match action {
                Action::Signal { fence, result } => {
                    assert_eq!(self.signalled.insert(fence, result), None, "fence {fence} signalled twice");
                }
                Action::Release { payload } => {
                    assert!(self.signalled.contains_key(&payload), "released before it signalled");
                    assert!(!self.released.contains(&payload));
                    self.released.push(payload);
                }
                Action::ResetRing { ring, seqno, suspect } => {
                    let suspect = suspect.map(|job| *self.scheduler.payload(job).unwrap());
                    self.suspects.push(suspect);
                    self.resets.push(ring);
                    self.reset_numbers.push(seqno);
                }
                Action::ResetDevice => self.device_resets += 1,
                Action::GiveUp => self.gave_up = true,
                Action::Run { job, ring, seqno, event } => {
                    self.events.extend(event);
                    let number = *self.scheduler.payload(job).unwrap();
                    self.running.push((ring, seqno, number));
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

    /// The reset of a ring is over: what was on it is not there any more.
    fn reset(&mut self, ring: u8) {
        self.running.retain(|(on, ..)| *on != RingIndex(ring));
        self.scheduler.reset_done(RingIndex(ring), true);
        self.drain();
    }

    /// The reset of a ring has failed.
    fn fail_reset(&mut self, ring: u8) {
        self.scheduler.reset_done(RingIndex(ring), false);
        self.drain();
    }

    /// The reset of the device is over: nothing is on any ring any more.
    fn reset_device(&mut self) {
        self.running.clear();
        self.scheduler.device_reset_done(true);
        self.drain();
    }

    /// How many of the four queue slots are free; takes them.
    fn free_queues(&mut self) -> usize {
        core::iter::from_fn(|| self.scheduler.open_queue(RingIndex(0), Priority::Normal)).count()
    }

    fn running(&self) -> Vec<u32> {
        self.running.iter().map(|(.., job)| *job).collect()
    }
}

fn spec(dependencies: u32, restartable: bool) -> JobSpec {
    JobSpec { cost: 1, dependencies, restartable, ..JobSpec::default() }
}
