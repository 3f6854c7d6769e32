//! The base with a driver whose rings complete jobs in any order: two rings, one that reports in memory and one in a
//! register, and a device that can give up one job. No GPU subsystem, and no LB1.
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod aborts;
mod driver;
mod loss;
mod model;
mod order;

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::sched::{NewJob, Queue, RingIndex};
use lifeboat::{Base, Bus, Event, Fence, Module, Policy, Priority, Subscription, UnplugReport, WaitError};
use lifeboat_pci_model::{Card, Slot};

use crate::driver::{Job, Jobs, LONG, job};
use crate::model::{Behaviour, Engine, RINGS};

/// For jobs that are to be overdue soon.
const SOON: Duration = Duration::from_millis(50);
/// For jobs that are never to be overdue.
const NEVER: Duration = Duration::from_hours(1);

type Device = Arc<Base<Jobs>>;

/// A device on a bus.
struct Machine {
    slot: Arc<Slot>,
    card: Arc<Card<Engine>>,
    bus: Bus,
    events: Subscription,
    /// The memory of each job that was submitted, by tag.
    jobs: Mutex<Vec<Weak<Job>>>,
}

impl Machine {
    /// With a time limit for jobs that have none of their own.
    fn new(job_timeout: Duration) -> Self {
        let mut module = Module::new();
        module.register::<Jobs>(());
        let mut bus = Bus::new(module, Policy { job_timeout, extensions: 0, ..Policy::default() });
        let (slot, events) = (Slot::new("0000:03:00.0"), bus.subscribe());
        bus.attach(&slot).unwrap();
        let card = slot.insert(Card::new(0x7e57, 3, 0x1000, Engine::default()));
        Self { slot, card, bus, events, jobs: Mutex::default() }
    }

    fn behaving(job_timeout: Duration, behaviour: Behaviour) -> (Self, Device) {
        let machine = Self::new(job_timeout);
        let device = machine.added();
        machine.card.model().behave(behaviour);
        (machine, device)
    }

    fn event(&self) -> Event {
        loop {
            match self.events.recv_timeout(LONG).expect("an event") {
                Event::Dumped { .. } => {}
                event => return event,
            }
        }
    }

    fn added(&self) -> Device {
        match self.event() {
            Event::Added { minor, .. } => self.bus.device(minor).unwrap(),
            other => panic!("expected a device, got {other:?}"),
        }
    }

    fn removed(&self) -> Arc<UnplugReport> {
        match self.event() {
            Event::Removed { report } => report,
            other => panic!("expected a removal, got {other:?}"),
        }
    }

    /// A job of the next tag, and its tag.
    fn submit(&self, queue: &Queue<Job>, change: impl FnOnce(&mut NewJob<'static, Job>)) -> (u32, Fence) {
        let mut jobs = self.jobs.lock().unwrap();
        let tag = u32::try_from(jobs.len()).unwrap();
        let mut new = NewJob::new(job(tag));
        change(&mut new);
        jobs.push(Arc::downgrade(&new.job));
        (tag, queue.submit(new).unwrap())
    }

    fn plain(&self, queue: &Queue<Job>) -> (u32, Fence) {
        self.submit(queue, |_| {})
    }

    /// Waits until a ring has these jobs, in whatever order it was given them.
    fn wait_for(&self, ring: u8, tags: &[u32]) {
        until(&format!("ring {ring} has jobs {tags:?}"), || {
            let mut has = self.card.model().has(ring);
            has.sort_unstable();
            has == tags
        });
    }

    /// The device completes a job, whose memory it may have read until now (SCHED-2).
    fn complete(&self, tag: u32) {
        assert!(self.is_kept(tag), "job {tag} was released while the device had it");
        self.card.upstream(|engine, upstream| engine.complete(tag, upstream));
    }

    /// Whether the memory of a job still is there.
    fn is_kept(&self, tag: u32) -> bool {
        self.jobs.lock().unwrap()[tag as usize].strong_count() > 0
    }

    /// Every job's memory is released, nothing is left of the device, and its driver has made no mistake.
    fn finish(self) {
        let Self { bus, card, jobs, .. } = self;
        bus.shutdown().unwrap();
        for (tag, job) in jobs.lock().unwrap().iter().enumerate() {
            assert_eq!(job.strong_count(), 0, "job {tag} is kept");
        }
        assert_eq!(card.mistakes(), []);
    }
}

fn queue(device: &Device, ring: u8) -> Queue<Job> {
    device.scheduler().queue(RingIndex(ring), Priority::Normal).unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn ends(fence: &Fence, with: Result<(), FenceError>) {
    assert_eq!(fence.wait(LONG), with.map_err(WaitError::Failed));
}
