//! A device that has failed for good: out of use, and kept until somebody helps it.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::time::Duration;

use lifeboat::core::class::Presence;
use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::recovery::Budget;
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::core::wedge::Failure;
use lifeboat::{
    Bus, CallError, Event, Minor, Policy, RequestError, ResetStatus, Subscription, UnplugReport, WaitError,
};
use lifeboat_gpu::{Card, Config, Fault, Slot, Trigger};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_lb1_hosted::{CpuMap, Device};
use lifeboat_pci::{HostMemory, offset};
use machine::{Client, JOB_TIMEOUT, LONG, assert_lint_is_silent};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));
/// How often a device is looked at here.
const PERIOD: Duration = Duration::from_millis(20);

/// A machine whose driver makes so many attempts, and its card.
struct Rig {
    bus: Bus,
    events: Subscription,
    slot: Arc<Slot>,
    card: Arc<Card>,
    /// The card's VRAM, seen from its side.
    vram: HostMemory,
}

impl Rig {
    fn new(attempts: u32) -> Self {
        let mut bus = Bus::new(
            lifeboat_lb1_hosted::module(),
            Policy {
                job_timeout: JOB_TIMEOUT,
                watch: Watch { period: PERIOD, stalls: 3 },
                recovery: Budget { attempts, grace: LONG },
                ..Policy::default()
            },
        );
        let events = bus.subscribe();
        let config = Config::default();
        let memory = HostMemory::shared(config.vram_bytes).unwrap();
        let (file, _) = memory.backing(0, config.vram_bytes).unwrap();
        let vram = HostMemory::from_file(file, config.vram_bytes).unwrap();
        let card = Card::with_shared(config, memory, Arc::new(lifeboat_gpu::Iommu::new(0))).unwrap();
        let slot = Slot::new("0000:01:00.0");
        slot.insert(card.clone()).unwrap();
        bus.attach(&slot).unwrap();
        Self { bus, events, slot, card, vram }
    }

    fn event(&self) -> Event {
        machine::next_event(&self.events)
    }

    fn added(&self) -> Device {
        match self.event() {
            Event::Added { minor, .. } => self.bus.device(minor).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn wedged(&self) -> (Failure, Vec<String>, Arc<UnplugReport>) {
        match self.event() {
            Event::Wedged { failure, event, report, .. } => {
                (failure, event.variables().map(str::to_owned).collect(), report)
            }
            other => panic!("{other:?}"),
        }
    }

    fn removed(&self) -> Arc<UnplugReport> {
        match self.event() {
            Event::Removed { report } => report,
            other => panic!("{other:?}"),
        }
    }

    /// Whether the bus lets the card reach memory.
    fn bus_master(&self) -> bool {
        let function = self.slot.function().unwrap();
        function.config().read16(offset::COMMAND).unwrap() & 4 != 0
    }

    fn finish(self) {
        self.bus.shutdown().unwrap();
        assert!(self.card.witness().is_empty(), "{:?}", self.card.witness().violations());
        assert_lint_is_silent();
    }
}

fn read(map: &CpuMap, at: u64) -> u8 {
    let mut byte = [0];
    map.read(at, &mut byte).unwrap();
    byte[0]
}

#[test]
fn wedge_1_and_3_a_device_that_is_given_up_is_out_of_use_before_anybody_hears_of_it() {
    let rig = Rig::new(0);
    let client = Client::new(&rig.added());
    let map = client.handle.mmap(&client.vram).unwrap();
    let hung = client.submit(0, &[Work::Hang], &[]);
    assert!(rig.bus_master());
    rig.card.inject(Fault::StuckHeartbeat);
    let (failure, variables, report) = rig.wedged();
    assert_eq!((failure, report.loss), (Failure::Hung, Loss::Wedged(Failure::Hung)));
    assert_eq!(variables, ["WEDGED=rebind,bus-reset"]);
    assert!(!rig.bus_master(), "DMA is off");
    assert_eq!(hung.status(), Some(Err(FenceError::Lost)), "fences have signalled");
    let steps: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["announce", "retire", "drain", "sweep", "cut"]);
    assert_eq!((report.maps_cut, report.holdouts.is_none()), (1, true));
    drop((map, client));
    rig.finish();
}

#[test]
fn map_4_maps_of_a_wedged_device_lead_to_nothing_until_their_user_ends_them() {
    let rig = Rig::new(0);
    let client = Client::new(&rig.added());
    let map = client.handle.mmap(&client.vram).unwrap();
    let seen = |pattern: &[u8]| {
        let mut bytes = vec![0; 1 << 20];
        rig.vram.read(0, &mut bytes).unwrap();
        bytes.windows(pattern.len()).any(|window| window == pattern)
    };
    map.write(100, b"before it was wedged").unwrap();
    assert!(seen(b"before it was wedged"));
    rig.card.inject(Fault::StuckHeartbeat);
    rig.wedged();
    map.write(100, b"afterwards").unwrap();
    assert_eq!(read(&map, 100), b'a', "it can be used as before");
    assert!(seen(b"before it was wedged") && !seen(b"afterwards"), "and reaches nobody");
    let late = client.handle.mmap(&client.vram).unwrap();
    assert_eq!(read(&late, 100), 0);
    drop(client);
    rig.bus.unbind_all();
    rig.removed();
    assert_eq!(read(&map, 100), b'a', "only its user ends it");
    let holders = rig.bus.shutdown().unwrap_err();
    assert_eq!(holders.counts.get(&lifeboat_lb1_hosted::kinds::MAP), Some(&2));
    drop((map, late));
    holders.module.unload().unwrap();
}

#[test]
fn call_5_a_wedged_device_refuses_work_with_what_failed_and_says_why_to_who_asks() {
    for (failure, errno) in [(Failure::Hung, Errno::ETIME), (Failure::ResetFailed, Errno::ECANCELED)] {
        let rig = Rig::new(0);
        let device = rig.added();
        let client = Client::new(&device);
        client.show(&client.vram).unwrap();
        let neighbour = client.handle.create_context().unwrap();
        match failure {
            Failure::Hung => rig.card.inject(Fault::StuckHeartbeat),
            Failure::ResetFailed => {
                rig.card.schedule(Trigger::Reset(1), Fault::FailedReset);
                rig.card.schedule(Trigger::Reset(2), Fault::FailedReset);
                assert_eq!(client.submit(0, &[Work::Hang], &[]).wait(LONG), LOST);
            }
            // No fault of the model answers nonsense; see `core::class`, and `dirty.rs` for how it is found.
            Failure::Nonsense => unreachable!(),
        }
        assert_eq!(rig.wedged().0, failure);
        let refused = Some(errno);
        let of = |result: Result<(), CallError>| result.err().map(CallError::errno);
        assert_eq!(of(client.handle.create_context().map(drop)), refused);
        assert_eq!(of(client.try_submit(0, &[Work::Nop], &[]).map(drop)), refused);
        assert_eq!(of(client.vram.read(0, &mut [0])), refused);
        // What is not work is done, and what owes an event sends it.
        assert_eq!(client.handle.flip(&client.vram, None).unwrap().wait(LONG), Ok(()));
        client.host.write(0, &[1]).unwrap();
        client.handle.version();
        // Also who comes now can ask.
        assert_eq!(device.open().unwrap().presence(), Presence::Wedged(failure));
        let blamed = match failure {
            Failure::Hung | Failure::Nonsense => [ResetStatus::Unknown; 2],
            Failure::ResetFailed => [ResetStatus::Guilty, ResetStatus::Innocent],
        };
        assert_eq!([client.context.reset_stats().status, neighbour.reset_stats().status], blamed);
        assert!(!client.handle.is_live());
        drop((neighbour, client, device));
        rig.bus.shutdown().unwrap();
    }
    assert_lint_is_silent();
}

#[test]
fn wedge_2_it_stays_wedged_until_it_is_recovered() {
    let rig = Rig::new(1);
    rig.added();
    rig.card.inject(Fault::StuckHeartbeat);
    assert_eq!(rig.removed().loss, Loss::Hung, "the driver tries first");
    let device = rig.added();
    rig.card.inject(Fault::StuckHeartbeat);
    rig.wedged();
    assert!(rig.events.recv_timeout(10 * PERIOD).is_err(), "nothing happens by itself");
    let minor = device.info().minor;
    assert_eq!(rig.bus.devices::<Device>().len(), 1);
    let another = Minor(minor.0 + 1);
    assert_eq!(rig.bus.rebind(another).wait(LONG), Err(RequestError::NoSuchDevice(another)));
    assert_eq!(rig.bus.bind("0000:01:00.0").wait(LONG), Err(RequestError::AlreadyBound(minor)));
    let rebound = rig.bus.rebind(minor);
    assert_eq!(rig.removed().loss, Loss::Wedged(Failure::Hung));
    assert_eq!(device.presence(), Presence::Gone);
    assert_eq!(device.open().unwrap_err().errno(), Errno::ENXIO);
    let device_again = rig.added();
    assert_eq!(rebound.wait(LONG), Ok(device_again.info().minor));
    let client = Client::new(&device_again);
    client.submit(0, &[client.fill(0x0505_0505), client.download()], &[]).wait(LONG).unwrap();
    assert_eq!(client.host_word(), 0x0505_0505, "it works again, as a new device");
    drop((client, device, device_again));
    rig.finish();
}

#[test]
fn wedge_2_a_wedged_device_that_is_pulled_out_is_gone() {
    let rig = Rig::new(0);
    let device = rig.added();
    rig.card.inject(Fault::StuckHeartbeat);
    rig.wedged();
    rig.slot.remove();
    rig.removed();
    assert_eq!((device.presence(), rig.bus.devices::<Device>().len()), (Presence::Gone, 0));
    rig.slot.insert(Card::new(Config::default()).unwrap()).unwrap();
    drop((device, rig.added()));
    rig.finish();
}

#[test]
fn wedge_2_a_device_whose_resets_fail_is_bound_so_often_and_then_wedged() {
    let rig = Rig::new(3);
    drop(rig.added());
    rig.slot.remove();
    rig.removed();
    // Each binding resets the device when it begins, its hung ring, the device because that failed, and the device when
    // it ends. Those in the middle never work.
    let card = Card::new(Config::default()).unwrap();
    for reset in (2..34).step_by(4) {
        card.schedule(Trigger::Reset(reset), Fault::FailedReset);
        card.schedule(Trigger::Reset(reset + 1), Fault::FailedReset);
    }
    rig.slot.insert(card.clone()).unwrap();
    for attempt in 0..4 {
        let client = Client::new(&rig.added());
        assert_eq!(client.submit(0, &[Work::Hang], &[]).wait(LONG), LOST);
        if attempt < 3 {
            assert_eq!(rig.removed().loss, Loss::Crashed);
        }
    }
    assert_eq!(rig.wedged().0, Failure::ResetFailed);
    assert!(rig.events.recv_timeout(10 * PERIOD).is_err(), "and left alone");
    rig.finish();
}
