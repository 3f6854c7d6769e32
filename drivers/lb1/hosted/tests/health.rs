//! Is the device alive? What is read decides, and what it decides is how it is left.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod machine;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::{Listeners, Policy, UnplugReport, WaitError};
use lifeboat_gpu::Fault;
use lifeboat_lb1::regs::{self, device_ctrl};
use lifeboat_lb1_hosted::command::Work;
use lifeboat_pci::{ALL_ONES, Bar, BusError, ConfigSpace, command, offset};
use machine::LONG;
use machine::bound::{Bound, Hook, no_hook, options, plugged};
use machine::interposer::{Access, Interposer};

const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));
const SEQNO_OF_RING_0: u64 = regs::ring(0, regs::RING_SEQNO);

#[test]
fn health_1_a_register_that_may_read_all_ones_is_no_loss_while_the_identity_answers() {
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let (ones, asked) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let hook: Hook = {
        let (ones, asked) = (ones.clone(), asked.clone());
        Box::new(move |bar, _: &dyn Bar, offset, access| {
            if bar != regs::REGISTER_BAR || !matches!(access, Access::Read(_)) {
                return None;
            }
            if offset == regs::ID {
                asked.fetch_add(1, SeqCst);
            }
            // Every other time; a sequence number may be anything.
            let lies = offset == SEQNO_OF_RING_0 && ones.fetch_add(1, SeqCst) % 2 == 0;
            lies.then_some(ALL_ONES)
        })
    };
    let bound = Bound::heard(options(), listeners, hook);
    let client = bound.client();
    let before = asked.load(SeqCst);
    for _ in 0..5 {
        client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    }
    assert!(ones.load(SeqCst) > 5, "the register was read");
    assert!(asked.load(SeqCst) > before, "and its suspicious value asked about");
    assert!(told.try_recv().is_err() && client.handle.is_live());
    drop(client);
    bound.finish();
}

#[test]
fn health_1_ones_of_a_buffer_are_no_loss_and_those_of_a_lost_device_are_no_buffer() {
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let bound = Bound::heard(options(), listeners, no_hook());
    let client = bound.client();
    let mut bytes = [0; 8];
    client.vram.write(0, &[0xff; 8]).unwrap();
    client.vram.read(0, &mut bytes).unwrap();
    assert_eq!((bytes, told.try_recv()), ([0xff; 8], Err(mpsc::TryRecvError::Empty)));
    client.vram.write(0, &[1; 8]).unwrap();
    // Nobody tells the driver. What it reads then was never written there.
    bound.slot.remove();
    assert!(client.vram.read(0, &mut bytes).unwrap_err().is_loss(), "{bytes:?}");
    assert_eq!(told.try_recv(), Ok(Loss::FellOff));
    drop(client);
    bound.finish();
}

/// Registers written and read while a device is unplugged, and how that went.
fn unplugged(loss: Loss) -> (Vec<(u64, Access)>, Arc<UnplugReport>) {
    let log: Arc<Mutex<Vec<(u64, Access)>>> = Arc::default();
    let seen = log.clone();
    let bound = Bound::new(Box::new(move |bar, _: &dyn Bar, offset, access| {
        if bar == regs::REGISTER_BAR {
            seen.lock().unwrap().push((offset, access));
        }
        None
    }));
    let client = bound.client();
    // Probe rings the doorbell, too: each ring proves itself by a job.
    log.lock().unwrap().clear();
    let _hung = client.submit(1, &[Work::Hang], &[]);
    // The last that the worker does to the device before it waits. Nothing interrupts: the job does not end. So what comes
    // now is the unplug's.
    let doorbell = regs::ring(1, regs::RING_TAIL);
    let rung = |(offset, access): &(u64, Access)| *offset == doorbell && matches!(access, Access::Written(_));
    while !log.lock().unwrap().iter().any(rung) {
        std::thread::yield_now();
    }
    log.lock().unwrap().clear();
    if loss == Loss::Unplugged {
        bound.slot.remove();
    }
    let report = bound.binding.unplug(loss).unwrap();
    drop(client);
    bound.finish();
    let log = log.lock().unwrap().clone();
    (log, report)
}

#[test]
fn health_3_a_dead_device_is_asked_once_and_a_live_one_shut_down_in_order() {
    let (log, report) = unplugged(Loss::Unplugged);
    assert!(!report.device_alive);
    assert!(log.iter().all(|(offset, access)| *offset == regs::ID && matches!(access, Access::Read(_))), "{log:?}");

    let (log, report) = unplugged(Loss::Unbound);
    assert!(report.device_alive);
    let at = |wanted: &dyn Fn(u64, Access) -> bool| log.iter().position(|(offset, access)| wanted(*offset, *access));
    let asked = at(&|offset, _| offset == regs::ID).unwrap();
    let masked = at(&|offset, access| offset == regs::IRQ_MASK && access == Access::Write(0)).unwrap();
    let reset = at(
        &|offset, access| matches!(access, Access::Write(value) if offset == regs::DEVICE_CTRL && value & device_ctrl::RESET != 0),
    );
    let waited = at(&|offset, access| offset == regs::DEVICE_STATUS && matches!(access, Access::Read(_)));
    assert!(asked < masked && Some(masked) < reset && reset < waited, "{log:?}");
}

/// The shutdown is the first act of the cut: at each of its accesses the device still reaches memory and its registers are
/// mapped, as they were all along. Nothing is asked after the bus master is off.
#[test]
fn health_3_and_life_5_the_shutdown_of_a_device_that_answers_runs_first_in_the_cut_with_full_access() {
    let (card, slot) = plugged();
    let function = slot.function().unwrap();
    let config = function.config();
    let enabled = command::BUS_MASTER | command::MEMORY;
    let log: Arc<Mutex<Vec<(u64, Access, bool)>>> = Arc::default();
    let seen = log.clone();
    let hook = move |bar, _: &dyn Bar, offset, access| {
        if bar == regs::REGISTER_BAR {
            let has_all = config.read16(offset::COMMAND).is_ok_and(|command| command & enabled == enabled);
            seen.lock().unwrap().push((offset, access, has_all));
        }
        None
    };
    let module = lifeboat_lb1_hosted::module();
    let binding = module.probe(&Interposer::on(function, hook), &options(), Listeners::none()).unwrap();
    log.lock().unwrap().clear();
    let report = binding.unplug(Loss::Unbound).unwrap();
    assert!(report.device_alive);
    let log = log.lock().unwrap().clone();
    let masked = log.iter().position(|(at, access, _)| *at == regs::IRQ_MASK && *access == Access::Write(0)).unwrap();
    let shutdown = &log[masked..];
    let resets = |access: &Access| matches!(access, Access::Write(value) if value & device_ctrl::RESET != 0);
    assert!(shutdown.iter().any(|(at, access, _)| *at == regs::DEVICE_CTRL && resets(access)), "{log:?}");
    assert!(shutdown.iter().all(|(.., has_all)| *has_all), "the device was cut off before it was shut down: {log:?}");
    module.unload().unwrap();
    assert!(card.witness().is_empty());
}

/// To be seen: `cargo test --release -p lifeboat --test health thousand -- --nocapture`.
#[test]
fn health_3_nothing_is_waited_for_if_the_device_goes_with_a_thousand_jobs_in_flight() {
    const JOBS: usize = 1000;
    let mut times = Vec::new();
    for _ in 0..20 {
        let bound = Bound::with(Policy { job_timeout: LONG, ..options() }, no_hook());
        let client = bound.client();
        let hang = |ring| client.submit(ring, &[Work::Hang], &[]);
        let fences: Vec<_> = [hang(0), hang(1)]
            .into_iter()
            .chain((2..JOBS).map(|number| client.submit(usize::from(number % 2 == 0), &[Work::Nop], &[])))
            .collect();
        bound.slot.remove();
        let report = bound.binding.unplug(Loss::Unplugged).unwrap();
        assert_eq!(report.fences_retired, JOBS);
        assert!(fences.iter().all(|fence| fence.wait(Duration::ZERO) == LOST));
        times.push(report.took());
        drop(client);
        bound.finish();
    }
    times.sort_unstable();
    println!("{JOBS} jobs in flight: unplug {:?} at the median, {:?} at most", times[times.len() / 2], times[19]);
}

/// Looks a hundred times as often as usual.
const WATCH: Watch = Watch { period: Duration::from_millis(20), stalls: 3 };

/// A device that nobody uses, and what the driver says of it.
fn watched(hook: Hook) -> (Bound, mpsc::Receiver<Loss>) {
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    (Bound::heard(Policy { watch: WATCH, ..options() }, listeners, hook), told)
}

#[test]
fn health_2_a_heartbeat_that_stands_still_is_noticed_although_the_registers_answer() {
    let (bound, told) = watched(no_hook());
    assert!(told.recv_timeout(10 * WATCH.period).is_err(), "it is well");
    bound.card.inject(Fault::StuckHeartbeat);
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::Hung));
    assert!(told.recv_timeout(10 * WATCH.period).is_err(), "it is said once");
    bound.finish();
}

#[test]
fn health_2_a_device_that_falls_silent_is_noticed_although_nobody_uses_it() {
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = dead.clone();
    let (bound, told) = watched(Box::new(move |_, _: &dyn Bar, _, access| match access {
        Access::Read(_) if is_dead.load(SeqCst) => Some(ALL_ONES),
        _ => None,
    }));
    dead.store(true, SeqCst);
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::FellOff));
    drop(bound.binding);
    bound.module.unload().unwrap();
}

/// Configuration space, until it falls silent.
struct Muted {
    inner: Arc<dyn ConfigSpace + Send + Sync>,
    silent: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
}

impl ConfigSpace for Muted {
    fn read32(&self, offset: u16) -> Result<u32, BusError> {
        self.asked.fetch_add(1, SeqCst);
        if self.silent.load(SeqCst) { Ok(ALL_ONES) } else { self.inner.read32(offset) }
    }

    fn read16(&self, offset: u16) -> Result<u16, BusError> {
        self.inner.read16(offset)
    }

    fn write16(&self, offset: u16, value: u16) -> Result<(), BusError> {
        self.inner.write16(offset, value)
    }

    fn write32(&self, offset: u16, value: u32) -> Result<(), BusError> {
        self.inner.write32(offset, value)
    }
}

#[test]
fn health_1_configuration_space_that_is_silent_is_no_loss_while_registers_answer() {
    let (card, slot) = plugged();
    let (lost, told) = mpsc::channel();
    let listeners = Listeners::none().on_loss(move |loss| lost.send(loss).unwrap());
    let (function, silent) = (slot.function().unwrap(), Arc::<AtomicBool>::default());
    let asked = Arc::<AtomicU32>::default();
    let config = Arc::new(Muted { inner: function.config(), silent: silent.clone(), asked: asked.clone() });
    let module = lifeboat_lb1_hosted::module();
    let options = Policy { watch: WATCH, ..options() };
    let binding = module.probe(&Interposer::with_config(function, config), &options, listeners).unwrap();
    silent.store(true, SeqCst);
    let before = asked.load(SeqCst);
    assert!(told.recv_timeout(10 * WATCH.period).is_err(), "its registers answer");
    assert!(asked.load(SeqCst) > before, "it was asked");
    // Now they do not either.
    slot.remove();
    assert_eq!(told.recv_timeout(LONG), Ok(Loss::FellOff));
    drop(binding);
    module.unload().unwrap();
    assert!(card.witness().is_empty());
}

#[test]
fn health_2_a_slow_device_is_no_dead_one() {
    let (bound, told) = watched(no_hook());
    let client = bound.client();
    bound.card.inject(Fault::Slow(4 * WATCH.period));
    for _ in 0..5 {
        client.submit(0, &[Work::Nop], &[]).wait(LONG).unwrap();
    }
    assert!(told.try_recv().is_err());
    drop(client);
    bound.finish();
}
