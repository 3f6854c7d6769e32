//! Firmware that holds something of queues, and lets go of it in time, late or never (SCHED-12).
#![cfg(not(shuttle))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use lifeboat::core::fence::{FenceError, Seqno};
use lifeboat::sched::{
    AtRest, Events, Firmware, LetGo, Limits, NewJob, Options, Queue, QueueId, RingIndex, Rings, Scheduler,
};
use lifeboat::{Priority, WaitError};

/// Longer than anything in these tests takes; a wait that reaches it has hung.
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);
const RING: RingIndex = RingIndex(0);

type Job = &'static str;

/// What the firmware does that is to let go of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// It lets go at once.
    AtOnce,
    /// It lets go when the test has it.
    Later,
    /// It lets go at once, and its message is lost: a last look finds that.
    Mutely,
    /// It cannot be asked.
    Dead,
}

struct Device {
    does: Does,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the firmware reads: the queue's memory, until it has let go or was reset.
    reads: Vec<Weak<Job>>,
    asked: Vec<(QueueId, bool)>,
    resets: usize,
    device_resets: usize,
    on_ring: Vec<Seqno>,
    at_rest: bool,
    given_up: bool,
}

struct Firm {
    device: Arc<Device>,
    events: Events<Job>,
}

impl Device {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self { does, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Resets of the ring, and questions.
    fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.resets, state.asked.len())
    }

    /// It reads nothing any more. What it read must have been there until now.
    fn reads_nothing(&self) {
        let reads = std::mem::take(&mut self.state().reads);
        assert!(reads.iter().all(|memory| memory.strong_count() > 0), "released while the firmware read it");
    }

    fn open(self: &Arc<Self>, limits: Limits) -> Scheduler<Job> {
        let options = Options { limits, ..Options::default() };
        let open = |events: &Events<Job>| Ok::<_, Infallible>(Firm { device: self.clone(), events: events.clone() });
        Scheduler::open(&options, open).unwrap()
    }

    /// A queue that the firmware is told of, and what it keeps alive.
    fn tell(&self, scheduler: &Scheduler<Job>) -> (Queue<Job>, Weak<Job>) {
        let queue = scheduler.queue(RING, Priority::Normal).unwrap();
        let memory: Arc<Job> = Arc::new("memory");
        let weak = Arc::downgrade(&memory);
        queue.firmware_holds(memory).unwrap();
        self.state().reads.push(weak.clone());
        (queue, weak)
    }
}

impl Rings for Firm {
    type Job = Job;
    type Error = Infallible;

    fn run(&mut self, _ring: RingIndex, _job: &Arc<Job>, seqno: Seqno) -> Result<(), Infallible> {
        self.device.state().on_ring.push(seqno);
        Ok(())
    }

    fn let_go(&mut self, ring: RingIndex, queue: QueueId, kept: &Arc<Job>, last_look: bool) -> LetGo {
        assert_eq!((ring, **kept), (RING, "memory"));
        self.device.state().asked.push((queue, last_look));
        match self.device.does {
            Does::AtOnce => {
                self.device.reads_nothing();
                LetGo::Done
            }
            Does::Mutely => {
                self.device.reads_nothing();
                if last_look { LetGo::Done } else { LetGo::Asked }
            }
            Does::Later => LetGo::Asked,
            Does::Dead => LetGo::Cannot,
        }
    }

    fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Infallible> {
        self.device.reads_nothing();
        self.device.state().resets += 1;
        Ok(())
    }

    fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Infallible> {
        self.device.reads_nothing();
        self.device.state().device_resets += 1;
        Ok(())
    }

    fn progress(&mut self, _ring: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {
        self.device.state().given_up = true;
        self.events.lose(FenceError::Lost);
    }

    fn quiesce(&mut self) -> AtRest {
        if self.device.state().at_rest {
            return AtRest::NotYet;
        }
        self.device.reads_nothing();
        AtRest::Yes
    }
}

/// A firmware has so long to answer; jobs have for ever.
fn limits(let_go: Duration) -> Limits {
    Limits { let_go, ..Limits::new(4, Duration::MAX) }
}

fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < LONG, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_gone(memory: &Weak<Job>) -> bool {
    memory.strong_count() == 0
}

#[test]
fn sched_12_a_firmware_that_lets_go_at_once_delays_nothing() {
    let device = Device::new(Does::AtOnce);
    let scheduler = device.open(limits(Duration::MAX));
    let (queue, memory) = device.tell(&scheduler);
    let id = queue.id();
    drop(queue);
    until(|| is_gone(&memory));
    assert_eq!(device.state().asked, [(id, false)]);
    assert!(scheduler.close(LONG));
}

/// The user's drop does not wait, and the memory does not go before the answer comes.
#[test]
fn sched_12_a_firmware_that_answers_late_is_waited_for_by_nobody() {
    let device = Device::new(Does::Later);
    let scheduler = device.open(limits(Duration::MAX));
    let (queue, memory) = device.tell(&scheduler);
    let id = queue.id();
    let fence = queue.submit(NewJob::new(Arc::new("a job"))).unwrap();
    until(|| !device.state().on_ring.is_empty());
    drop(queue);
    assert!(device.state().asked.is_empty(), "a job of it is on the ring");
    let seqno = device.state().on_ring[0];
    scheduler.events().hw_done(RING, seqno);
    fence.wait(LONG).unwrap();
    until(|| !device.state().asked.is_empty());
    // Others do not wait for it.
    let other = scheduler.queue(RING, Priority::Normal).unwrap();
    let fence = other.submit(NewJob::new(Arc::new("a job"))).unwrap();
    until(|| device.state().on_ring.len() == 2);
    let seqno = device.state().on_ring[1];
    scheduler.events().hw_done(RING, seqno);
    fence.wait(LONG).unwrap();
    assert!(!is_gone(&memory));
    device.reads_nothing();
    scheduler.events().firmware_let_go(id);
    until(|| is_gone(&memory));
    assert_eq!(device.counts(), (0, 1));
    assert!(scheduler.close(LONG));
}

#[test]
fn sched_12_a_last_look_finds_an_answer_whose_message_was_lost() {
    let device = Device::new(Does::Mutely);
    let scheduler = device.open(limits(SHORT));
    let (queue, memory) = device.tell(&scheduler);
    let id = queue.id();
    drop(queue);
    until(|| is_gone(&memory));
    assert_eq!(device.state().asked, [(id, false), (id, true)]);
    assert_eq!(device.state().resets, 0);
}

#[test]
fn sched_12_a_firmware_that_never_answers_is_reset() {
    for firmware in [Firmware::OfEachRing, Firmware::OfTheDevice] {
        for does in [Does::Later, Does::Dead] {
            let device = Device::new(does);
            let scheduler = device.open(Limits { firmware, ..limits(SHORT) });
            let (queue, memory) = device.tell(&scheduler);
            drop(queue);
            until(|| is_gone(&memory));
            let looks = if does == Does::Later { 2 } else { 1 };
            let expected = if firmware == Firmware::OfEachRing { (1, 0) } else { (0, 1) };
            let state = device.state();
            assert_eq!(((state.resets, state.device_resets), state.asked.len()), (expected, looks));
        }
    }
}

/// The queue is closed where its last fence signals: nothing may wait there.
#[test]
fn sched_12_and_1_a_queue_may_be_dropped_by_its_own_callback() {
    let device = Device::new(Does::Later);
    let scheduler = device.open(limits(Duration::MAX));
    let (queue, memory) = device.tell(&scheduler);
    let id = queue.id();
    let fence = queue.submit(NewJob::new(Arc::new("a job"))).unwrap();
    fence.on_signal(move |_| drop(queue));
    until(|| !device.state().on_ring.is_empty());
    let seqno = device.state().on_ring[0];
    scheduler.events().hw_done(RING, seqno);
    until(|| !device.state().asked.is_empty());
    device.reads_nothing();
    scheduler.events().firmware_let_go(id);
    until(|| is_gone(&memory));
}

/// Whatever was asked and not answered, a scheduler that ends asks no more: the hardware comes to rest instead.
#[test]
fn sched_12_and_1_a_scheduler_ends_although_its_firmware_says_nothing() {
    for closed in [false, true] {
        let device = Device::new(Does::Later);
        let scheduler = device.open(limits(Duration::MAX));
        let (queue, memory) = device.tell(&scheduler);
        let open = if closed {
            drop(queue);
            until(|| !device.state().asked.is_empty());
            None
        } else {
            Some(queue)
        };
        assert!(scheduler.close(LONG));
        until(|| is_gone(&memory));
        assert_eq!(device.counts(), (0, usize::from(closed)));
        if let Some(queue) = open {
            assert!(queue.firmware_holds(Arc::new("memory")).is_err(), "too late to tell a firmware");
        }
    }
}

/// After a loss somebody else sees to it that the device reads nothing, and says so later.
#[test]
fn sched_12_and_2_what_a_lost_firmware_may_read_stays_until_the_hardware_is_gone() {
    let device = Device::new(Does::Later);
    device.state().at_rest = true;
    let scheduler = device.open(limits(Duration::MAX));
    let (queue, memory) = device.tell(&scheduler);
    let (other, kept) = device.tell(&scheduler);
    let fence = queue.submit(NewJob::new(Arc::new("a job"))).unwrap();
    until(|| !device.state().on_ring.is_empty());
    drop(queue);
    scheduler.lose(FenceError::Lost);
    assert_eq!(fence.wait(LONG), Err(WaitError::Failed(FenceError::Lost)));
    assert!(scheduler.close(LONG));
    assert!(!is_gone(&memory) && !is_gone(&kept));
    device.reads_nothing();
    scheduler.hardware_gone();
    assert!(is_gone(&memory) && is_gone(&kept));
    drop(other);
}

/// Without that word its memory stays for ever, as a job's does.
#[test]
fn sched_12_and_2_what_nobody_has_cut_off_is_never_released() {
    let device = Device::new(Does::Later);
    device.state().at_rest = true;
    let scheduler = device.open(limits(Duration::MAX));
    let (queue, memory) = device.tell(&scheduler);
    drop(queue);
    assert!(scheduler.close(LONG));
    drop(scheduler);
    until(|| Arc::strong_count(&device) == 1);
    assert!(!is_gone(&memory));
}
