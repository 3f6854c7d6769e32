//! The device dump: taken once per incident, before anything is reset (WEDGE-4).
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lifeboat::core::fence::FenceError;
use lifeboat::core::recovery::Budget;
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::core::wedge::{Failure, Methods};
use lifeboat::dump::{Dump, LeftOut, Reason, RegisterValue, RingState};
use lifeboat::{Bus, Event, Fence, Listeners, Policy, Subscription, WaitError};
use lifeboat_gpu::{Card, Config, Fault, Slot, Trigger};
use lifeboat_lb1::regs::{device_ctrl, device_status, fault, ring_ctrl, ring_status};
use lifeboat_lb1_hosted::Device;
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::ALL_ONES;
use machine::bound::{self, Bound};
use machine::interposer::Access;
use machine::{Client, JOB_TIMEOUT, LONG, assert_lint_is_silent};

const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));
/// How often a device is looked at here.
const PERIOD: Duration = Duration::from_millis(20);

/// A machine whose driver makes no attempt: what it cannot reset is wedged.
struct Rig {
    bus: Bus,
    events: Subscription,
    card: Arc<Card>,
    slot: Arc<Slot>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Policy::default().dump_limit, JOB_TIMEOUT)
    }

    fn with(dump_limit: usize, job_timeout: Duration) -> Self {
        let mut bus = Bus::new(
            lifeboat_lb1_hosted::module(),
            Policy {
                job_timeout,
                watch: Watch { period: PERIOD, stalls: 3 },
                recovery: Budget { attempts: 0, grace: LONG },
                dump_limit,
                ..Policy::default()
            },
        );
        let events = bus.subscribe();
        let card = Card::new(Config::default()).unwrap();
        let slot = Slot::new("0000:01:00.0");
        slot.insert(card.clone()).unwrap();
        bus.attach(&slot).unwrap();
        Self { bus, events, card, slot }
    }

    fn event(&self) -> Event {
        self.events.recv_timeout(LONG).unwrap()
    }

    fn added(&self) -> Device {
        match self.event() {
            Event::Added { minor, .. } => self.bus.device(minor).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The next event is a dump.
    fn dumped(&self) -> Arc<Dump> {
        match self.event() {
            Event::Dumped { minor, location, dump } => {
                assert_eq!((minor.0, &location), (dump.device.minor, &dump.device.location));
                dump
            }
            other => panic!("{other:?}"),
        }
    }

    fn wedged(&self) -> Failure {
        match self.event() {
            Event::Wedged { failure, .. } => failure,
            other => panic!("{other:?}"),
        }
    }

    /// Ends everything; nothing else has happened but what comes of that.
    fn finish(self) {
        self.bus.shutdown().unwrap();
        let others: Vec<_> = self.events.try_iter().filter(|event| !matches!(event, Event::Removed { .. })).collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(self.card.witness().is_empty(), "{:?}", self.card.witness().violations());
        assert_lint_is_silent();
    }
}

fn value(registers: &[RegisterValue], name: &str) -> u32 {
    registers.iter().find(|register| register.name == name).unwrap().value.unwrap()
}

/// What stands at a place of ring 0.
fn opcode(dump: &Dump, index: u32) -> u32 {
    let descriptor = dump.rings[0].descriptors.iter().find(|descriptor| descriptor.index == index).unwrap();
    u32::from_str_radix(&descriptor.bytes.as_ref().unwrap()[..2], 16).unwrap()
}

/// As it would be in a file.
fn bytes(dump: &Dump) -> Vec<u8> {
    let mut bytes = Vec::new();
    dump.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn wedge_4_a_hang_is_dumped_once_and_as_it_was_before_the_reset() {
    let rig = Rig::new();
    let device = rig.added();
    let (bad, good) = (Client::new(&device), Client::new(&device));
    good.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    let hung = bad.submit(0, &[Work::Nop, Work::Hang], &[]);
    let behind = good.submit(0, &[good.fill(1)], &[]);
    let waiting = good.submit(1, &[Work::Nop], std::slice::from_ref(&behind));
    assert_eq!(hung.wait(LONG), GUILTY);
    waiting.wait(LONG).unwrap();
    let dump = rig.dumped();
    assert_eq!(dump.reason, Reason::JobTimeout { ring: 0 });

    // A reset would have cleared all of this.
    let state = &dump.rings[0];
    assert_eq!(value(&state.registers, "RING_CTRL"), ring_ctrl::ENABLE);
    assert_eq!(value(&state.registers, "RING_STATUS"), ring_status::ENABLED | ring_status::BUSY);
    // Two descriptors of the first job, two commands and a number of the one that hangs, two of the one behind it.
    assert_eq!((state.head, state.tail, state.seqno), (Some(3), Some(7), Some(1)));
    assert_eq!((state.issued, state.completed), (Some(3), Some(1)));
    assert_eq!(value(&dump.registers, "DEVICE_STATUS"), device_status::READY);
    let shown: Vec<_> = state.descriptors.iter().map(|descriptor| descriptor.index).collect();
    assert_eq!(shown, [1, 2, 3, 4, 5, 6]);
    assert_eq!([1, 2, 3, 4, 5, 6].map(|index| opcode(&dump, index)), [5, 0, 7, 5, 1, 5]);

    // The one that hangs comes first, and it is blamed.
    let jobs: Vec<_> = dump.jobs.iter().map(|job| (job.fence.clone(), job.number, job.seqno, job.waits)).collect();
    let expected = [(&hung, Some(2), 0), (&behind, Some(3), 0), (&waiting, None, 1)]
        .map(|(fence, seqno, waits)| (fence.name(), fence.seqno().unwrap(), seqno, waits));
    assert_eq!(jobs, expected);
    let guilty = dump.guilty.as_ref().unwrap();
    assert_eq!((&guilty.fence, guilty.number, guilty.ring), (&hung.name(), hung.seqno().unwrap(), 0));
    assert_eq!(guilty.context, dump.jobs[0].context);
    assert_ne!(guilty.context, dump.jobs[1].context, "who only waited behind it is not blamed");
    assert!(Duration::from_micros(dump.jobs[0].age_us) >= JOB_TIMEOUT, "{:?}", dump.jobs[0]);
    assert_eq!(dump.left_out, LeftOut::default());

    assert_eq!(rig.bus.last_dump(device.info().minor), Some(dump));
    drop((bad, good, device));
    rig.finish();
}

#[test]
fn wedge_4_a_ladder_of_resets_that_fail_is_one_incident_and_its_dump_comes_before_the_event() {
    let rig = Rig::new();
    let device = rig.added();
    let client = Client::new(&device);
    for reset in [1, 2] {
        rig.card.schedule(Trigger::Reset(reset), Fault::FailedReset);
    }
    let hung = client.submit(0, &[Work::Hang], &[]);
    let dump = rig.dumped();
    assert_eq!(rig.wedged(), Failure::ResetFailed);
    assert!(hung.wait(LONG).is_err());
    assert_eq!(dump.reason, Reason::JobTimeout { ring: 0 });
    assert_eq!(value(&dump.rings[0].registers, "RING_STATUS"), ring_status::ENABLED | ring_status::BUSY);
    assert_eq!(dump.guilty.as_ref().map(|guilty| (guilty.ring, guilty.number)), Some((0, 1)));
    // Of a wedged device there is nothing more to be read, and what there was is kept.
    let minor = device.info().minor;
    assert_eq!((rig.bus.dump(minor), rig.bus.last_dump(minor)), (None, Some(dump)));
    drop((client, device));
    rig.finish();
}

#[test]
fn wedge_4_a_device_that_hangs_is_dumped_before_it_is_wedged() {
    let rig = Rig::new();
    let client = Client::new(&rig.added());
    let pending = client.submit(1, &[Work::Hang], &[]);
    rig.card.inject(Fault::StuckHeartbeat);
    let dump = rig.dumped();
    assert_eq!(rig.wedged(), Failure::Hung);
    assert_eq!((dump.reason, &dump.guilty), (Reason::Hung, &None));
    // It is up, which after the cut it is not.
    assert_eq!(value(&dump.registers, "DEVICE_CTRL"), device_ctrl::ENABLE);
    assert_eq!(dump.jobs.iter().map(|job| job.fence.clone()).collect::<Vec<_>>(), [pending.name()]);
    drop(client);
    rig.finish();
}

/// A job on ring 0 that hangs, to its end.
fn hang(client: &Client) {
    assert_eq!(client.submit(0, &[Work::Hang], &[]).wait(LONG), GUILTY);
}

#[test]
fn wedge_4_an_incident_ends_when_a_job_completes_after_a_reset_that_succeeded() {
    let rig = Rig::new();
    let client = Client::new(&rig.added());
    hang(&client);
    rig.dumped();
    // Reset, and it has done nothing since.
    hang(&client);
    client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    // By another way into trouble.
    rig.card.inject(Fault::JobFault);
    assert_eq!(client.submit(0, &[Work::Nop], &[]).wait(LONG), GUILTY);
    let second = rig.dumped();
    assert_eq!(second.reason, Reason::Fault { ring: 0 });
    let state = &second.rings[0];
    assert_eq!(value(&state.registers, "RING_STATUS") & ring_status::FAULTED, ring_status::FAULTED);
    assert_eq!(value(&state.registers, "RING_FAULT") & 0xff, u32::from(fault::INJECTED));
    drop(client);
    rig.finish();
}

#[test]
fn wedge_4_what_is_pulled_out_makes_no_dump() {
    let rig = Rig::new();
    let client = Client::new(&rig.added());
    client.submit(0, &[Work::Hang], &[]);
    rig.slot.remove();
    assert!(matches!(rig.event(), Event::Removed { report } if report.loss == Loss::Unplugged));
    drop(client);
    rig.finish();
}

#[test]
fn wedge_4_of_a_device_that_does_not_answer_there_is_what_the_driver_knows() {
    let (dead, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let (is_dead, counted) = (dead.clone(), reads.clone());
    let bound = Bound::heard(
        bound::options(),
        listeners,
        Box::new(move |_, _, _, access| match access {
            Access::Read(_) if is_dead.load(SeqCst) => {
                counted.fetch_add(1, SeqCst);
                Some(ALL_ONES)
            }
            _ => None,
        }),
    );
    let client = bound.client();
    let hung = client.submit(0, &[Work::Hang], &[]);
    let behind = client.submit(1, &[Work::Nop], std::slice::from_ref(&hung));
    dead.store(true, SeqCst);
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::FellOff));
    bound.binding.unplug(Loss::FellOff).unwrap();
    let dumps = bound.binding.take_dumps();
    let [dump] = &dumps[..] else { panic!("{dumps:?}") };
    assert_eq!(dump.reason, Reason::Lost);
    assert_eq!(dump.registers.len() + dump.rings.iter().map(|ring| ring.registers.len()).sum::<usize>(), 0);
    let jobs: Vec<_> = dump.jobs.iter().map(|job| (job.fence.clone(), job.waits)).collect();
    assert_eq!(jobs, [(hung.name(), 0), (behind.name(), 1)]);
    assert_eq!(dump.left_out, LeftOut::default());
    assert!(reads.load(SeqCst) < 20, "a dead device is not read over and over");
    drop((client, hung, behind, bound.binding));
    // The card itself is there, and saw a driver that thinks it gone.
    bound.module.unload().unwrap();
    assert_lint_is_silent();
}

#[test]
fn wedge_4_a_driver_that_finds_its_device_hung_has_its_dump_before_it_says_so() {
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let options = Policy { watch: Watch { period: PERIOD, stalls: 3 }, ..bound::options() };
    let bound = Bound::heard(options, listeners, bound::no_hook());
    bound.card.inject(Fault::StuckHeartbeat);
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::Hung));
    let reasons = |bound: &Bound| bound.binding.take_dumps().iter().map(|dump| dump.reason).collect::<Vec<_>>();
    assert_eq!(reasons(&bound), [Reason::Hung]);
    bound.binding.unplug(Loss::Hung).unwrap();
    assert_eq!(reasons(&bound), [], "it is the same incident");
    bound.finish();
}

#[test]
fn wedge_4_a_device_that_is_wedged_for_another_reason_is_dumped_on_the_way() {
    let bound = Bound::new(bound::no_hook());
    let client = bound.client();
    let pending = client.submit(0, &[Work::Hang], &[]);
    assert!(bound.binding.take_dumps().is_empty());
    bound.binding.wedge(Failure::ResetFailed, Methods::UNKNOWN).unwrap();
    assert!(pending.wait(Duration::ZERO).is_err());
    let dumps = bound.binding.take_dumps();
    let [dump] = &dumps[..] else { panic!("{dumps:?}") };
    assert_eq!((dump.reason, dump.jobs.len()), (Reason::ResetFailed, 1));
    assert_eq!(value(&dump.registers, "DEVICE_CTRL"), device_ctrl::ENABLE, "it is up, which after the cut it is not");
    assert_eq!((bound.binding.dump(), bound.binding.last_dump().as_ref()), (None, Some(dump)));
    bound.binding.unplug(Loss::Unbound).unwrap();
    assert!(bound.binding.take_dumps().is_empty());
    drop(client);
    bound.finish();
}

#[test]
fn wedge_4_dumps_that_nobody_takes_are_kept_as_far_as_there_is_room() {
    let bound = Bound::new(bound::no_hook());
    let client = bound.client();
    for _ in 0..3 {
        hang(&client);
        client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    }
    let blamed: Vec<_> = bound.binding.take_dumps().iter().map(|dump| dump.guilty.clone().unwrap().number).collect();
    assert_eq!(blamed, [1, 3]);
    hang(&client);
    let last = bound.binding.take_dumps();
    assert_eq!(
        last.iter().map(|dump| dump.guilty.clone().unwrap().number).collect::<Vec<_>>(),
        [7],
        "there is room again"
    );
    assert_eq!(bound.binding.last_dump().as_ref(), last.first());
    drop(client);
    bound.finish();
}

#[test]
fn wedge_4_a_dump_is_no_larger_than_its_limit_and_counts_what_it_leaves_out() {
    let mut left_out: Vec<LeftOut> = Vec::new();
    for limit in [0, 4096, 6000, 9000, 16 << 10, 64 << 10, 1 << 20] {
        let rig = Rig::with(limit, LONG);
        let device = rig.added();
        let client = Client::new(&device);
        let fences: Vec<Fence> = (0..300)
            .map(|at| client.submit(at % 2, if at < 2 { &[Work::Hang] } else { &[Work::Nop, Work::Nop] }, &[]))
            .collect();
        // By hand: there is no hurry.
        let until = Instant::now() + LONG;
        let mut are_given = false;
        let dump = loop {
            let dump = rig.bus.dump(device.info().minor).unwrap();
            assert_eq!(rig.dumped(), dump);
            // The jobs of a dump are noted before the registers of its rings: the first dump that shows full rings may have
            // jobs from before they were.
            if are_given {
                break dump;
            }
            are_given = dump.rings.iter().all(|ring| (ring.head, ring.tail) == (Some(0), Some(449)));
            assert!(Instant::now() < until, "{dump:?}");
        };
        assert_eq!(dump.reason, Reason::ByHand);
        let size = bytes(&dump).len();
        assert!(size <= limit.max(4096), "{size} bytes of {limit}");
        let registers = dump.registers.len() + dump.rings.iter().map(|ring| ring.registers.len()).sum::<usize>();
        assert_eq!(registers as u64 + dump.left_out.registers, 18 + 2 * 12);
        assert_eq!(dump.jobs.len() as u64 + dump.left_out.jobs, 300);
        // Two of the job that hangs, three of each other; and what is behind the head, if there is room.
        let ahead = dump.rings.iter().flat_map(|ring| &ring.descriptors).filter(|descriptor| descriptor.index < 449);
        assert_eq!(ahead.count() as u64 + dump.left_out.descriptors, 2 * 449);
        assert_eq!(Dump::read(&bytes(&dump)).unwrap(), *dump);
        // The oldest of each ring come first, however little there is.
        for (job, fence) in dump.jobs.iter().zip(&fences).take(2) {
            assert_eq!((job.fence.clone(), job.number), (fence.name(), 1));
        }
        if size > 9000 {
            let at_head = |ring: &RingState| ring.descriptors.iter().any(|descriptor| descriptor.index == 0);
            assert!(dump.rings.iter().all(at_head), "{limit}");
        }
        left_out.push(dump.left_out);
        drop(client);
        // They all end here, without a wait for the two that hang.
        rig.bus.unbind_all();
        assert!(fences.iter().all(|fence| fence.wait(LONG).is_err()));
        drop((fences, device));
        rig.bus.shutdown().unwrap();
    }
    assert_eq!(left_out.last(), Some(&LeftOut::default()), "there is room for all of it");
    assert!((1..300).contains(&left_out[0].jobs) && left_out[0].descriptors > 0, "{left_out:?}");
    let total = |left: &LeftOut| left.registers + left.jobs + left.descriptors;
    assert!(left_out.windows(2).all(|pair| total(&pair[0]) >= total(&pair[1])), "{left_out:?}");
}
