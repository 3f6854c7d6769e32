//! A machine for the tests: one slot, one bus, and the means to pull cards.
#![allow(dead_code)] // each test file uses its own part
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

pub(crate) mod bound;
pub(crate) mod forward;
pub(crate) mod interposer;

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat::core::recovery::Budget;
use lifeboat::{Bus, CallError, Counts, Event, Fence, Policy, Priority, Subscription, UnplugReport};
use lifeboat_gpu::{Card, Config, Slot};
use lifeboat_lb1_hosted::command::{Copy, Fill, GpuVa, Work};
use lifeboat_lb1_hosted::{Buffer, Context, Device, Handle, Placement, Queue, Submission};
use lifeboat_sync::lint;

/// Longer than anything in these tests takes; a wait that reaches it has hung.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Long enough for the slowest job here, short enough to wait for.
pub(crate) const JOB_TIMEOUT: Duration = Duration::from_millis(300);
/// How long an unplug waits for sections.
pub(crate) const DRAIN_LIMIT: Duration = Duration::from_millis(200);

pub(crate) struct Machine {
    pub(crate) slot: Arc<Slot>,
    bus: Bus,
    // Under a lock, so that threads of a test can share the machine.
    events: Mutex<Subscription>,
    cards: Vec<Arc<Card>>,
}

impl Machine {
    /// A machine with a card in its slot.
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), JOB_TIMEOUT)
    }

    /// The same, with such a card, and with so much time for each job.
    pub(crate) fn with(config: Config, job_timeout: Duration) -> Self {
        let slot = Slot::new("0000:01:00.0");
        let mut bus = Bus::new(
            lifeboat_lb1_hosted::module(),
            Policy {
                job_timeout,
                drain_limit: DRAIN_LIMIT,
                // However often it fails: what becomes of one that fails too often is `wedge.rs`'s.
                recovery: Budget { attempts: u32::MAX, ..Budget::default() },
                ..Policy::default()
            },
        );
        let events = Mutex::new(bus.subscribe());
        bus.attach(&slot).unwrap();
        let mut machine = Self { slot, bus, events, cards: vec![] };
        machine.insert(Card::new(config).unwrap());
        machine
    }

    /// Plugs in a new card.
    pub(crate) fn plug(&mut self) -> Arc<Card> {
        let card = Card::new(Config::default()).unwrap();
        self.insert(card.clone());
        card
    }

    /// Plugs in this card.
    pub(crate) fn insert(&mut self, card: Arc<Card>) {
        self.slot.insert(card.clone()).unwrap();
        self.cards.push(card);
    }

    pub(crate) fn card(&self) -> &Arc<Card> {
        self.cards.last().unwrap()
    }

    /// What happened next; dumps are `dump.rs`'s.
    pub(crate) fn next_event(&self) -> Event {
        next_event(&self.events.lock().unwrap())
    }

    /// Waits for a device to appear.
    pub(crate) fn added(&self) -> Device {
        match self.next_event() {
            Event::Added { minor, .. } => self.bus.device(minor).expect("the device that was announced"),
            other => panic!("expected a device, got {other:?}"),
        }
    }

    /// Waits for a device to be gone.
    pub(crate) fn removed(&self) -> Arc<UnplugReport> {
        match self.next_event() {
            Event::Removed { report } => report,
            other => panic!("expected a removal, got {other:?}"),
        }
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn into_bus(self) -> Bus {
        self.bus
    }

    /// Ends everything and checks that the driver made no mistake and left nothing behind. Returns the events that nobody
    /// has asked for.
    pub(crate) fn finish(self) -> Vec<Event> {
        let result = self.bus.shutdown();
        assert!(result.is_ok(), "{}", result.unwrap_err());
        for card in self.cards {
            let violations = card.witness().violations();
            assert!(violations.is_empty(), "{violations:?}");
        }
        assert_lint_is_silent();
        let events = self.events.lock().unwrap();
        events.try_iter().filter(|event| !matches!(event, Event::Dumped { .. })).collect()
    }
}

/// Waits for what happens next on a bus, apart from dumps.
pub(crate) fn next_event(events: &Receiver<Event>) -> Event {
    loop {
        match events.recv_timeout(LONG).expect("an event") {
            Event::Dumped { .. } => {}
            other => return other,
        }
    }
}

/// Nothing that ran in this process so far could deadlock, as far as the lint can see.
pub(crate) fn assert_lint_is_silent() {
    let reports = lint::take_reports();
    assert!(reports.is_empty(), "{}", reports.iter().map(ToString::to_string).collect::<String>());
}

/// A client with one context and a buffer in each kind of memory, both mapped.
pub(crate) struct Client {
    /// One on each ring.
    pub(crate) queues: [Queue; 2],
    pub(crate) context: Context,
    pub(crate) host: Buffer,
    pub(crate) vram: Buffer,
    pub(crate) host_va: GpuVa,
    pub(crate) vram_va: GpuVa,
    pub(crate) handle: Handle,
}

pub(crate) const BYTES: u32 = 1 << 16;

impl Client {
    pub(crate) fn new(device: &Device) -> Self {
        let handle = device.open().unwrap();
        let context = handle.create_context().unwrap();
        let queue = |ring| handle.create_queue(&context, ring, Priority::Normal).unwrap();
        let queues = [queue(0), queue(1)];
        let host = handle.create_buffer(Placement::Host, BYTES.into()).unwrap();
        let vram = handle.create_buffer(Placement::Vram, BYTES.into()).unwrap();
        let host_va = handle.map(&context, &host).unwrap();
        let vram_va = handle.map(&context, &vram).unwrap();
        Self { queues, context, host, vram, host_va, vram_va, handle }
    }

    pub(crate) fn submit(&self, ring: usize, commands: &[Work], after: &[Fence]) -> Fence {
        self.try_submit(ring, commands, after).unwrap()
    }

    pub(crate) fn try_submit(&self, ring: usize, commands: &[Work], after: &[Fence]) -> Result<Fence, CallError> {
        let submission = Submission { after, restartable: true, ..Submission::new(&self.queues[ring], commands) };
        self.handle.submit(&submission)
    }

    /// Shows a buffer as a picture of 64 by 64 pixels.
    pub(crate) fn show(&self, picture: &Buffer) -> Result<(), CallError> {
        self.handle.set_mode(Some((picture, self.handle.resources().mode(64, 64))))
    }

    pub(crate) fn fill(&self, pattern: u32) -> Work {
        Work::Fill(Fill { dst: self.vram_va, bytes: BYTES.into(), pattern })
    }

    pub(crate) fn download(&self) -> Work {
        Work::Copy(Copy::linear(self.host_va, self.vram_va, BYTES))
    }

    pub(crate) fn host_word(&self) -> u32 {
        let mut word = [0; 4];
        self.host.read(u64::from(BYTES) - 4, &mut word).unwrap();
        u32::from_le_bytes(word)
    }
}

/// What of the module exists, as a sorted list for comparing.
pub(crate) fn counts(counts: &Counts) -> Vec<(String, usize)> {
    counts.iter().map(|(kind, count)| (kind.to_string(), *count)).collect()
}
