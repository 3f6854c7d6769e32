//! The base with another subsystem, which does nothing, and a driver that makes mistakes (DRV-3).
//!
//! The driver is that of LB1 but for one function, which panics, gives what cannot be true, or does not return (`blocks`).
//! Whatever it is, the device ends by the one path of an unplug: every fence signals, nobody else
//! panics, nothing leaks.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod blocks;
mod no_heartbeat;
mod own_credits;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::health::Verdict;
use lifeboat_core::sched::{Began, Priority};
use lifeboat_core::unplug::Loss;
use lifeboat_core::vitals::Watch;
use lifeboat_driver::{Driver, DriverError, Facts, Identity, Io, Progress, RingReport, RingShape, Sequence, Step};
use lifeboat_gpu::{Card, Config, Fault, Slot};
use lifeboat_lb1::command::{ContextId, Work};
use lifeboat_lb1::{Commands, Info, Lb1Driver, Lb1Pending, Ring};
use lifeboat_pci::{DmaMemory, Function};

use lifeboat::sched::{NewJob, RingIndex};
use lifeboat::subsystem::{AboutJob, Notes, Site, Subsystem};
use lifeboat::{Base, Binding, Fence, Link, Listeners, Module, Policy, ProbeError, WaitError};

const LONG: Duration = Duration::from_secs(30);

/// A function of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum At {
    Nowhere,
    Info,
    Rings,
    RingShape,
    RingCredits,
    Ring,
    BringUp,
    BringUpStep,
    ResetRing,
    ResetRingStep,
    ResetRingOverdue,
    ResetDevice,
    ResetDeviceStep,
    ShutDown,
    ShutDownStep,
    Run,
    Progress,
    Place,
    Began,
    Fault,
    Pending,
    PendingRings,
    Presence,
    Computes,
    Heartbeat,
    Identify,
    Read,
}

/// The mistake of the test that runs. The driver's functions are told nothing of whose they are.
static MISTAKE: AtomicU8 = AtomicU8::new(At::Nowhere as u8);
/// What kind of mistake.
static KIND: AtomicU8 = AtomicU8::new(0);
const PANICS: u8 = 0;
const NONSENSE: u8 = 1;
const BLOCKS: u8 = 2;
/// Whether the device has no heartbeat, as far as the driver says.
static NO_HEARTBEAT: AtomicBool = AtomicBool::new(false);
/// How often a device was asked to compute.
static COMPUTATIONS: AtomicU32 = AtomicU32::new(0);
/// Held by the test that runs.
static TURN: Mutex<()> = Mutex::new(());

/// Panics or blocks here if that is the mistake; `true` if it is nonsense.
fn here(at: At) -> bool {
    if MISTAKE.load(SeqCst) != at as u8 {
        return false;
    }
    match KIND.load(SeqCst) {
        NONSENSE => true,
        BLOCKS => {
            blocks::until_let_go();
            false
        }
        _ => panic!("a mistake of the driver: {at:?}"),
    }
}

enum Mistaken {}

/// A sequence of LB1's with mistakes in it.
struct Steps<S> {
    inner: S,
    step: At,
    overdue: Option<At>,
}

impl<S: Sequence<Output = ()>> Sequence for Steps<S> {
    type Output = ();

    fn step(&mut self, io: &Io<'_>) -> Result<Step<()>, DriverError> {
        // Nonsense is to go on for ever, and so is what is to be overdue.
        let never_ends = here(self.step) || self.overdue.is_some_and(|at| MISTAKE.load(SeqCst) == at as u8);
        if never_ends { Ok(Step::Next) } else { self.inner.step(io) }
    }

    fn overdue(&self) -> DriverError {
        self.overdue.map(here);
        self.inner.overdue()
    }
}

fn steps<S>(inner: S, step: At, overdue: Option<At>) -> Steps<S> {
    Steps { inner, step, overdue }
}

struct Pending(Lb1Pending);

impl lifeboat_driver::Pending for Pending {
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        let nonsense = here(At::PendingRings);
        let far = (0..1000).fold(Seqno::ZERO, |seqno, _| seqno.next());
        // Without an end.
        let wrong = std::iter::repeat(RingReport { ring: 200, progress: Progress::Stopped(far) });
        self.0.rings().chain(wrong.take(if nonsense { usize::MAX } else { 0 }))
    }
}

/// What nobody can have answered.
const NONE: u32 = u32::MAX;

impl Driver for Mistaken {
    const FACTS: Facts = Lb1Driver::FACTS;

    type Info = Info;
    type Ring<M: DmaMemory> = Ring<M>;
    type Work<'a> = Commands<'a>;
    type Fault = lifeboat_lb1::Fault;
    type Pending = Pending;

    fn info(io: &Io<'_>) -> Result<Info, DriverError> {
        if here(At::Info) {
            return Err(DriverError::Impossible("a mistake"));
        }
        Lb1Driver::info(io)
    }

    fn rings(info: &Info) -> u8 {
        if here(At::Rings) { 0 } else { Lb1Driver::rings(info) }
    }

    fn ring_shape(info: &Info, ring: u8, entries: u32) -> RingShape {
        let shape = Lb1Driver::ring_shape(info, ring, entries);
        if ring == 1 && here(At::RingCredits) {
            return RingShape { credits: 3, ..shape };
        }
        if here(At::RingShape) { RingShape { bytes: u64::MAX, ..shape } } else { shape }
    }

    fn ring<M: DmaMemory>(info: &Info, ring: u8, shape: RingShape, memory: M) -> Option<Ring<M>> {
        here(At::Ring);
        Lb1Driver::ring(info, ring, shape, memory)
    }

    fn bring_up<M: DmaMemory>(info: Info, rings: &mut [Ring<M>]) -> impl Sequence<Output = ()> + '_ {
        here(At::BringUp);
        steps(Lb1Driver::bring_up(info, rings), At::BringUpStep, None)
    }

    fn reset_ring<M: DmaMemory>(info: Info, ring: &mut Ring<M>, seqno: Seqno) -> impl Sequence<Output = ()> + '_ {
        here(At::ResetRing);
        steps(Lb1Driver::reset_ring(info, ring, seqno), At::ResetRingStep, Some(At::ResetRingOverdue))
    }

    fn reset_device<'a, M: DmaMemory>(
        info: Info,
        rings: &'a mut [Ring<M>],
        numbers: impl FnMut(u8) -> Seqno + 'a,
    ) -> impl Sequence<Output = ()> + 'a {
        here(At::ResetDevice);
        steps(Lb1Driver::reset_device(info, rings, numbers), At::ResetDeviceStep, None)
    }

    fn shut_down() -> impl Sequence<Output = ()> {
        here(At::ShutDown);
        steps(Lb1Driver::shut_down(), At::ShutDownStep, None)
    }

    fn cost(work: Commands<'_>) -> u32 {
        Lb1Driver::cost(work)
    }

    fn run<M: DmaMemory>(
        io: &Io<'_>,
        ring: &mut Ring<M>,
        work: Commands<'_>,
        seqno: Seqno,
    ) -> Result<lifeboat_driver::Place, DriverError> {
        // Says that it has given the job to the device.
        if here(At::Run) { Ok(lifeboat_driver::Place(NONE)) } else { Lb1Driver::run(io, ring, work, seqno) }
    }

    fn progress(io: &Io<'_>, ring: u8) -> Result<Seqno, DriverError> {
        let seqno = Lb1Driver::progress(io, ring)?;
        Ok(if here(At::Progress) { (0..1000).fold(seqno, |seqno, _| seqno.next()) } else { seqno })
    }

    fn place<M: DmaMemory>(io: &Io<'_>, ring: &Ring<M>) -> Result<Option<lifeboat_driver::Place>, DriverError> {
        if here(At::Place) { Ok(Some(lifeboat_driver::Place(NONE))) } else { Lb1Driver::place(io, ring) }
    }

    fn began<M: DmaMemory>(
        io: &Io<'_>,
        ring: &Ring<M>,
        work: Commands<'_>,
        begins: lifeboat_driver::Place,
    ) -> Result<Began, DriverError> {
        if here(At::Began) { Ok(Began::No) } else { Lb1Driver::began(io, ring, work, begins) }
    }

    fn fault(io: &Io<'_>, ring: u8) -> Result<Option<lifeboat_lb1::Fault>, DriverError> {
        if here(At::Fault) { Err(DriverError::NoSuchThing) } else { Lb1Driver::fault(io, ring) }
    }

    fn pending(io: &Io<'_>) -> Result<Pending, DriverError> {
        if here(At::Pending) {
            return Err(DriverError::NoSuchThing);
        }
        Lb1Driver::pending(io).map(Pending)
    }

    fn presence(io: &Io<'_>) -> Result<Verdict, DriverError> {
        if here(At::Presence) { Ok(Verdict::Unsure) } else { Lb1Driver::presence(io) }
    }

    fn computes(io: &Io<'_>, pattern: u32) -> Result<Verdict, DriverError> {
        COMPUTATIONS.fetch_add(1, SeqCst);
        if here(At::Computes) { Ok(Verdict::Unsure) } else { Lb1Driver::computes(io, pattern) }
    }

    fn heartbeat(io: &Io<'_>) -> Result<Option<u32>, DriverError> {
        if NO_HEARTBEAT.load(SeqCst) {
            return Ok(None);
        }
        if here(At::Heartbeat) { Ok(Some(0)) } else { Lb1Driver::heartbeat(io) }
    }

    fn identify(io: &Io<'_>, before: &Info, pattern: u32) -> Result<Identity, DriverError> {
        if here(At::Identify) { Ok(Identity::Other) } else { Lb1Driver::identify(io, before, pattern) }
    }

    fn read(io: &Io<'_>, register: u64) -> Result<u32, DriverError> {
        if here(At::Read) { Err(DriverError::NoSuchThing) } else { Lb1Driver::read(io, register) }
    }
}

/// With the driver that makes mistakes.
struct Plain;
/// With one that makes none.
struct Sound;

struct Job {
    work: [Work; 1],
    notes: Notes,
}

/// A subsystem of jobs and nothing else, over a driver.
macro_rules! plain {
    ($plain:ident, $driver:ty, $pending:ty) => {
        impl lifeboat::subsystem::Job<$driver> for Job {
            fn work(&self) -> Commands<'_> {
                Commands { context: ContextId(0), work: &self.work }
            }

            fn notes(&self) -> &Notes {
                &self.notes
            }

            fn about(&self) -> AboutJob {
                AboutJob { context: 0, commands: 1, submitted: std::time::Instant::now() }
            }
        }

        impl Subsystem for $plain {
            type Driver = $driver;
            type Device = Arc<Base<Self>>;
            type Job = Job;
            type Options = ();

            fn new(_: &Site<'_, Self>, &(): &()) -> Self {
                Self
            }

            fn device(base: Arc<Base<Self>>, _: Arc<Link>) -> Arc<Base<Self>> {
                base
            }
        }
    };
}

plain!(Plain, Mistaken, Pending);
plain!(Sound, Lb1Driver, Lb1Pending);

/// How jobs have ended: a short one on the first ring, and one on the second that hangs.
struct Ended {
    short: Result<(), FenceError>,
    hung: Result<(), FenceError>,
}

fn submit<S: Subsystem<Job = Job>>(base: &Base<S>, ring: u8, work: Work) -> Fence {
    let queue = base.scheduler().queue(RingIndex(ring), Priority::Normal).unwrap();
    let job = Arc::new(Job { work: [work], notes: Notes::default() });
    let fence = queue.submit(NewJob { cost: 2, ..NewJob::new(job) }).unwrap();
    // A queue that is dropped cancels what has not begun.
    fence.on_signal(move |_| drop(queue));
    fence
}

/// Arms a mistake, until it is dropped.
struct Armed;

impl Armed {
    fn new(at: At, kind: u8) -> Self {
        KIND.store(kind, SeqCst);
        MISTAKE.store(at as u8, SeqCst);
        Self
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        MISTAKE.store(At::Nowhere as u8, SeqCst);
    }
}

fn options() -> Policy {
    Policy {
        job_timeout: Duration::from_millis(100),
        extensions: 2,
        watch: Watch { period: Duration::from_millis(20), stalls: 3 },
        ..Policy::default()
    }
}

fn telling(lost: mpsc::Sender<Loss>) -> Listeners {
    Listeners::none().on_loss(move |loss| lost.send(loss).unwrap())
}

fn plugged() -> (Arc<Card>, Arc<dyn Function>) {
    let (card, slot) = in_slot("0000:01:00.0");
    (card, slot.function().unwrap())
}

fn in_slot(location: &str) -> (Arc<Card>, Arc<Slot>) {
    let slot = Slot::new(location);
    let card = Card::new(Config::default()).unwrap();
    slot.insert(card.clone()).unwrap();
    (card, slot)
}

fn device<S: Subsystem>(binding: &Binding) -> S::Device {
    binding.device().unwrap()
}

/// Runs a device whose driver makes a mistake from the moment that it is bound, until the driver
/// has reported this loss, or if none is expected, until both jobs have ended. Then unplugs it.
fn bound(at: At, nonsense: bool, expected: Option<Loss>) -> Ended {
    let (card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    let (lost, told) = mpsc::channel();
    let binding = module.probe(&function, &options(), telling(lost)).unwrap();
    let base = device::<Plain>(&binding);
    if matches!(at, At::ResetDevice | At::ResetDeviceStep) {
        card.inject(Fault::FailedReset);
    }
    let armed = Armed::new(at, if nonsense { NONSENSE } else { PANICS });
    let hung = submit(&base, 1, Work::Hang);
    let short = submit(&base, 0, Work::Nop);
    if expected.is_some() {
        assert_eq!(told.recv_timeout(LONG).ok(), expected, "{at:?}");
    } else {
        for fence in [&hung, &short] {
            assert_ne!(fence.wait(LONG), Err(WaitError::TimedOut), "{at:?}");
        }
    }
    let report = binding.unplug(expected.unwrap_or(Loss::Unbound)).expect("the unplug returns");
    assert!(report.threads_held.is_none() && report.registers_held.is_none(), "{at:?}: {report:?}");
    let ended = |fence: &Fence| fence.status().unwrap_or_else(|| panic!("{at:?}: a fence has not signalled"));
    let jobs = Ended { short: ended(&short), hung: ended(&hung) };
    drop((short, hung, base, binding));
    drop(armed);
    module.unload().unwrap_or_else(|holders| panic!("{at:?}: {holders}"));
    jobs
}

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn drv_3_a_driver_without_a_mistake_is_the_control() {
    let _turn = turn();
    let Ended { short, hung } = bound(At::Nowhere, true, None);
    assert_eq!((short, hung), (Ok(()), Err(FenceError::Guilty)));
}

#[test]
fn drv_3_a_panic_in_any_function_is_a_crash_of_the_device_alone() {
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
        At::Pending,
        At::PendingRings,
        At::Presence,
        At::Read,
        At::Computes,
        At::Heartbeat,
        At::Identify,
    ] {
        let Ended { hung, .. } = bound(at, false, Some(Loss::Crashed));
        assert!(hung.is_err(), "{at:?}");
    }
    for at in [At::ShutDown, At::ShutDownStep] {
        let Ended { short, .. } = bound(at, false, None);
        assert_eq!(short, Ok(()), "{at:?}");
    }
}

#[test]
fn drv_3_what_cannot_be_true_ends_jobs_or_the_device() {
    let _turn = turn();
    for (at, loss) in [
        (At::Run, None),
        (At::Progress, None),
        (At::Place, None),
        (At::Began, None),
        (At::Fault, None),
        (At::ResetRingStep, None),
        (At::Pending, None),
        (At::PendingRings, None),
        (At::Presence, None),
        (At::Read, None),
        (At::ShutDownStep, None),
        (At::ResetDeviceStep, Some(Loss::Crashed)),
        (At::Computes, Some(Loss::Nonsense)),
        (At::Heartbeat, Some(Loss::Hung)),
        (At::Identify, Some(Loss::Replaced)),
    ] {
        let Ended { hung, .. } = bound(at, true, loss);
        assert!(hung.is_err(), "{at:?}");
    }
}

#[test]
fn drv_3_a_mistake_in_probe_refuses_the_device_and_the_next_probe_may_bind_it() {
    let _turn = turn();
    let refused = |nonsense| if nonsense { DriverError::Impossible("a mistake") } else { DriverError::Panicked };
    for (at, nonsense, error) in [
        (At::Info, false, ProbeError::Driver(DriverError::Panicked)),
        (At::Rings, false, ProbeError::Driver(DriverError::Panicked)),
        (At::RingShape, false, ProbeError::Driver(DriverError::Panicked)),
        (At::Ring, false, ProbeError::Driver(DriverError::Panicked)),
        (At::BringUp, false, ProbeError::Driver(DriverError::Panicked)),
        (At::BringUpStep, false, ProbeError::Driver(refused(false))),
        (At::Info, true, ProbeError::Driver(refused(true))),
        (At::RingShape, true, ProbeError::NoMemory),
        (At::BringUpStep, true, ProbeError::ResetTimedOut),
    ] {
        let (card, function) = plugged();
        let mut module = Module::new();
        module.register::<Plain>(());
        let armed = Armed::new(at, if nonsense { NONSENSE } else { PANICS });
        assert_eq!(module.probe(&function, &options(), Listeners::none()).unwrap_err(), error, "{at:?}");
        drop(armed);
        assert!(card.witness().is_empty(), "{at:?}: {:?}", card.witness().violations());
        module.unload().unwrap_or_else(|holders| panic!("{at:?}: {holders}"));
    }
}

#[test]
fn a_device_is_bound_by_the_driver_that_is_asked_for_if_the_module_has_it() {
    let _turn = turn();
    let (_card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    assert_eq!(
        module.probe_as::<Sound>(&function, &options(), Listeners::none()).unwrap_err(),
        ProbeError::Unregistered
    );
    module.register::<Sound>(());
    let (_card, function) = plugged();
    let binding = module.probe_as::<Sound>(&function, &options(), Listeners::none()).unwrap();
    assert!(binding.device::<Arc<Base<Sound>>>().is_some() && binding.device::<Arc<Base<Plain>>>().is_none());
    drop(binding);
    module.unload().unwrap();
}

#[test]
fn drv_3_a_device_that_shows_no_rings_is_bound_and_unplugged_all_the_same() {
    let _turn = turn();
    let (card, function) = plugged();
    let mut module = Module::new();
    module.register::<Plain>(());
    let armed = Armed::new(At::Rings, NONSENSE);
    let binding = module.probe(&function, &options(), Listeners::none()).unwrap();
    let base = device::<Plain>(&binding);
    assert!(base.scheduler().queue(RingIndex(0), Priority::Normal).is_err());
    assert!(binding.unplug(Loss::Unbound).unwrap().device_alive);
    drop((armed, base, binding));
    assert!(card.witness().is_empty(), "{:?}", card.witness().violations());
    module.unload().unwrap();
}
