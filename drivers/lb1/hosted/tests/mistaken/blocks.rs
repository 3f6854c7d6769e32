//! A driver that does not return, from any of its functions.
//!
//! It stands still until the test lets it go, so no verdict is a matter of time: what must happen meanwhile happens, or
//! the wait for it fails.

use std::sync::mpsc::{self, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat::sched::{NewJob, RingIndex};
use lifeboat::subsystem::{Notes, Subsystem};
use lifeboat::{Base, Binding, Bus, Counts, Event, Kind, Listeners, Module, Policy, ProbeError, UnplugReport};
use lifeboat_core::sched::Priority;
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_driver::DriverError;
use lifeboat_gpu::{Card, Fault, Slot, Violation};
use lifeboat_lb1::command::Work;

use crate::driver::{Armed, At, BLOCKS};
use crate::machine::{Job, LONG, Plain, Sound, device, in_slot, options, submit, telling, turn};

/// How long the driver may take in these tests. Much longer than it does take when it is not to block.
const LIMIT: Duration = Duration::from_millis(300);
const DRAIN_LIMIT: Duration = Duration::from_millis(50);
const STUCK: ProbeError = ProbeError::Driver(DriverError::Stuck);

/// Threads that are held in the driver.
static HELD: Mutex<Held> = Mutex::new(Held { count: 0, let_go: false });
static CHANGED: Condvar = Condvar::new();

struct Held {
    count: usize,
    let_go: bool,
}

fn held() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The driver stands still here.
pub(crate) fn until_let_go() {
    let mut held = held();
    held.count += 1;
    CHANGED.notify_all();
    // Ends by itself if the test has failed.
    let (mut held, _) = CHANGED.wait_timeout_while(held, 4 * LONG, |held| !held.let_go).unwrap();
    held.count -= 1;
    drop(held);
    CHANGED.notify_all();
}

/// A mistake that blocks. Dropped, it lets all threads go that it holds, and waits for them.
struct Blocking(Option<Armed>);

impl Blocking {
    fn arm(at: At) -> Self {
        held().let_go = false;
        Self(Some(Armed::new(at, BLOCKS)))
    }

    fn wait(what: &str, until: impl Fn(&Held) -> bool) {
        let (held, _) = CHANGED.wait_timeout_while(held(), LONG, |held| !until(held)).unwrap();
        assert!(until(&held), "{what}");
    }

    /// Until a thread is in it.
    fn is_met(at: At) {
        Self::wait(&format!("nobody has come to {at:?}"), |held| held.count > 0);
    }

    /// Threads that come from now on go on; those that are held stay.
    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        self.disarm();
        held().let_go = true;
        CHANGED.notify_all();
        if !thread::panicking() {
            Self::wait("somebody is still held", |held| held.count == 0);
        }
    }
}

/// The answer of `f`, which must come though the driver stands still.
fn in_time<T: Send + 'static>(what: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, answer) = channel();
    let thread = thread::spawn(move || sender.send(f()));
    let answer = answer.recv_timeout(LONG).unwrap_or_else(|_| panic!("{what} does not end"));
    thread.join().unwrap().unwrap();
    answer
}

/// Until nothing of the module is left but what is expected.
fn wait_for_counts(module: &Module, expected: &Counts) {
    let began = Instant::now();
    while module.counts() != *expected {
        assert!(began.elapsed() < LONG, "left: {:?}, not {expected:?}", module.counts());
        thread::sleep(Duration::from_millis(1));
    }
}

fn short_limits() -> Policy {
    Policy { driver_limit: LIMIT, drain_limit: DRAIN_LIMIT, ..options() }
}

/// For devices that must go on, however busy the machine is. A card whose interrupts are held in a handler is asked for what has
/// completed when a job is overdue, after two seconds.
fn patient() -> Policy {
    Policy::default()
}

/// Runs a job on a device, which must go on.
fn works<S: Subsystem<Job = Job, Device = Arc<Base<S>>>>(binding: &Binding) {
    assert_eq!(submit(&*device::<S>(binding), 0, Work::Nop).wait(LONG), Ok(()));
}

/// The release has found rings that no driver could stop (the device reaches no memory), and mappings that are kept for the
/// code that is still in a section. Nothing else may have gone wrong: no access after the release, for one.
fn assert_well_behaved(card: &Card, at: At) {
    let wrong = card.witness().violations();
    let wrong = wrong.iter().filter(|violation| {
        !matches!(violation, Violation::MappingsLeaked { .. } | Violation::ReleasedWhileRunning { .. })
    });
    assert_eq!(wrong.count(), 0, "{at:?}: {:?}", card.witness().violations());
}

/// A card in a slot, and a module that has both drivers for it.
struct Machine {
    card: Arc<Card>,
    slot: Arc<Slot>,
    module: Module,
}

impl Machine {
    fn new() -> Self {
        let (card, slot) = in_slot("0000:01:00.0");
        let mut module = Module::new();
        module.register::<Plain>(());
        module.register::<Sound>(());
        Self { card, slot, module }
    }

    /// Binds the device with short limits; gives where its loss is reported, too.
    fn bind(&self) -> (Binding, mpsc::Receiver<Loss>) {
        let (lost, told) = channel();
        (self.module.probe(&self.slot.function().unwrap(), &short_limits(), telling(lost)).unwrap(), told)
    }

    /// Binds the device to the driver that makes mistakes, while it makes none.
    fn bind_again(&self) -> Binding {
        self.module.probe(&self.slot.function().unwrap(), &patient(), Listeners::none()).unwrap()
    }

    /// A device of the same module whose driver makes no mistake, and its card.
    fn neighbour(&self) -> (Arc<Card>, Binding) {
        let (card, slot) = in_slot("0000:02:00.0");
        (card, self.module.probe_as::<Sound>(&slot.function().unwrap(), &patient(), Listeners::none()).unwrap())
    }

    /// A probe that must fail, though the driver stands still.
    fn probe_fails(self) -> (Self, ProbeError) {
        in_time("the probe", move || {
            let error =
                self.module.probe(&self.slot.function().unwrap(), &short_limits(), Listeners::none()).unwrap_err();
            (self, error)
        })
    }

    /// Nothing is left of any device, and the card has seen no mistake.
    fn finish(self, at: At) {
        wait_for_counts(&self.module, &Counts::new());
        self.module.unload().unwrap_or_else(|holders| panic!("{at:?}: {holders}"));
        assert_well_behaved(&self.card, at);
    }
}

/// The driver of a device that is bound blocks, wherever it is called from. If the watchdog is to find that, `expected` is
/// true; if not, the unplug is asked for, and the driver blocks in there.
fn bound_blocks(at: At, expected: bool) -> Arc<UnplugReport> {
    let machine = Machine::new();
    let (_other_card, other) = machine.neighbour();
    let (binding, told) = machine.bind();
    let base = device::<Plain>(&binding);
    let queue = base.scheduler().queue(RingIndex(0), Priority::Normal).unwrap();
    if matches!(at, At::ResetDevice | At::ResetDeviceStep) {
        machine.card.inject(Fault::FailedReset);
    }
    let mut blocking = Blocking::arm(at);
    let fences = [submit(&base, 1, Work::Hang), submit(&base, 0, Work::Nop)];
    if expected {
        Blocking::is_met(at);
        assert_eq!(told.recv_timeout(LONG), Ok(Loss::Crashed), "{at:?}");
    }
    let report = in_time("the unplug", move || binding.unplug(if expected { Loss::Crashed } else { Loss::Unbound }));
    let report = report.expect("it was the first");
    Blocking::is_met(at);
    for fence in &fences {
        assert!(fence.status().is_some(), "{at:?}: a fence has not signalled");
    }
    let late = NewJob::new(Arc::new(Job { work: [Work::Nop], notes: Notes::default() }));
    assert!(queue.submit(late).is_err(), "{at:?}: a call was not refused");
    let named = report.registers_held.is_some() || report.threads_held.is_some();
    assert!(named, "{at:?}: nobody is named: {report:?}");
    assert!(!report.device_alive, "{at:?}");
    works::<Sound>(&other);

    // The next binding of the same function, while the first one's driver still stands in it.
    blocking.disarm();
    let again = machine.bind_again();
    works::<Plain>(&again);
    drop(blocking);
    works::<Plain>(&again);
    works::<Sound>(&other);

    drop((fences, queue, base, again, other));
    machine.finish(at);
    report
}

#[test]
fn drv_3_a_driver_that_never_returns_to_the_worker_loses_its_device_alone() {
    let _turn = turn();
    for at in [
        At::Run,
        At::Progress,
        At::Place,
        At::Began,
        At::Fault,
        At::ResetRing,
        At::ResetRingStep,
        At::ResetRingOverdue,
        At::ResetDevice,
        At::ResetDeviceStep,
        At::Presence,
        At::Read,
        At::Computes,
        At::Heartbeat,
        At::Identify,
    ] {
        let report = bound_blocks(at, true);
        let overstay = report.overstay.as_ref().unwrap_or_else(|| panic!("{at:?}: {report:?}"));
        assert!(overstay.thread.starts_with("lifeboat"), "{at:?}: {overstay}");
        assert_eq!(overstay.age, LIMIT, "{at:?}");
    }
}

#[test]
fn drv_3_a_driver_that_never_returns_to_an_interrupt_handler_loses_its_device_alone() {
    let _turn = turn();
    for at in [At::Pending, At::PendingRings] {
        let report = bound_blocks(at, true);
        let place = report.overstay.as_ref().map(|overstay| overstay.place.file().to_owned());
        assert!(place.is_some_and(|file| file.ends_with("irq.rs")), "{at:?}: {report:?}");
    }
}

#[test]
fn drv_3_a_shutdown_that_never_returns_does_not_keep_the_unplug() {
    let _turn = turn();
    for at in [At::ShutDown, At::ShutDownStep] {
        bound_blocks(at, false);
    }
}

/// The worker is kept by a user's callback, so somebody else is to stop the device.
#[test]
fn drv_3_a_shutdown_that_never_returns_does_not_keep_the_unplug_while_the_worker_is_kept_elsewhere() {
    let _turn = turn();
    let machine = Machine::new();
    let (binding, _told) = machine.bind();
    let base = device::<Plain>(&binding);
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (called, is_called) = mpsc::channel();
    let fence = submit(&base, 1, Work::Hang);
    fence.on_signal(move |_| {
        called.send(()).unwrap();
        let _ = goes_on.recv();
    });
    assert_eq!(is_called.recv_timeout(LONG), Ok(()));
    let blocking = Blocking::arm(At::ShutDownStep);
    let report = in_time("the unplug", move || binding.unplug(Loss::Unbound).unwrap());
    Blocking::is_met(At::ShutDownStep);
    assert!(report.threads_held.is_some() && !report.device_alive, "{report:?}");
    drop((blocking, go_on, fence, base));
    machine.finish(At::ShutDownStep);
}

#[test]
fn drv_3_a_dump_that_never_ends_does_not_keep_the_unplug() {
    let _turn = turn();
    for at in [At::Presence, At::Read] {
        let machine = Machine::new();
        // Nobody asks the driver anything but the dump.
        let watch = Watch { period: LONG, stalls: 3 };
        let quiet = Policy { watch, driver_limit: Duration::MAX, ..short_limits() };
        let binding =
            Arc::new(machine.module.probe(&machine.slot.function().unwrap(), &quiet, Listeners::none()).unwrap());
        let blocking = Blocking::arm(at);
        let report = in_time("the unplug", {
            let binding = binding.clone();
            move || binding.unplug(Loss::Hung).unwrap()
        });
        Blocking::is_met(at);
        assert!(report.threads_held.is_some() && report.overstay.is_none(), "{at:?}: {report:?}");
        drop((blocking, binding));
        machine.finish(at);
    }
}

#[test]
fn drv_3_a_call_that_never_returns_from_the_driver_is_named_and_the_device_is_lost() {
    let _turn = turn();
    let machine = Machine::new();
    let (binding, told) = machine.bind();
    let binding = Arc::new(binding);
    let blocking = Blocking::arm(At::Read);
    let caller = binding.clone();
    let call = thread::Builder::new().name("a caller".to_owned()).spawn(move || drop(caller.dump())).unwrap();
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::Crashed));
    let report = in_time("the unplug", {
        let binding = binding.clone();
        move || binding.unplug(Loss::Crashed).unwrap()
    });
    assert_eq!(report.overstay.as_ref().map(|overstay| overstay.thread.as_str()), Some("a caller"), "{report:?}");
    let held = report.registers_held.as_ref().expect("it is in a register section");
    assert!(held.iter().any(|holdout| holdout.thread == "a caller"), "{held}");
    assert!(report.threads_held.is_none(), "the worker has ended: {report:?}");
    drop(blocking);
    call.join().unwrap();
    drop(binding);
    machine.finish(At::Read);
}

#[test]
fn drv_3_a_probe_that_never_returns_fails_and_the_function_can_be_bound_again() {
    let _turn = turn();
    for at in [At::Info, At::Rings, At::RingShape, At::Ring, At::BringUp, At::BringUpStep] {
        let machine = Machine::new();
        let (_other_card, other) = machine.neighbour();
        let mut blocking = Blocking::arm(at);
        let (machine, error) = machine.probe_fails();
        assert_eq!(error, STUCK, "{at:?}");
        works::<Sound>(&other);
        // The thread that was left behind counts: it runs code of the module.
        assert_eq!(machine.module.counts()[&Kind::BINDING], 2, "{at:?}");

        blocking.disarm();
        let again = machine.bind_again();
        works::<Plain>(&again);
        drop(blocking);
        wait_for_counts(&machine.module, &Counts::from([(Kind::BINDING, 2), (Kind::DEVICE, 2)]));
        works::<Plain>(&again);
        works::<Sound>(&other);
        drop((again, other));
        machine.finish(at);
    }
}

#[test]
fn drv_3_a_device_that_is_not_brought_up_is_given_up_though_its_shutdown_never_returns() {
    let _turn = turn();
    let machine = Machine::new();
    // The probe fails at the reset, and brings the device to rest.
    machine.card.inject(Fault::FailedReset);
    let blocking = Blocking::arm(At::ShutDownStep);
    let (machine, error) = machine.probe_fails();
    assert_eq!(error, STUCK);
    drop(blocking);
    machine.finish(At::ShutDownStep);
}

#[test]
fn drv_3_a_bus_tells_of_a_driver_that_never_returns_and_binds_the_device_again() {
    let _turn = turn();
    let Machine { card, slot, module } = Machine::new();
    let mut bus = Bus::new(module, short_limits());
    let events = bus.subscribe();
    let mut blocking = Blocking::arm(At::BringUpStep);
    bus.attach(&slot).unwrap();
    let next = || events.recv_timeout(LONG).expect("an event");
    let failed = next();
    assert!(matches!(failed, Event::ProbeFailed { error: STUCK, .. }), "{failed:?}");
    blocking.disarm();
    bus.bind("0000:01:00.0").wait(LONG).unwrap();
    let added = next();
    assert!(matches!(added, Event::Added { .. }), "{added:?}");
    drop(blocking);

    // The worker's look.
    let mut blocking = Blocking::arm(At::Heartbeat);
    Blocking::is_met(At::Heartbeat);
    // The next probe is to succeed.
    blocking.disarm();
    let report = loop {
        match next() {
            Event::Removed { report } => break report,
            Event::Dumped { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(report.loss, Loss::Crashed);
    assert!(report.overstay.is_some() && report.threads_held.is_some(), "{report:?}");
    let added = next();
    assert!(matches!(added, Event::Added { .. }), "{added:?}");
    let held = bus.counts();
    assert_eq!(held[&Kind::BINDING], 2, "the old worker counts: {held:?}");
    drop(blocking);
    bus.stop();
    let began = Instant::now();
    let module = loop {
        let counts = bus.counts();
        if counts.is_empty() {
            break bus;
        }
        assert!(began.elapsed() < LONG, "left: {counts:?}");
        thread::sleep(Duration::from_millis(1));
    };
    module.shutdown().unwrap();
    assert_well_behaved(&card, At::Heartbeat);
}
