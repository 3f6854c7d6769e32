//! Devices that misbehave untidily: nonsense instead of ones, errors of the bus, slow answers, resets that change the
//! device, cards that are swapped.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::driver::DriverError;
use lifeboat::dump::Reason;
use lifeboat::{Bus, Event, Listeners, Policy, ProbeError};
use lifeboat_gpu::{Card, Config, Fault, Trigger};
use lifeboat_lb1::regs::{self, device_ctrl, device_status, ring_ctrl, ring_status};
use lifeboat_lb1_hosted::Device;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::{ALL_ONES, Bar, BusError, ConfigSpace, Function, Slot, SlotEvent, SlotWatcher};
use machine::LONG;
use machine::bound::{Bound, Hook, options, plugged};
use machine::forward::forward;
use machine::interposer::{Access, Interposer};

const WATCH: Watch = Watch { period: Duration::from_millis(20), stalls: 3 };

fn watched() -> (Policy, Listeners, Receiver<Loss>) {
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| {
        let _ = lost.send(loss);
    });
    (Policy { watch: WATCH, ..options() }, listeners, told)
}

/// What registers read, once it is switched on.
fn reads(on: &Arc<AtomicBool>, f: impl Fn(u64, u32) -> u32 + Send + Sync + 'static) -> Hook {
    let on = on.clone();
    Box::new(move |bar, _: &dyn Bar, at, access| match access {
        Access::Read(value) if bar == regs::REGISTER_BAR && on.load(SeqCst) => Some(f(at, value)),
        _ => None,
    })
}

#[test]
fn health_4_a_device_that_answers_nonsense_is_reported_also_if_nobody_uses_it() {
    let nonsense: [fn(u64, u32) -> u32; 4] = [
        |_, _| 0xbadf_1235,
        // Wrong by one bit.
        |at, value| if at == regs::LIVENESS { value ^ 1 } else { value },
        // Always the same, which may be right once.
        |at, value| if at == regs::LIVENESS { 0x1234_5678 } else { value },
        |at, value| if at == regs::ID { value ^ 0x8000_0000 } else { value.rotate_left(7) ^ 0x55 },
    ];
    for f in nonsense {
        let (options, listeners, told) = watched();
        let on = Arc::new(AtomicBool::new(false));
        let bound = Bound::heard(options, listeners, reads(&on, f));
        on.store(true, SeqCst);
        assert_eq!(told.recv_timeout(LONG), Ok(Loss::Nonsense));
        let dumps = bound.binding.take_dumps();
        assert_eq!(dumps.iter().map(|dump| dump.reason).collect::<Vec<_>>(), [Reason::Nonsense]);
        on.store(false, SeqCst);
        bound.finish();
    }
}

#[test]
fn health_4_nonsense_for_a_moment_is_forgiven() {
    let (options, listeners, told) = watched();
    let (on, looks) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU32::new(0)));
    let seen = looks.clone();
    // Two looks of three.
    let hook = reads(&on, move |at, value| {
        let bad = at == regs::LIVENESS && seen.fetch_add(1, SeqCst) % 3 != 0;
        value ^ u32::from(bad)
    });
    let bound = Bound::heard(options, listeners, hook);
    let began = looks.load(SeqCst);
    while looks.load(SeqCst) < began + 12 {
        thread::yield_now();
    }
    assert!(told.try_recv().is_err());
    bound.finish();
}

/// A card whose registers answer with errors, once they are to.
struct Disturbed {
    inner: Arc<dyn Function>,
    on: Arc<AtomicBool>,
}

struct DisturbedBar {
    inner: Arc<dyn Bar + Send + Sync>,
    on: Arc<AtomicBool>,
}

impl DisturbedBar {
    fn disturb(&self) -> Result<(), BusError> {
        if self.on.load(SeqCst) { Err(BusError::Unsupported) } else { Ok(()) }
    }
}

impl Bar for DisturbedBar {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read32(&self, at: u64) -> Result<u32, BusError> {
        self.disturb()?;
        self.inner.read32(at)
    }

    fn write32(&self, at: u64, value: u32) -> Result<(), BusError> {
        self.disturb()?;
        self.inner.write32(at, value)
    }

    fn read_bytes(&self, at: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.inner.read_bytes(at, into)
    }

    fn write_bytes(&self, at: u64, from: &[u8]) -> Result<(), BusError> {
        self.inner.write_bytes(at, from)
    }
}

impl Function for Disturbed {
    forward!(location config dma_map dma_unmap irq_enable irq_disable release);

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        Ok(Arc::new(DisturbedBar { inner: self.inner.bar(index)?, on: self.on.clone() }))
    }
}

#[test]
fn health_4_errors_of_the_bus_count_as_nonsense_does() {
    let (_card, slot) = plugged();
    let on = Arc::new(AtomicBool::new(false));
    let function: Arc<dyn Function> = Arc::new(Disturbed { inner: slot.function().unwrap(), on: on.clone() });
    let (options, listeners, told) = watched();
    let module = lifeboat_lb1_hosted::module();
    let binding = module.probe(&function, &options, listeners).unwrap();
    on.store(true, SeqCst);
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::Nonsense));
    on.store(false, SeqCst);
    drop(binding);
    module.unload().unwrap();
}

/// A card whose BAR of registers is one byte short.
struct Short {
    inner: Arc<dyn Function>,
    accesses: Arc<AtomicU32>,
}

struct ShortBar {
    inner: Arc<dyn Bar + Send + Sync>,
    accesses: Arc<AtomicU32>,
}

impl Bar for ShortBar {
    fn size(&self) -> u64 {
        self.inner.size() - 1
    }

    fn read32(&self, at: u64) -> Result<u32, BusError> {
        self.accesses.fetch_add(1, SeqCst);
        self.inner.read32(at)
    }

    fn write32(&self, at: u64, value: u32) -> Result<(), BusError> {
        self.accesses.fetch_add(1, SeqCst);
        self.inner.write32(at, value)
    }

    fn read_bytes(&self, at: u64, into: &mut [u8]) -> Result<(), BusError> {
        self.inner.read_bytes(at, into)
    }

    fn write_bytes(&self, at: u64, from: &[u8]) -> Result<(), BusError> {
        self.inner.write_bytes(at, from)
    }
}

impl Function for Short {
    forward!(location config dma_map dma_unmap irq_enable irq_disable release);

    fn bar(&self, index: u8) -> Result<Arc<dyn Bar + Send + Sync>, BusError> {
        let inner = self.inner.bar(index)?;
        if index != regs::REGISTER_BAR {
            return Ok(inner);
        }
        Ok(Arc::new(ShortBar { inner, accesses: self.accesses.clone() }))
    }
}

#[test]
fn a_bar_that_is_shorter_than_its_driver_needs_is_refused_and_not_touched() {
    let (_card, slot) = plugged();
    let accesses = Arc::new(AtomicU32::new(0));
    let function: Arc<dyn Function> = Arc::new(Short { inner: slot.function().unwrap(), accesses: accesses.clone() });
    let module = lifeboat_lb1_hosted::module();
    let refused = module.probe(&function, &options(), Listeners::none()).unwrap_err();
    assert!(matches!(refused, ProbeError::Driver(DriverError::Impossible(_))), "{refused}");
    assert_eq!(accesses.load(SeqCst), 0);
    module.unload().unwrap();
}

/// One register read that takes longer than a reset may must not make a failure of a reset that took one millisecond.
#[test]
fn sched_4_a_slow_answer_is_not_the_last_look_at_a_reset() {
    const SLOW: Duration = Duration::from_millis(2 * regs::RESET_MAX_MS + 50);
    let (options, listeners, told) = watched();
    let options = Policy { watch: Watch::DEFAULT, ..options };
    let armed = Arc::new(AtomicBool::new(false));
    let (ring, device) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let is_armed = armed.clone();
    let bound = Bound::heard(
        options,
        listeners,
        Box::new(move |_, _: &dyn Bar, at, access| {
            let late = |sampled| {
                thread::sleep(SLOW);
                Some(sampled)
            };
            match access {
                Access::Write(ring_ctrl::RESET) if at == regs::ring(0, regs::RING_CTRL) => {
                    ring.store(is_armed.load(SeqCst), SeqCst);
                    None
                }
                Access::Write(device_ctrl::RESET) if at == regs::DEVICE_CTRL => {
                    device.store(is_armed.load(SeqCst), SeqCst);
                    None
                }
                Access::Read(_) if at == regs::ring(0, regs::RING_STATUS) && ring.swap(false, SeqCst) => {
                    late(ring_status::RESETTING)
                }
                Access::Read(_) if at == regs::DEVICE_STATUS && device.swap(false, SeqCst) => {
                    late(device_status::RESETTING)
                }
                _ => None,
            }
        }),
    );
    armed.store(true, SeqCst);
    let client = bound.client();
    assert!(client.submit(0, &[Work::Hang], &[]).wait(LONG).is_err());
    // And the same of the device, when the ring's reset does fail.
    bound.card.schedule(Trigger::Reset(1), Fault::FailedReset);
    assert!(client.submit(0, &[Work::Hang], &[]).wait(LONG).is_err());
    client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    assert!(told.try_recv().is_err(), "a device that lives is given up");
    armed.store(false, SeqCst);
    drop(client);
    bound.finish();
}

/// After a reset of the device something of it reads as another one's.
#[test]
fn recov_1_a_device_that_comes_back_from_its_reset_as_another_is_given_up() {
    for register in [regs::ID, regs::VERSION, regs::CAPS, regs::VRAM_PAGES, regs::LIVENESS] {
        let (options, listeners, told) = watched();
        let options = Policy { watch: Watch::DEFAULT, ..options };
        let was_reset = Arc::new(AtomicBool::new(false));
        let (armed, seen, changed) = (Arc::new(AtomicBool::new(false)), was_reset.clone(), was_reset.clone());
        let is_armed = armed.clone();
        let bound = Bound::heard(
            options,
            listeners,
            Box::new(move |_, _: &dyn Bar, at, access| match access {
                Access::Write(device_ctrl::RESET) if at == regs::DEVICE_CTRL && is_armed.load(SeqCst) => {
                    seen.store(true, SeqCst);
                    None
                }
                // More of everything, or wrong by some bits, but never ones.
                Access::Read(value) if at == register && changed.load(SeqCst) => Some(value ^ 0x0003_0002),
                _ => None,
            }),
        );
        armed.store(true, SeqCst);
        bound.card.schedule(Trigger::Reset(1), Fault::FailedReset);
        let client = bound.client();
        let hung = client.submit(0, &[Work::Hang], &[]);
        assert_eq!(told.recv_timeout(LONG), Ok(Loss::Crashed), "register {register:#x}");
        assert!(was_reset.load(SeqCst));
        bound.binding.unplug(Loss::Crashed).unwrap();
        assert!(hung.wait(LONG).is_err());
        drop(client);
        armed.store(false, SeqCst);
        was_reset.store(false, SeqCst);
        drop(bound.binding);
        bound.module.unload().unwrap();
    }
}

/// A slot whose configuration space answers for another card, or for none.
struct Swapped {
    inner: Arc<lifeboat_gpu::Slot>,
    /// What the ID reads, once the card was taken out.
    other: Arc<AtomicU32>,
    watchers: Mutex<Vec<SlotWatcher>>,
}

struct SwappedConfig {
    inner: Arc<dyn ConfigSpace + Send + Sync>,
    other: Arc<AtomicU32>,
}

impl ConfigSpace for SwappedConfig {
    fn read32(&self, at: u16) -> Result<u32, BusError> {
        let value = self.inner.read32(at)?;
        Ok(match self.other.load(SeqCst) {
            0 => value,
            other if at == 0 => other,
            _ => ALL_ONES,
        })
    }

    fn read16(&self, at: u16) -> Result<u16, BusError> {
        self.inner.read16(at)
    }

    fn write16(&self, at: u16, value: u16) -> Result<(), BusError> {
        self.inner.write16(at, value)
    }

    fn write32(&self, at: u16, value: u32) -> Result<(), BusError> {
        self.inner.write32(at, value)
    }
}

impl Slot for Swapped {
    fn location(&self) -> &str {
        self.inner.location()
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        let inner = self.inner.function()?;
        let config = SwappedConfig { inner: inner.config(), other: self.other.clone() };
        Some(Interposer::with_config(inner, Arc::new(config)))
    }

    fn watch(&self, watcher: SlotWatcher) {
        watcher(SlotEvent::Present);
        self.watchers.lock().unwrap().push(watcher);
    }
}

#[test]
fn life_5_a_card_that_was_taken_out_is_missing_though_another_answers_at_its_address() {
    // Another vendor's, the same vendor's next model, and "ask again later".
    for other in [0x1b80_10de, (u32::from(regs::VENDOR_ID) | u32::from(regs::DEVICE_ID) << 16) + 0x1_0000, 0xffff_0001]
    {
        let inner = lifeboat_gpu::Slot::new("0000:01:00.0");
        inner.insert(Card::new(Config::default()).unwrap()).unwrap();
        let slot = Arc::new(Swapped { inner, other: Arc::default(), watchers: Mutex::default() });
        let mut bus = Bus::new(lifeboat_lb1_hosted::module(), watched().0);
        let events = bus.subscribe();
        bus.attach(&slot).unwrap();
        assert!(matches!(events.recv_timeout(LONG), Ok(Event::Added { .. })));
        slot.other.store(other, SeqCst);
        slot.watchers.lock().unwrap().iter().for_each(|watcher| watcher(SlotEvent::Absent));
        while !matches!(events.recv_timeout(LONG).expect("nobody tells of the removal"), Event::Removed { .. }) {}
        slot.other.store(0, SeqCst);
        bus.shutdown().unwrap();
    }
}

#[test]
fn life_5_a_slot_is_attached_once() {
    let inner = lifeboat_gpu::Slot::new("0000:01:00.0");
    inner.insert(Card::new(Config::default()).unwrap()).unwrap();
    let mut bus = Bus::new(lifeboat_lb1_hosted::module(), options());
    let events = bus.subscribe();
    bus.attach(&inner).unwrap();
    let error = bus.attach(&inner).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{error}");
    // Nor is another slot of the same name.
    assert!(bus.attach(&lifeboat_gpu::Slot::new("0000:01:00.0")).is_err());
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Added { .. })));
    assert_eq!(bus.devices::<Device>().len(), 1);
    bus.attach(&lifeboat_gpu::Slot::new("0000:02:00.0")).unwrap();
    bus.shutdown().unwrap();
}

/// A slot with another name.
struct Named(Arc<lifeboat_gpu::Slot>, &'static str);

impl Slot for Named {
    fn location(&self) -> &str {
        self.1
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        self.0.function()
    }

    fn watch(&self, watcher: SlotWatcher) {
        self.0.watch(watcher);
    }
}

#[test]
fn life_5_what_cannot_be_watched_is_refused_before_it_is_touched() {
    let mut bus = Bus::new(lifeboat_lb1_hosted::module(), options());
    let slot = Arc::new(Named(lifeboat_gpu::Slot::new("0000:01:00.0"), "0000:01\0"));
    assert_eq!(bus.attach(&slot).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    bus.shutdown().unwrap();
    let (card, slot) = plugged();
    let module = lifeboat_lb1_hosted::module();
    for period in [Duration::ZERO, Duration::from_nanos(1)] {
        let watch = Watch { period, stalls: 3 };
        let error =
            module.probe(&slot.function().unwrap(), &Policy { watch, ..options() }, Listeners::none()).unwrap_err();
        assert!(error.to_string().contains("watch.period"), "{error}");
    }
    assert_eq!(card.witness().violations().len(), 0);
    module.unload().unwrap();
}
