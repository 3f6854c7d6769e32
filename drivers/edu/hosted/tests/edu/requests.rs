//! Requests to a bus, by name of the slot or number of the device, say what comes of them.

use std::sync::Mutex;

use lifeboat::core::recovery::Patience;
use lifeboat::{ProbeError, RequestError};
use lifeboat_pci_model::{Model, Upstream};

use super::*;

const SLOT: &str = "0000:02:00.0";
/// The vendor and device id of a function that does not answer.
const SILENT: u16 = u16::MAX;

fn errno(error: RequestError) -> Errno {
    error.into()
}

#[test]
fn a_device_that_is_unbound_by_request_is_bound_again_by_request() {
    let machine = Machine::new();
    let device = machine.added();
    let report = machine.bus.unbind(Minor(0)).wait(LONG).unwrap();
    assert_eq!((report.loss, report.minor, device.factorial(1).is_err()), (Loss::Unbound, Minor(0), true));
    assert_eq!(machine.bus.bind(SLOT).wait(LONG), Ok(Minor(1)));
    assert_eq!(machine.bus.device::<Device>(Minor(1)).unwrap().factorial(3).unwrap().fence.wait(LONG), Ok(()));
    drop(device);
    machine.finish();
}

#[test]
fn a_device_that_is_bound_again_has_another_number() {
    let machine = Machine::new();
    drop(machine.added());
    assert_eq!(machine.bus.rebind(Minor(0)).wait(LONG), Ok(Minor(1)));
    assert_eq!(machine.bus.rebind(Minor(1)).wait(LONG), Ok(Minor(2)));
    machine.finish();
}

#[test]
fn a_request_about_what_is_not_there_is_refused() {
    let machine = Machine::new();
    drop(machine.added());
    let gone = RequestError::NoSuchDevice(Minor(7));
    assert_eq!(machine.bus.rebind(Minor(7)).wait(LONG), Err(gone));
    assert_eq!(machine.bus.unbind(Minor(7)).wait(LONG).unwrap_err(), gone);
    assert_eq!(machine.bus.bind("nowhere").wait(LONG), Err(RequestError::NoSuchSlot));
    let bound = RequestError::AlreadyBound(Minor(0));
    assert_eq!(machine.bus.bind(SLOT).wait(LONG), Err(bound));
    assert_eq!([gone, RequestError::NoSuchSlot, bound].map(errno), [Errno::ENODEV, Errno::ENOENT, Errno::EBUSY]);
    machine.slot.remove();
    machine.removed();
    assert_eq!(machine.bus.bind(SLOT).wait(LONG), Err(RequestError::Empty));
    machine.finish();
}

#[test]
fn a_request_says_why_a_device_cannot_be_bound() {
    let machine = Machine::new();
    drop(machine.added());
    machine.slot.insert(Card::new(0x1234, 0x4321, 1 << 20, Educational::new(0x100)));
    machine.removed();
    let Event::ProbeFailed { error, .. } = machine.event() else { panic!("no driver binds to it") };
    assert_eq!(machine.bus.bind(SLOT).wait(LONG), Err(RequestError::Probe(error)));
    assert_eq!((error, errno(error.into())), (ProbeError::NotOurs(0x4321_1234), Errno::ENODEV));
    assert!(matches!(machine.event(), Event::ProbeFailed { .. }));
    // The driver's own reason.
    machine.slot.insert(Card::new(0x1234, 0x11e8, 1 << 4, Educational::new(0x100)));
    let Event::ProbeFailed { error, .. } = machine.event() else { panic!("its registers are too few") };
    assert_eq!(machine.bus.bind(SLOT).wait(LONG), Err(RequestError::Probe(error)));
    machine.finish();
}

#[test]
fn a_request_that_is_under_way_ends_with_what_ends_it() {
    let mut module = Module::new();
    module.register::<Service>(());
    let patience = Patience { silent: LONG, ..Patience::DEFAULT };
    let mut bus = Bus::new(module, Policy { patience, ..Policy::default() });
    let slot = Slot::new(SLOT);
    slot.insert(Card::new(SILENT, SILENT, 1 << 20, Educational::new(0x100)));
    bus.attach(&slot).unwrap();
    assert_eq!(bus.bind(SLOT).wait(Duration::from_millis(10)), Err(RequestError::TimedOut), "it is not ready");
    let unbound = bus.bind(SLOT);
    bus.unbind_all();
    let silent = ProbeError::NotReady(u32::MAX);
    assert_eq!(unbound.wait(LONG), Err(RequestError::Probe(silent)));
    assert_eq!(errno(silent.into()), Errno::EAGAIN);
    let stopped = bus.bind(SLOT);
    drop(bus);
    assert_eq!(stopped.wait(LONG), Err(RequestError::Stopped));
}

/// A device whose registers are read by nobody while the lock is held.
struct Held(Educational, Mutex<()>);

impl Model for Held {
    fn read(&self, register: u64) -> u32 {
        let _turn = self.1.lock();
        self.0.read(register)
    }

    fn write(&self, register: u64, value: u32, upstream: &Upstream<'_>) {
        self.0.write(register, value, upstream);
    }
}

#[test]
fn a_device_that_is_unbound_while_it_is_bound_overrides_the_request() {
    let mut module = Module::new();
    module.register::<Service>(());
    let (mut bus, slot) = (Bus::new(module, Policy::default()), Slot::new(SLOT));
    let card = slot.insert(Card::new(0x1234, 0x11e8, 1 << 20, Held(Educational::new(0x100), Mutex::new(()))));
    let held = card.model().1.lock();
    bus.attach(&slot).unwrap();
    bus.unbind_all();
    let overridden = bus.bind(SLOT);
    bus.unbind_all();
    drop(held);
    assert_eq!(overridden.wait(LONG), Err(RequestError::Overridden));
    assert_eq!(errno(RequestError::Overridden), Errno::ECANCELED);
    bus.shutdown().unwrap();
    assert_eq!(card.mistakes(), []);
}
