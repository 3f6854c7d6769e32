//! A device that fails and is bound again, and again.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::core::recovery::{Budget, GivenUp};
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::{Bus, Event, Policy, ProbeError, Subscription, WaitError};
use lifeboat_gpu::{Card, Config, Fault, Trigger};
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::Device;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::{ALL_ONES, Function, Slot, SlotWatcher};
use machine::interposer::{Access, Interposer};
use machine::{Client, LONG, Machine, assert_lint_is_silent};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

/// A slot whose device stops answering when it is told to, and answers again for whoever binds it next.
struct Haunted {
    slot: Arc<lifeboat_gpu::Slot>,
    silent: Arc<AtomicBool>,
    /// Its heartbeat stands still, also after a reset.
    stuck: Arc<AtomicBool>,
}

impl Slot for Haunted {
    fn location(&self) -> &str {
        self.slot.location()
    }

    fn function(&self) -> Option<Arc<dyn Function>> {
        let (silent, stuck) = (self.silent.clone(), self.stuck.clone());
        silent.store(false, SeqCst);
        Some(Interposer::on(self.slot.function()?, move |bar, _, offset, access| match access {
            Access::Read(_) if bar != regs::REGISTER_BAR => None,
            Access::Read(_) if silent.load(SeqCst) => Some(ALL_ONES),
            Access::Read(_) if offset == regs::HEARTBEAT && stuck.load(SeqCst) => Some(5),
            _ => None,
        }))
    }

    fn watch(&self, watcher: SlotWatcher) {
        self.slot.watch(watcher);
    }
}

struct Rig {
    bus: Bus,
    events: Subscription,
    slot: Arc<Haunted>,
}

impl Rig {
    fn new(recovery: Budget) -> Self {
        Self::with(recovery, Watch::DEFAULT)
    }

    fn with(recovery: Budget, watch: Watch) -> Self {
        let options = Policy { recovery, watch, ..Policy::default() };
        let mut bus = Bus::new(lifeboat_lb1_hosted::module(), options);
        let events = bus.subscribe();
        let slot = lifeboat_gpu::Slot::new("0000:01:00.0");
        slot.insert(Card::new(Config::default()).unwrap()).unwrap();
        let slot = Arc::new(Haunted { slot, silent: Arc::default(), stuck: Arc::default() });
        bus.attach(&slot).unwrap();
        Self { bus, events, slot }
    }

    fn event(&self) -> Event {
        machine::next_event(&self.events)
    }

    /// Waits for the device, and makes it fall silent.
    fn haunt(&self) {
        let Event::Added { minor, .. } = self.event() else { panic!("no device") };
        let handle = self.bus.device::<Device>(minor).unwrap().open().unwrap();
        self.slot.silent.store(true, SeqCst);
        // The driver notices by what it reads.
        let mode = handle.resources().mode(16, 16);
        let picture = handle.create_buffer(lifeboat_lb1_hosted::Placement::Vram, 1024).unwrap();
        assert!(handle.set_mode(Some((&picture, mode))).unwrap_err().is_loss());
        let Event::Removed { report } = self.event() else { panic!("no removal") };
        assert_eq!(report.loss, Loss::FellOff);
    }

    /// Waits to hear that the device is left alone: once, and then nothing.
    fn left_alone(&self) {
        assert!(matches!(self.event(), Event::LeftAlone { why: GivenUp::Recoveries, .. }));
        assert!(self.events.recv_timeout(Duration::from_millis(300)).is_err(), "it is left alone");
    }

    fn finish(self) {
        self.bus.shutdown().unwrap();
        assert_lint_is_silent();
    }
}

#[test]
fn recov_2_a_device_that_keeps_failing_is_bound_so_often_and_then_left_alone() {
    let rig = Rig::new(Budget { attempts: 2, grace: LONG });
    for _ in 0..3 {
        rig.haunt();
    }
    rig.left_alone();
    assert!(rig.bus.devices::<Device>().is_empty());
    // What is put in its place is another device.
    rig.slot.slot.remove();
    rig.slot.slot.insert(Card::new(Config::default()).unwrap()).unwrap();
    rig.haunt();
    assert!(matches!(rig.event(), Event::Added { .. }));
    rig.finish();
}

#[test]
fn recov_2_a_device_that_works_in_between_is_bound_again_for_ever() {
    let rig = Rig::new(Budget { attempts: 1, grace: Duration::ZERO });
    for _ in 0..10 {
        rig.haunt();
    }
    assert!(matches!(rig.event(), Event::Added { .. }));
    rig.finish();
}

#[test]
fn recov_3_an_unplug_in_the_middle_of_a_reset_ends_in_the_unplugged_state() {
    for reset in [1, 2] {
        let machine = Machine::new();
        let client = Client::new(&machine.added());
        // The ring's, or the device's after that has failed: the card goes right when it begins.
        if reset == 2 {
            machine.card().schedule(Trigger::Reset(1), Fault::FailedReset);
        }
        machine.card().schedule(Trigger::Reset(reset), Fault::Remove);
        let hung = client.submit(0, &[Work::Hang], &[]);
        let after = client.submit(0, &[Work::Nop], &[]);
        assert_eq!((hung.wait(LONG), after.wait(LONG)), (LOST, LOST));
        machine.removed();
        assert!(client.handle.create_context().unwrap_err().is_loss() && machine.bus().devices::<Device>().is_empty());
        drop(client);
        assert!(machine.finish().is_empty(), "nothing comes of the recovery any more");
    }
}

#[test]
fn recov_3_a_fault_in_the_middle_of_an_unplug_ends_in_the_unplugged_state() {
    for fault in [Fault::FailedReset, Fault::Remove, Fault::SpuriousInterrupt, Fault::StuckHeartbeat] {
        let machine = Machine::new();
        let client = Client::new(&machine.added());
        let hung = client.submit(0, &[Work::Hang], &[]);
        // The unplug resets a device that is alive.
        machine.card().schedule(Trigger::Reset(1), fault);
        machine.bus().unbind_all();
        let report = machine.removed();
        assert_eq!((report.loss, report.holdouts.is_none(), hung.wait(LONG)), (Loss::Unbound, true, LOST), "{fault:?}");
        assert!(machine.bus().devices::<Device>().is_empty());
        drop(client);
        assert!(machine.finish().is_empty());
    }
}

#[test]
fn recov_1_a_device_that_hangs_is_reset_bound_again_and_works() {
    let watch = Watch { period: Duration::from_millis(20), stalls: 3 };
    let rig = Rig::with(Budget::default(), watch);
    for _ in 0..2 {
        let Event::Added { minor, .. } = rig.event() else { panic!("no device") };
        let client = Client::new(&rig.bus.device(minor).unwrap());
        client.submit(0, &[client.fill(7), client.download()], &[]).wait(LONG).unwrap();
        assert_eq!(client.host_word(), 0x0000_0007, "it works");
        let (hung, behind) = (client.submit(0, &[Work::Hang], &[]), client.submit(0, &[Work::Nop], &[]));
        let sleeper = std::thread::spawn(move || hung.wait(LONG));
        rig.slot.slot.card().unwrap().inject(Fault::StuckHeartbeat);
        assert_eq!((sleeper.join().unwrap(), behind.wait(LONG)), (LOST, LOST), "who sleeps is woken");
        let Event::Removed { report } = rig.event() else { panic!("no removal") };
        assert_eq!((report.loss, report.device_alive), (Loss::Hung, true));
    }
    assert!(matches!(rig.event(), Event::Added { .. }));
    rig.finish();
}

#[test]
fn recov_1_a_device_whose_heartbeat_does_not_advance_after_its_reset_has_not_come_back() {
    let watch = Watch { period: Duration::from_millis(20), stalls: 3 };
    let rig = Rig::with(Budget { attempts: 2, grace: LONG }, watch);
    assert!(matches!(rig.event(), Event::Added { .. }));
    rig.slot.stuck.store(true, SeqCst);
    assert!(matches!(rig.event(), Event::Removed { report } if report.loss == Loss::Hung));
    for _ in 0..2 {
        assert!(matches!(rig.event(), Event::ProbeFailed { error: ProbeError::NotAlive, .. }));
    }
    rig.left_alone();
    rig.finish();
}
