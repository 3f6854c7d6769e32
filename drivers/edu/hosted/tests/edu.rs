//! The driver on a model of the device, through the base and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

#[path = "edu/interrupts.rs"]
mod interrupts;
#[path = "edu/requests.rs"]
mod requests;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use lifeboat::core::errno::Errno;
use lifeboat::core::fence::FenceError;
use lifeboat::core::unplug::Loss;
use lifeboat::core::vitals::Watch;
use lifeboat::driver::Driver as _;
use lifeboat::{Bus, CallError, Event, Minor, Module, Policy, Subscription, WaitError};
use lifeboat_edu_hosted::{Device, Service};
use lifeboat_edu_model::{Educational, card};
use lifeboat_pci::HostMemory;
use lifeboat_pci_model::{Card, Slot};

/// Long enough for a busy machine.
const LONG: Duration = Duration::from_mins(1);
const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

struct Machine {
    slot: Arc<Slot>,
    card: Arc<Card<Educational>>,
    bus: Bus,
    events: Subscription,
}

impl Machine {
    fn new() -> Self {
        Self::watched(Watch::DEFAULT)
    }

    fn watched(watch: Watch) -> Self {
        let mut module = Module::new();
        module.register::<Service>(());
        let mut bus = Bus::new(module, Policy { watch, ..Policy::default() });
        let (slot, events) = (Slot::new("0000:02:00.0"), bus.subscribe());
        bus.attach(&slot).unwrap();
        let card = slot.insert(card(0x100));
        Self { slot, card, bus, events }
    }

    fn added(&self) -> Device {
        match self.event() {
            Event::Added { minor, .. } => self.bus.device(minor).unwrap(),
            other => panic!("expected a device, got {other:?}"),
        }
    }

    fn removed(&self) -> Loss {
        match self.event() {
            Event::Removed { report } => report.loss,
            other => panic!("expected a removal, got {other:?}"),
        }
    }

    fn event(&self) -> Event {
        loop {
            match self.events.recv_timeout(LONG).expect("an event") {
                Event::Dumped { .. } => {}
                event => return event,
            }
        }
    }

    fn finish(self) {
        self.bus.shutdown().unwrap();
        assert_eq!(self.card.mistakes(), []);
    }
}

fn memory(bytes: &[u8]) -> Arc<HostMemory> {
    let memory = HostMemory::new(bytes.len() as u64).unwrap();
    memory.write(0, bytes).unwrap();
    Arc::new(memory)
}

#[test]
fn the_version_is_the_crates() {
    assert_eq!(lifeboat_edu::Edu::FACTS.version, env!("CARGO_PKG_VERSION"));
}

#[test]
fn computes_a_factorial() {
    let machine = Machine::new();
    let device = machine.added();
    for (number, factorial) in [(0, 1), (5, 120), (12, 479_001_600)] {
        let answer = device.factorial(number).unwrap();
        assert_eq!((answer.fence.wait(LONG), answer.value.get()), (Ok(()), Some(&factorial)));
    }
    drop(device);
    machine.finish();
}

#[test]
fn an_interrupt_that_is_lost_is_made_up_for() {
    let machine = Machine::new();
    let device = machine.added();
    machine.card.model().is_mute.store(true, SeqCst);
    let answer = device.factorial(6).unwrap();
    assert_eq!((answer.fence.wait(LONG), answer.value.get()), (Ok(()), Some(&720)));
    drop(device);
    machine.finish();
}

#[test]
fn copies_bytes_there_and_back() {
    let machine = Machine::new();
    let device = machine.added();
    let (there, back) = (memory(b"over the side"), memory(&[0; 13]));
    device.transfer(false, &there).unwrap().fence.wait(LONG).unwrap();
    device.transfer(true, &back).unwrap().fence.wait(LONG).unwrap();
    let mut bytes = [0; 13];
    back.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"over the side");
    let large = device.transfer(true, &memory(&[0; 5000])).map(|_| ()).map_err(CallError::errno);
    assert_eq!(large, Err(Errno::EINVAL));
    drop(device);
    machine.finish();
}

/// The device makes the transfer at the moment at which its user is told that it is lost.
#[test]
fn sched_2_memory_of_a_transfer_stays_until_the_device_is_stopped() {
    let machine = Machine::new();
    let device = machine.added();
    machine.card.model().holds_transfers.store(true, SeqCst);
    let memory = memory(&[0; 64]);
    let answer = device.transfer(true, &memory).unwrap();
    let card = machine.card.clone();
    answer.fence.on_signal(move |_| card.upstream(Educational::end_transfer));
    machine.bus.unbind_all();
    assert_eq!(answer.fence.wait(LONG), LOST);
    assert_eq!(machine.removed(), Loss::Unbound);
    assert_eq!(Arc::strong_count(&memory), 1, "and no longer");
    drop((answer, device));
    machine.finish();
}

#[test]
fn drv_2_life_2_fence_2_call_7_a_device_without_rings_that_is_pulled_out_answers_whoever_waits() {
    let machine = Machine::new();
    let device = machine.added();
    machine.card.model().is_slow.store(true, SeqCst);
    let answer = device.factorial(5).unwrap();
    let busy = device.factorial(6).map(|_| ()).map_err(CallError::errno);
    assert_eq!(busy, Err(Errno::EBUSY));
    machine.slot.remove();
    assert_eq!((answer.fence.wait(LONG), answer.value.get()), (LOST, None));
    assert_eq!(machine.removed(), Loss::Unplugged);
    assert_eq!(device.factorial(5).map(|_| ()).map_err(CallError::errno), Err(Errno::ENODEV));
    // Still held, it keeps its module.
    let refused = machine.bus.shutdown().unwrap_err();
    drop(device);
    refused.module.unload().unwrap();
    assert_eq!(machine.card.mistakes(), []);
}

#[test]
fn drv_2_health_4_recov_1_one_that_answers_nonsense_while_nobody_uses_it_is_found_and_bound_again() {
    let machine = Machine::watched(Watch { period: Watch::SHORTEST, stalls: 3 });
    drop(machine.added());
    machine.card.model().error.store(1, SeqCst);
    assert_eq!(machine.removed(), Loss::Nonsense);
    machine.card.model().error.store(0, SeqCst);
    let device = machine.added();
    assert_eq!(device.factorial(3).unwrap().fence.wait(LONG), Ok(()));
    drop(device);
    machine.finish();
}

#[test]
fn drv_2_life_4_another_one_in_its_place_is_another_device() {
    let machine = Machine::new();
    let device = machine.added();
    machine.slot.insert(card(0x101));
    assert_eq!(machine.removed(), Loss::Unplugged);
    let new = machine.added();
    assert_eq!(new.factorial(4).unwrap().fence.wait(LONG), Ok(()));
    assert!(device.factorial(4).map(|_| ()).is_err_and(CallError::is_loss));
    drop((device, new));
    machine.finish();
}

#[test]
fn a_dump_by_hand_shows_its_registers() {
    let machine = Machine::new();
    let device = machine.added();
    let Event::Dumped { dump, .. } = ({
        machine.bus.dump(Minor(0)).unwrap();
        machine.events.recv_timeout(LONG).unwrap()
    }) else {
        panic!("no dump was told")
    };
    assert_eq!((dump.device.model.as_str(), dump.registers.len(), dump.rings.len()), ("edu", 2, 0));
    drop(device);
    machine.finish();
}
