//! The base turns on the kind of interrupts that the driver's facts ask for, and refuses a function without them.

use lifeboat::ProbeError;
use lifeboat::driver::DriverError;
use lifeboat_pci::IrqKind;

use super::*;

fn bound_to(card: Card<Educational>) -> (Event, Bus, Arc<Card<Educational>>) {
    let mut module = Module::new();
    module.register::<Service>(());
    let (mut bus, slot) = (Bus::new(module, Policy::default()), Slot::new("0000:02:00.0"));
    let (events, card) = (bus.subscribe(), slot.insert(card));
    bus.attach(&slot).unwrap();
    (events.recv_timeout(LONG).unwrap(), bus, card)
}

#[test]
fn a_function_without_the_drivers_kind_of_interrupts_is_refused_before_it_is_touched() {
    for (kind, vectors) in [(IrqKind::Msi, 0), (IrqKind::MsiX, 8)] {
        let (event, bus, card) = bound_to(card(0x100).offering(kind, vectors));
        let Event::ProbeFailed { error, .. } = event else { panic!("{event:?}") };
        assert_eq!(error, ProbeError::Driver(DriverError::NoInterrupts));
        assert_eq!(Errno::from(error), Errno::EOPNOTSUPP);
        assert_eq!(card.model().status(), 0);
        bus.shutdown().unwrap();
        assert_eq!(card.mistakes(), []);
    }
}

#[test]
fn a_function_with_more_vectors_than_the_driver_needs_is_bound() {
    let (event, bus, card) = bound_to(card(0x100).offering(IrqKind::Msi, 32));
    let Event::Added { minor, .. } = event else { panic!("{event:?}") };
    let device = bus.device::<Device>(minor).unwrap();
    let answer = device.factorial(5).unwrap();
    assert_eq!((answer.fence.wait(LONG), answer.value.get()), (Ok(()), Some(&120)));
    drop((device, answer));
    bus.shutdown().unwrap();
    assert_eq!(card.mistakes(), []);
}
