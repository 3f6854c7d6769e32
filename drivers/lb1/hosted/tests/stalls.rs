//! One access to a register that takes seconds, on any thread of the driver, and an unplug meanwhile: users are told at
//! once, whatever they wait for; the unplug goes on after its limit, and says who kept it waiting (HEALTH-5, GATE-7).
//!
//! The access stands still until the test lets it go, so nothing here is a matter of speed: what is to happen meanwhile
//! happens, or the wait for it fails.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod machine;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::{Fence, Listeners, Policy, UnplugReport, WaitError};
use lifeboat_gpu::Violation;
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{DisplayEvent, Options, module_with};
use lifeboat_pci::{BusError, ConfigSpace, Function};
use machine::bound::{Hook, no_hook, options, plugged};
use machine::forward::forward;
use machine::interposer::{Access, Interposer};
use machine::{Client, LONG, assert_lint_is_silent};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

/// A place at which the driver stands still once.
struct Stall {
    armed: AtomicBool,
    entered: Mutex<Sender<()>>,
    go_on: Mutex<Receiver<()>>,
}

/// The test's end of it.
struct Standing {
    stall: Arc<Stall>,
    entered: Receiver<()>,
    go_on: Sender<()>,
}

fn stall() -> Standing {
    let ((sender, entered), (go_on, receiver)) = (channel(), channel());
    let stall = Stall { armed: AtomicBool::new(false), entered: Mutex::new(sender), go_on: Mutex::new(receiver) };
    Standing { stall: Arc::new(stall), entered, go_on }
}

impl Stall {
    fn here(&self) {
        if self.armed.swap(false, SeqCst) {
            self.entered.lock().unwrap().send(()).unwrap();
            // Also if the test has failed.
            let _ = self.go_on.lock().unwrap().recv_timeout(3 * LONG);
        }
    }
}

impl Standing {
    fn arm(&self) {
        self.stall.armed.store(true, SeqCst);
    }

    fn wait_for(&self, at: At, by: By) {
        let entered = self.entered.recv_timeout(LONG);
        assert!(entered.is_ok(), "no such access: {at:?} {by:?}");
    }
}

/// Which access stands still.
#[derive(Debug, Clone, Copy)]
enum At {
    Read(u64),
    Write(u64),
    Config,
}

type Call = fn(&Client);

/// What brings the driver to it.
#[derive(Debug, Clone, Copy)]
enum By {
    /// The worker looks how the device is.
    Watching,
    /// A job completes, and an interrupt says so.
    Completion,
    /// A job is overdue.
    Overdue,
    /// A job is given to a ring.
    Submission,
    /// A thread of the user's flips, waits for a blank, sets a mode, maps.
    Call(Call),
}

/// A function whose configuration space can stand still.
struct Slow {
    inner: Arc<dyn Function>,
    stall: Arc<Stall>,
}
struct SlowConfig(Arc<dyn ConfigSpace + Send + Sync>, Arc<Stall>);

impl ConfigSpace for SlowConfig {
    fn read32(&self, at: u16) -> Result<u32, BusError> {
        self.1.here();
        self.0.read32(at)
    }
    fn read16(&self, at: u16) -> Result<u16, BusError> {
        self.0.read16(at)
    }
    fn write16(&self, at: u16, value: u16) -> Result<(), BusError> {
        self.0.write16(at, value)
    }
    fn write32(&self, at: u16, value: u32) -> Result<(), BusError> {
        self.0.write32(at, value)
    }
}

impl Function for Slow {
    forward!(location bar dma_map dma_unmap irq_enable irq_disable release);

    fn config(&self) -> Arc<dyn ConfigSpace + Send + Sync> {
        Arc::new(SlowConfig(self.inner.config(), self.stall.clone()))
    }
}

fn hook(at: At, stall: &Arc<Stall>) -> Hook {
    let stall = stall.clone();
    match at {
        At::Config => no_hook(),
        At::Read(register) => Box::new(move |bar, _, at, access| {
            if bar == regs::REGISTER_BAR && at == register && matches!(access, Access::Read(_)) {
                stall.here();
            }
            None
        }),
        At::Write(register) => Box::new(move |bar, _, at, access| {
            if bar == regs::REGISTER_BAR && at == register && matches!(access, Access::Write(_)) {
                stall.here();
            }
            None
        }),
    }
}

/// Everything that a user can wait for, asked for before anything stands still.
struct Owed {
    jobs: Vec<Fence>,
    /// A flip that waits for a fence, and vertical blanks.
    display: Vec<Fence>,
}

fn owed(client: &Client) -> Owed {
    // On the second ring a job that never ends, and others behind it; the first one is free for what is to stand still.
    let hung = client.submit(1, &[Work::Hang], &[]);
    let behind = client.submit(1, &[Work::Nop], &[]);
    let after = client.submit(0, &[Work::Nop], std::slice::from_ref(&hung));
    Owed { jobs: vec![hung, behind, after], display: Vec::new() }
}

/// Runs `f`, which must return while something stands still.
fn meanwhile<T: Send>(what: &str, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let (done, returned) = channel();
        scope.spawn(move || done.send(f()));
        returned.recv_timeout(LONG).unwrap_or_else(|_| panic!("{what} waits for an access that does not end"))
    })
}

fn stands_still(at: At, by: By) -> Arc<UnplugReport> {
    let standing = stall();
    let (card, slot) = plugged();
    let options = Policy {
        job_timeout: if matches!(by, By::Overdue) { Duration::from_millis(100) } else { 10 * LONG },
        watch: Watch { period: Duration::from_millis(20), stalls: u32::MAX },
        ..options()
    };
    let inner: Arc<dyn Function> = match at {
        At::Config => Arc::new(Slow { inner: slot.function().unwrap(), stall: standing.stall.clone() }),
        At::Read(_) | At::Write(_) => slot.function().unwrap(),
    };
    let module = module_with(Options { display_limit: 10 * LONG, ..Options::default() });
    let binding = module.probe(&Interposer::on(inner, hook(at, &standing.stall)), &options, Listeners::none()).unwrap();
    let device = binding.device().unwrap();
    let (client, other) = (Client::new(&device), Client::new(&device));
    client.show(&client.vram).unwrap();
    if matches!(by, By::Overdue) {
        // Before there is a job that can be: it is so but once.
        standing.arm();
    }
    let mut owed = owed(&client);
    std::thread::scope(|scope| {
        let (standing, client) = (&standing, &client);
        // A flip that the display has taken, and that has not reached the hardware: it waits for a job.
        if !matches!(by, By::Call(_)) {
            let commit = lifeboat_lb1_hosted::Commit {
                plane: lifeboat_lb1_hosted::Change::To(&client.vram),
                kind: lifeboat_lb1_hosted::CommitKind::NonBlocking,
                in_fence: Some(&owed.jobs[0]),
                event: Some(7),
                ..lifeboat_lb1_hosted::Commit::default()
            };
            owed.display.push(client.handle.atomic(&commit).unwrap());
        }
        match by {
            By::Watching => standing.arm(),
            By::Overdue => {}
            By::Completion | By::Submission => {
                standing.arm();
                // On a queue with nothing before it.
                owed.jobs.push(other.submit(0, &[Work::Nop], &[]));
            }
            By::Call(call) => {
                standing.arm();
                scope.spawn(move || call(client));
            }
        }
        standing.wait_for(at, by);
        // Calls that need no hardware do not notice.
        meanwhile("a query", || {
            other.handle.connector().unwrap();
            other.handle.resources();
            assert_eq!(other.handle.events().try_next(), None);
            assert!(owed.jobs[0].status().is_none());
            other.host.read(0, &mut [0; 4]).unwrap();
            drop(other.handle.mmap(&other.host).unwrap());
            drop(device.open().unwrap());
        });
        let unplugged = scope.spawn(|| binding.unplug(Loss::Unplugged).unwrap());
        for job in &owed.jobs {
            let ended = meanwhile("a job", || job.wait(LONG / 2));
            assert!(ended == LOST || ended == Ok(()), "{at:?} {by:?}: {ended:?}");
        }
        for fence in &owed.display {
            assert_eq!(meanwhile("a flip", || fence.wait(LONG / 2)), Ok(()), "{at:?} {by:?}");
            let events = client.handle.events();
            let is_flip = |event: &DisplayEvent| matches!(event, DisplayEvent::Flip { token: 7, .. });
            let told =
                meanwhile("an event", || std::iter::from_fn(|| events.wait(LONG / 2)).any(|event| is_flip(&event)));
            assert!(told, "{at:?} {by:?}");
        }
        meanwhile("a call on a lost device", || {
            assert!(other.handle.unmap(&other.context, other.vram_va).is_ok());
            drop(other.handle.flip(&other.vram, None));
            drop(other);
        });
        let began = Instant::now();
        while !unplugged.is_finished() && began.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(unplugged.is_finished(), "{at:?} {by:?}: the unplug waits for an access that does not end");
        let report = unplugged.join().unwrap();
        let held = [&report.holdouts, &report.registers_held, &report.threads_held];
        assert!(held.iter().any(|held| held.is_some()), "{at:?} {by:?}: nobody is named: {report:?}");
        standing.go_on.send(()).unwrap();
        report
    });
    let report = binding.unplug(Loss::Unplugged).unwrap();
    drop((owed, client, device, binding));
    // The thread that stood still may not have let go of everything yet.
    let began = Instant::now();
    while !module.counts().is_empty() && began.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
    module.unload().unwrap();
    // The access that stands still is one after the release, and keeps the hardware's mappings until then. Nothing else
    // was done wrong: the device was stopped before.
    let wrong = card.witness().violations();
    let wrong = wrong.iter().filter(|violation| {
        !matches!(violation, Violation::AccessAfterRelease { .. } | Violation::MappingsLeaked { .. })
    });
    assert_eq!(wrong.count(), 0, "{at:?} {by:?}: {:?}", card.witness().violations());
    assert_lint_is_silent();
    report
}

const fn ring(register: u64) -> u64 {
    regs::ring(0, register)
}

#[test]
fn health_5_the_worker_stands_still_at_a_look_and_users_are_told() {
    for at in [At::Read(regs::HEARTBEAT), At::Read(regs::LIVENESS), At::Write(regs::LIVENESS), At::Config] {
        let report = stands_still(at, By::Watching);
        let held = report.registers_held.as_ref().expect("the section of the look").to_string();
        assert!(held.contains("health.rs") && held.contains("lifeboat0"), "{at:?}: {held}");
    }
}

#[test]
fn health_5_the_worker_stands_still_at_a_ring_and_users_are_told() {
    for (at, by) in [
        (At::Read(ring(regs::RING_SEQNO)), By::Overdue),
        (At::Write(ring(regs::RING_TAIL)), By::Submission),
        (At::Read(regs::ring(1, regs::RING_STATUS)), By::Overdue),
        (At::Write(regs::ring(1, regs::RING_CTRL)), By::Overdue),
    ] {
        let report = stands_still(at, by);
        let held = report.registers_held.as_ref().expect("the section of the ring").to_string();
        assert!(held.contains("rings.rs"), "{at:?}: {held}");
    }
}

#[test]
fn health_5_an_interrupt_handler_stands_still_and_users_are_told() {
    for at in [
        At::Read(regs::IRQ_STATUS),
        At::Write(regs::IRQ_STATUS),
        At::Read(regs::FLIP_STATUS),
        At::Read(regs::VBLANK_COUNT),
    ] {
        stands_still(
            at,
            By::Call(|client| {
                // Both by this thread and by the handler.
                drop(client.handle.queue_vblank(1));
                drop(client.handle.flip(&client.vram, None));
            }),
        );
    }
    stands_still(At::Read(regs::IRQ_STATUS), By::Completion);
}

#[test]
fn health_5_a_call_stands_still_and_others_are_told() {
    let flip = |client: &Client| drop(client.handle.flip(&client.vram, Some(7)));
    let blank = |client: &Client| drop(client.handle.queue_vblank(7));
    let show = |client: &Client| {
        let _ = client.show(&client.vram);
    };
    let off = |client: &Client| {
        let _ = client.handle.set_mode(None);
    };
    let calls: [(At, Call); 7] = [
        (At::Write(regs::FLIP_BASE), flip),
        (At::Write(regs::IRQ_MASK), blank),
        (At::Read(regs::VBLANK_COUNT), blank),
        (At::Write(regs::SCANOUT_CTRL), show),
        (At::Write(regs::SCANOUT_SIZE), show),
        (At::Read(regs::VBLANK_COUNT), off),
        (At::Write(regs::SCANOUT_CTRL), off),
    ];
    for (at, call) in calls {
        let report = stands_still(at, By::Call(call));
        let held = report.holdouts.as_ref().expect("the section of the call").to_string();
        assert!(held.contains(".rs:"), "{at:?}: {held}");
    }
}
