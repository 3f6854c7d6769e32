//! Scenarios that are too large for loom: many readers of every kind, and revokers that wait or
//! give up, under random schedules.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release -p lifeboat-sync --test shuttle` runs them. As
//! under loom, a wait with a limit of zero gives up at once, and a slot has one place. A failing
//! schedule is printed; `shuttle::replay` runs it again.
#![cfg(shuttle)]

use std::time::Duration;

use lifeboat_sync::{Gate, Reader, Revocable};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use shuttle::thread;

const GIVE_UP: Duration = Duration::ZERO;
const WAIT: Duration = Duration::MAX;
const SCHEDULES: usize = 4_000;
/// Number of thread switches at chosen moments. Half of the runs choose such moments (probabilistic
/// concurrency testing).
const DEPTH: usize = 4;

/// Object that records its drop.
struct Object(Arc<AtomicUsize>);

impl Object {
    fn check(&self) {
        assert_eq!(self.0.load(SeqCst), 0, "access after the drop");
        thread::yield_now();
        assert_eq!(self.0.load(SeqCst), 0, "dropped inside a section");
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        assert_eq!(self.0.fetch_add(1, SeqCst), 0, "dropped twice");
    }
}

struct Device {
    gate: Gate,
    registers: Revocable<Object>,
    drops: Arc<AtomicUsize>,
    cut: AtomicBool,
}

impl Device {
    fn new() -> Arc<Self> {
        let drops = Arc::new(AtomicUsize::new(0));
        let registers = Revocable::new(Object(drops.clone()));
        Arc::new(Self { gate: Gate::new(), registers, drops, cut: AtomicBool::new(false) })
    }

    fn unplug(&self) {
        self.gate.shut();
        self.gate.drain(WAIT).unwrap();
        self.cut.store(true, SeqCst);
        self.registers.revoke(WAIT).unwrap();
        assert_eq!(self.drops.load(SeqCst), 1);
    }

    /// Runs a call that sleeps inside the gate.
    fn call(&self) {
        self.gate.run(|| {
            self.registers.try_access_with(Object::check);
            thread::yield_now();
            assert!(!self.cut.load(SeqCst), "the device was cut off inside a section of the gate");
        });
    }
}

fn explore(scenario: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(scenario.clone(), SCHEDULES);
    shuttle::check_pct(scenario, SCHEDULES, DEPTH);
}

fn spawn(device: &Arc<Device>, f: impl FnOnce(&Device) + Send + 'static) -> thread::JoinHandle<()> {
    let device = device.clone();
    thread::spawn(move || f(&device))
}

fn read(device: &Device) {
    device.registers.try_access_with(Object::check);
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn gate_4_readers_of_every_kind_against_an_unplug() {
    explore(|| {
        let device = Device::new();
        let threads = [
            spawn(&device, Device::call),
            spawn(&device, |device| device.registers.try_access().iter().for_each(|object| object.check())),
            spawn(&device, |device| device.registers.bound().iter().for_each(|object| object.check())),
            spawn(&device, |device| {
                for name in ["one", "another"] {
                    device.registers.try_access_by(&Reader::new(name), Object::check);
                }
            }),
            spawn(&device, |device| {
                // The sections nest, so each borrows a slot.
                let outer = device.registers.try_access();
                let inner = device.registers.try_access();
                drop(outer);
                inner.iter().for_each(|object| object.check());
            }),
        ];
        device.unplug();
        join(threads);
    });
}

#[test]
fn life_7_unplugs_of_every_temper_against_readers() {
    explore(|| {
        let device = Device::new();
        let threads = [
            spawn(&device, Device::unplug),
            spawn(&device, |device| drop(device.registers.revoke(GIVE_UP))),
            spawn(&device, |device| drop(device.gate.drain(GIVE_UP))),
            spawn(&device, Device::call),
            spawn(&device, read),
        ];
        device.unplug();
        join(threads);
    });
}

#[test]
fn the_last_section_drops_what_nobody_waits_for() {
    explore(|| {
        let device = Device::new();
        let threads = [0; 3].map(|_| spawn(&device, read));
        let hasty = spawn(&device, |device| drop(device.registers.revoke(GIVE_UP)));
        drop(device.registers.revoke(GIVE_UP));
        hasty.join().unwrap();
        join(threads);
        assert_eq!(device.drops.load(SeqCst), 1);
    });
}

#[test]
fn gate_3_devices_come_and_go_while_readers_nap_and_wake() {
    explore(|| {
        let devices = [Device::new(), Device::new(), Device::new()];
        let readers = [0, 1].map(|_| {
            let devices = devices.clone();
            thread::spawn(move || {
                for device in devices.iter().chain(devices.iter().rev()) {
                    device.call();
                }
            })
        });
        // Each scan puts the idle readers that it finds to sleep.
        let unplugs = devices.map(|device| spawn(&device, Device::unplug));
        join(unplugs);
        join(readers);
    });
}
