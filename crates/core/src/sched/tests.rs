//! The scheduler driven by hand, and by random events against what must hold after each of them.

extern crate std;

use core::time::Duration;
use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::fence::Seqno;

const TIMEOUT: Duration = Duration::from_millis(100);

type TestScheduler = Scheduler<u32, u32, Vec<JobSlot<u32, u32>>, Vec<QueueSlot>, Vec<RingSlot>>;

/// A scheduler, what it has asked for so far, and a clock.
struct Bench {
    scheduler: TestScheduler,
    now: Timestamp,
    next: u32,
    running: Vec<(RingIndex, Seqno, u32)>,
    resets: Vec<RingIndex>,
    gave_up: bool,
    signalled: HashMap<u32, Result<(), FenceError>>,
    released: Vec<u32>,
}

impl Bench {
    fn new(jobs: usize, rings: usize, ring_credits: u32) -> Self {
        let slots = |count| (0..count).map(|_| JobSlot::default()).collect();
        let queues = (0..4).map(|_| QueueSlot::default()).collect();
        let rings = (0..rings).map(|_| RingSlot::default()).collect();
        let limits = Limits { ring_credits, job_timeout: TIMEOUT };
        Self {
            scheduler: Scheduler::new(slots(jobs), queues, rings, limits),
            now: Timestamp::default(),
            next: 0,
            running: vec![],
            resets: vec![],
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
        let (job, _) = self.submit_spec(queue, JobSpec { cost: 1, dependencies: 0, restartable: false }).unwrap();
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
                Action::ResetRing { ring, .. } => self.resets.push(ring),
                Action::GiveUp => self.gave_up = true,
                Action::Run { job, ring, seqno } => {
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

    fn running(&self) -> Vec<u32> {
        self.running.iter().map(|(.., job)| *job).collect()
    }
}

#[test]
fn jobs_of_a_queue_run_in_order_and_queues_take_turns() {
    let mut bench = Bench::new(16, 1, 1);
    let (a, b) = (bench.queue(0), bench.queue(0));
    let jobs: Vec<u32> = [a, a, a, b, b].into_iter().map(|queue| bench.submit(queue)).collect();
    let mut order = vec![];
    while let Some(job) = bench.running().first() {
        order.push(*job);
        bench.complete(0);
    }
    assert_eq!(order, [jobs[0], jobs[1], jobs[3], jobs[2], jobs[4]]);
    assert_eq!(bench.released.len(), 5);
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn higher_priority_goes_first() {
    let mut bench = Bench::new(16, 1, 1);
    let low = bench.scheduler.open_queue(RingIndex(0), Priority::Low).unwrap();
    let high = bench.scheduler.open_queue(RingIndex(0), Priority::High).unwrap();
    let (first, second, urgent) = (bench.submit(low), bench.submit(low), bench.submit(high));
    bench.complete(0);
    assert_eq!(bench.running(), [urgent]);
    bench.complete(0);
    assert_eq!(bench.running(), [second]);
    assert_eq!(bench.signalled[&first], Ok(()));
}

#[test]
fn a_job_waits_for_its_dependencies_and_holds_its_queue() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let spec = JobSpec { cost: 1, dependencies: 2, restartable: false };
    let (waiting, handle) = bench.submit_spec(queue, spec).unwrap();
    let behind = bench.submit(queue);
    assert!(bench.running.is_empty());
    bench.scheduler.dependency_done(handle, Ok(()));
    bench.drain();
    assert!(bench.running.is_empty());
    bench.scheduler.dependency_done(handle, Ok(()));
    bench.drain();
    assert_eq!(bench.running(), [waiting, behind]);
}

#[test]
fn a_failed_dependency_cancels_the_job_but_not_the_queue() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let spec = JobSpec { cost: 1, dependencies: 1, restartable: false };
    let (canceled, handle) = bench.submit_spec(queue, spec).unwrap();
    let behind = bench.submit(queue);
    bench.scheduler.dependency_done(handle, Err(FenceError::Guilty));
    bench.drain();
    assert_eq!(bench.signalled[&canceled], Err(FenceError::Canceled));
    assert_eq!(bench.running(), [behind]);
}

#[test]
fn sched_4_an_overdue_job_is_guilty_and_restartable_innocents_run_again() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let guilty = bench.submit(queue);
    let spec = |restartable| JobSpec { cost: 1, dependencies: 0, restartable };
    let (innocent, _) = bench.submit_spec(queue, spec(false)).unwrap();
    let (again, _) = bench.submit_spec(queue, spec(true)).unwrap();
    bench.drain();
    bench.pass(Duration::from_nanos(99_999_999));
    assert!(bench.resets.is_empty());
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.resets, [RingIndex(0)]);
    assert!(bench.signalled.is_empty(), "nothing is blamed before the reset");
    bench.running.clear();
    bench.scheduler.reset_done(RingIndex(0), true);
    bench.drain();
    assert_eq!(bench.signalled[&guilty], Err(FenceError::Guilty));
    assert_eq!(bench.signalled[&innocent], Err(FenceError::Innocent));
    assert_eq!(bench.running(), [again]);
    bench.complete(0);
    assert_eq!(bench.signalled[&again], Ok(()));
    assert_eq!(bench.released.len(), 3);
}

#[test]
fn sched_4_a_late_completion_is_honoured_and_is_no_hang() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let slow = bench.submit(queue);
    let (ring, seqno, _) = bench.running[0];
    bench.now = bench.now.plus(TIMEOUT);
    bench.scheduler.tick(bench.now);
    // The completion arrives before the shell has begun the reset.
    bench.scheduler.hw_done(ring, seqno, bench.now);
    bench.drain();
    assert_eq!(bench.signalled[&slow], Ok(()));
    assert!(bench.resets.is_empty());
}

#[test]
fn a_job_that_completes_while_the_reset_runs_is_not_blamed_nor_is_the_next() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let slow = bench.submit(queue);
    let next = bench.submit(queue);
    bench.pass(TIMEOUT);
    assert_eq!(bench.resets.len(), 1);
    bench.complete(0);
    bench.scheduler.reset_done(RingIndex(0), true);
    bench.drain();
    assert_eq!(bench.signalled[&slow], Ok(()));
    assert_eq!(bench.signalled[&next], Err(FenceError::Innocent));
}

#[test]
fn a_fault_leads_to_a_reset_and_a_failed_reset_to_giving_up() {
    let mut bench = Bench::new(16, 2, 8);
    let (broken, healthy) = (bench.queue(0), bench.queue(1));
    let victim = bench.submit(broken);
    let fine = bench.submit(healthy);
    bench.scheduler.fault(RingIndex(0), Seqno::ZERO);
    bench.drain();
    assert_eq!(bench.resets, [RingIndex(0)]);
    bench.scheduler.reset_done(RingIndex(0), false);
    bench.drain();
    assert!(bench.gave_up);
    bench.complete(1);
    assert_eq!(bench.signalled[&fine], Ok(()), "the other ring is not touched");
    bench.scheduler.stop(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.signalled[&victim], Err(FenceError::Lost));
}

#[test]
fn fence_2_stop_signals_everything_and_late_commits_too() {
    let mut bench = Bench::new(16, 1, 1);
    let queue = bench.queue(0);
    let (running, queued) = (bench.submit(queue), bench.submit(queue));
    let spec = JobSpec { cost: 1, dependencies: 1, restartable: false };
    let late = bench.scheduler.reserve(queue, spec).unwrap();
    bench.scheduler.stop(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(running, Err(FenceError::Lost)), (queued, Err(FenceError::Lost))]));
    assert_eq!(bench.scheduler.reserve(queue, spec).unwrap_err(), SubmitError::Stopped(FenceError::Lost));
    bench.scheduler.commit(late, 99, 99);
    bench.drain();
    assert_eq!(bench.signalled[&99], Err(FenceError::Lost));
    // SCHED-2: what the hardware may still read stays owned until it is cut off.
    assert!(!bench.released.contains(&running));
    assert!(bench.released.contains(&queued));
    bench.scheduler.hardware_gone();
    bench.drain();
    assert!(bench.released.contains(&running));
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn a_killed_queue_lives_until_its_job_on_the_ring_is_done() {
    let mut bench = Bench::new(16, 1, 1);
    let queue = bench.queue(0);
    let (running, queued) = (bench.submit(queue), bench.submit(queue));
    bench.scheduler.kill_queue(queue);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(queued, Err(FenceError::Canceled))]));
    let spec = JobSpec { cost: 1, dependencies: 0, restartable: false };
    assert_eq!(bench.scheduler.reserve(queue, spec).unwrap_err(), SubmitError::StaleQueue);
    bench.complete(0);
    assert_eq!(bench.signalled[&running], Ok(()));
    // All four slots are free again, and the old handle is stale.
    for _ in 0..4 {
        bench.queue(0);
    }
    assert_eq!(bench.scheduler.reserve(queue, spec).unwrap_err(), SubmitError::StaleQueue);
}

#[test]
fn numbers_that_were_never_issued_complete_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let (ring, seqno, _) = bench.running[0];
    bench.scheduler.hw_done(ring, seqno.next(), bench.now);
    bench.scheduler.hw_done(RingIndex(7), seqno, bench.now);
    bench.drain();
    assert!(bench.signalled.is_empty());
}

#[test]
fn too_much_is_refused_and_leaves_nothing_behind() {
    let mut bench = Bench::new(2, 1, 4);
    let queue = bench.queue(0);
    let spec = |cost| JobSpec { cost, dependencies: 1, restartable: false };
    assert_eq!(bench.scheduler.reserve(queue, spec(5)).unwrap_err(), SubmitError::TooLarge);
    let first = bench.scheduler.reserve(queue, spec(1)).unwrap();
    let second = bench.scheduler.reserve(queue, spec(1)).unwrap();
    assert_eq!(bench.scheduler.reserve(queue, spec(1)).unwrap_err(), SubmitError::Full);
    bench.scheduler.cancel(first);
    bench.scheduler.cancel(second);
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[derive(Debug, Clone)]
enum Event {
    Submit { queue: usize, cost: u32, dependencies: u32, restartable: bool },
    Dependency { job: usize, failed: bool },
    Complete { ring: u8 },
    Fault { ring: u8 },
    Pass { millis: u64 },
    ResetDone { succeeded: bool },
    Kill { queue: usize },
    Stop,
    HardwareGone,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3usize, 1..4u32, 0..3u32, any::<bool>())
            .prop_map(|(queue, cost, dependencies, restartable)| Event::Submit { queue, cost, dependencies, restartable }),
        6 => (0..40usize, prop::bool::weighted(0.2)).prop_map(|(job, failed)| Event::Dependency { job, failed }),
        8 => (0..2u8).prop_map(|ring| Event::Complete { ring }),
        1 => (0..2u8).prop_map(|ring| Event::Fault { ring }),
        2 => (0..150u64).prop_map(|millis| Event::Pass { millis }),
        3 => prop::bool::weighted(0.9).prop_map(|succeeded| Event::ResetDone { succeeded }),
        1 => (0..3usize).prop_map(|queue| Event::Kill { queue }),
        1 => Just(Event::Stop),
        1 => Just(Event::HardwareGone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// FENCE-1, SCHED-1, SCHED-2: whatever happens, in any order, each fence signals exactly once (`drain` asserts "at
    /// most"), payloads are released after that, and at the end nothing is left.
    #[test]
    fn every_fence_signals_once_and_nothing_leaks(events in prop::collection::vec(event(), 1..120)) {
        let mut bench = Bench::new(12, 2, 4);
        let queues = [bench.queue(0), bench.queue(1), bench.queue(0)];
        let mut jobs = vec![];
        for event in events {
            match event {
                Event::Submit { queue, cost, dependencies, restartable } => {
                    let spec = JobSpec { cost, dependencies, restartable };
                    jobs.extend(bench.submit_spec(queues[queue], spec).ok());
                }
                Event::Dependency { job, failed } => {
                    if let Some((_, handle)) = jobs.get(job) {
                        let result = if failed { Err(FenceError::Lost) } else { Ok(()) };
                        bench.scheduler.dependency_done(*handle, result);
                    }
                }
                Event::Complete { ring } => {
                    if bench.running.iter().any(|(on, ..)| *on == RingIndex(ring)) {
                        bench.complete(ring);
                    }
                }
                Event::Fault { ring } => {
                    let completed = bench.scheduler.rings[usize::from(ring)].completed;
                    bench.scheduler.fault(RingIndex(ring), completed);
                }
                Event::Pass { millis } => bench.pass(Duration::from_millis(millis)),
                Event::ResetDone { succeeded } => {
                    if let Some(ring) = bench.resets.pop() {
                        bench.running.retain(|(on, ..)| *on != ring);
                        bench.scheduler.reset_done(ring, succeeded);
                    }
                }
                Event::Kill { queue } => bench.scheduler.kill_queue(queues[queue]),
                Event::Stop => bench.scheduler.stop(FenceError::Lost),
                Event::HardwareGone => bench.scheduler.hardware_gone(),
            }
            bench.drain();
            let on_ring: u32 = bench.scheduler.jobs.iter().filter(|job| job.state == slots::State::Running)
                .map(|job| job.cost).sum();
            let free: u32 = bench.scheduler.rings.iter().map(|ring| ring.credits).sum();
            prop_assert_eq!(on_ring + free, 8, "credits are neither lost nor made");
        }
        bench.scheduler.stop(FenceError::Lost);
        bench.drain();
        prop_assert_eq!(bench.signalled.len(), jobs.len());
        bench.scheduler.hardware_gone();
        bench.drain();
        prop_assert_eq!(bench.released.len(), jobs.len());
        prop_assert_eq!(bench.scheduler.job_count(), 0);
        for (_, handle) in jobs {
            prop_assert!(bench.scheduler.payload(handle).is_none(), "a handle outlived its job");
        }
    }
}
