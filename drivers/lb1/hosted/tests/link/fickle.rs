//! A slot that answers by address: its link can be down, and what answers there can be another device.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lifeboat::core::vitals::Watch;
use lifeboat::{Bus, Event, Minor, Policy, Subscription, UnplugReport};
use lifeboat_gpu::{Card, Config};
use lifeboat_pci::{ALL_ONES, Bar, BusError, ConfigSpace, Function, Slot, SlotEvent, SlotWatcher};

use crate::machine::bound::options;
use crate::machine::forward::forward;

/// What the slot does to accesses.
#[derive(Default)]
pub(crate) struct Mood {
    /// Registers read all-ones, and writes are lost.
    pub(crate) down: AtomicBool,
    /// What the id in configuration space reads while the link is down; 0 for all-ones.
    pub(crate) down_id: AtomicU32,
    /// What the id reads while the link is up, if not 0.
    pub(crate) id: AtomicU32,
    /// A register and what it reads, if the value is not 0.
    pub(crate) register: (AtomicU32, AtomicU32),
    /// The sizes of the BARs, if not 0.
    pub(crate) sizes: [AtomicU32; 3],
    /// How often `Bar::backing` fails from now on, and why.
    pub(crate) backing: Mutex<(usize, Option<BusError>)>,
    /// How often a binding was begun.
    pub(crate) begun: AtomicUsize,
}

pub(crate) struct Fickle {
    inner: Mutex<Arc<lifeboat_gpu::Slot>>,
    pub(crate) mood: Arc<Mood>,
    watchers: Mutex<Vec<SlotWatcher>>,
}

struct FickleFunction {
    inner: Arc<dyn Function>,
    mood: Arc<Mood>,
}
struct FickleBar(u8, Arc<dyn Bar + Send + Sync>, Arc<Mood>);
struct FickleConfig(Arc<dyn ConfigSpace + Send + Sync>, Arc<Mood>);

impl Mood {
    pub(crate) fn set_register(&self, register: u64, value: u32) {
        self.register.0.store(u32::try_from(register).unwrap(), SeqCst);
        self.register.1.store(value, SeqCst);
    }

    fn is_down(&self) -> bool {
        self.down.load(SeqCst)
    }
}

impl Bar for FickleBar {
    fn size(&self) -> u64 {
        match self.2.sizes[usize::from(self.0)].load(SeqCst) {
            0 => self.1.size(),
            size => size.into(),
        }
    }

    fn read32(&self, at: u64) -> Result<u32, BusError> {
        let value = self.1.read32(at)?;
        let (register, other) = (self.2.register.0.load(SeqCst), self.2.register.1.load(SeqCst));
        Ok(match () {
            () if self.2.is_down() => ALL_ONES,
            () if self.0 == 0 && other != 0 && at == u64::from(register) => other,
            () => value,
        })
    }

    fn write32(&self, at: u64, value: u32) -> Result<(), BusError> {
        if self.2.is_down() { Ok(()) } else { self.1.write32(at, value) }
    }

    fn read_bytes(&self, at: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.1.read_bytes(at, into)
    }

    fn write_bytes(&self, at: u64, from: &[u8]) -> Result<(), BusError> {
        self.1.write_bytes(at, from)
    }

    fn backing(&self, at: u64, bytes: u64) -> Result<(std::fs::File, u64), BusError> {
        let mut backing = self.2.backing.lock().unwrap();
        if let (times @ 1.., Some(error)) = *backing {
            backing.0 = times - 1;
            return Err(error);
        }
        self.1.backing(at, bytes)
    }
}

impl FickleConfig {
    fn value(&self, at: u16, value: u32) -> u32 {
        match (at, self.1.is_down(), self.1.down_id.load(SeqCst), self.1.id.load(SeqCst)) {
            (0, true, id @ 1.., _) | (0, false, _, id @ 1..) => id,
            (_, true, ..) => ALL_ONES,
            (_, false, ..) => value,
        }
    }
}

impl ConfigSpace for FickleConfig {
    fn read32(&self, at: u16) -> Result<u32, BusError> {
        Ok(self.value(at, self.0.read32(at)?))
    }

    fn read16(&self, at: u16) -> Result<u16, BusError> {
        let [low, high, ..] = self.value(at, self.0.read16(at)?.into()).to_le_bytes();
        Ok(u16::from_le_bytes([low, high]))
    }

    fn write16(&self, at: u16, value: u16) -> Result<(), BusError> {
        if self.1.is_down() { Ok(()) } else { self.0.write16(at, value) }
    }

    fn write32(&self, at: u16, value: u32) -> Result<(), BusError> {
        if self.1.is_down() { Ok(()) } else { self.0.write32(at, value) }
    }
}

impl Function for FickleFunction {
    forward!(location dma_map dma_unmap irq_enable irq_disable release);

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        Arc::new(FickleConfig(self.inner.config(), self.mood.clone()))
    }

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        Ok(Arc::new(FickleBar(index, self.inner.bar(index)?, self.mood.clone())))
    }
}

impl Slot for Fickle {
    fn location(&self) -> &'static str {
        "0000:01:00.0"
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        self.mood.begun.fetch_add(1, SeqCst);
        let function = self.inner.lock().unwrap().function()?;
        Some(Arc::new(FickleFunction { inner: function, mood: self.mood.clone() }))
    }

    fn watch(&self, watcher: SlotWatcher) {
        watcher(SlotEvent::Present);
        self.watchers.lock().unwrap().push(watcher);
    }
}

impl Fickle {
    pub(crate) fn tell(&self, event: SlotEvent) {
        self.watchers.lock().unwrap().iter().for_each(|watcher| watcher(event));
    }

    pub(crate) fn begun(&self) -> usize {
        self.mood.begun.load(SeqCst)
    }

    /// Puts another card behind the same address. Nobody is told.
    pub(crate) fn swap(&self, config: Config) {
        let other = lifeboat_gpu::Slot::new("0000:01:00.0");
        other.insert(Card::new(config).unwrap()).unwrap();
        *self.inner.lock().unwrap() = other;
    }

    pub(crate) fn down(&self) {
        self.mood.down.store(true, SeqCst);
    }

    pub(crate) fn up(&self) {
        self.mood.down.store(false, SeqCst);
    }
}

/// A bus with such a slot.
pub(crate) struct Rig {
    pub(crate) bus: Bus,
    pub(crate) events: Subscription,
    pub(crate) slot: Arc<Fickle>,
}

pub(crate) fn watched() -> Policy {
    Policy { watch: Watch { period: Duration::from_millis(50), stalls: 3 }, ..options() }
}

impl Rig {
    /// With a device that was bound.
    pub(crate) fn new(policy: Policy) -> Self {
        let rig = Self::in_mood(policy, Mood::default());
        rig.added();
        rig
    }

    /// With a device that finds such a slot.
    pub(crate) fn in_mood(policy: Policy, mood: Mood) -> Self {
        let inner = lifeboat_gpu::Slot::new("0000:01:00.0");
        inner.insert(Card::new(Config::default()).unwrap()).unwrap();
        let slot = Arc::new(Fickle { inner: Mutex::new(inner), mood: Arc::new(mood), watchers: Mutex::default() });
        let mut bus = Bus::new(lifeboat_lb1_hosted::module(), policy);
        let events = bus.subscribe();
        bus.attach(&slot).unwrap();
        Self { bus, events, slot }
    }

    /// What happens next, apart from dumps.
    pub(crate) fn event(&self) -> Event {
        crate::machine::next_event(&self.events)
    }

    /// The number of the device that is added next.
    pub(crate) fn added(&self) -> Minor {
        match self.event() {
            Event::Added { minor, .. } => minor,
            other => panic!("expected a device, got {other:?}"),
        }
    }

    pub(crate) fn removed(&self) -> Arc<UnplugReport> {
        match self.event() {
            Event::Removed { report } => report,
            other => panic!("expected a removal, got {other:?}"),
        }
    }

    /// Asserts that nothing more is told for so long.
    pub(crate) fn quiet(&self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            assert!(matches!(event, Event::Dumped { .. }), "{event:?}");
        }
    }

    pub(crate) fn finish(self) {
        self.bus.shutdown().unwrap();
        crate::machine::assert_lint_is_silent();
    }
}
