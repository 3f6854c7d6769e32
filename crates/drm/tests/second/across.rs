//! A buffer of one driver's device on another driver's.

use lifeboat_gpu::Config;
use lifeboat_lb1_hosted::command::{Fill, Work};

use super::*;

/// An LB1 on a bus of its own module, and its slot.
fn lb1() -> (Bus, Arc<lifeboat_gpu::Slot>, lifeboat_lb1_hosted::Device) {
    let mut bus =
        Bus::new(lifeboat_lb1_hosted::module(), Policy { job_timeout: LONG, drain_limit: LONG, ..Policy::default() });
    let (slot, events) = (lifeboat_gpu::Slot::new("0000:01:00.0"), bus.subscribe());
    bus.attach(&slot).unwrap();
    slot.insert(lifeboat_gpu::Card::new(Config::default()).unwrap()).unwrap();
    match events.recv_timeout(LONG).unwrap() {
        Event::Added { minor, .. } => {
            let device = bus.device(minor).unwrap();
            (bus, slot, device)
        }
        other => panic!("expected a device, got {other:?}"),
    }
}

#[test]
fn map_3_a_buffer_of_one_drivers_device_works_on_anothers_whichever_goes_first() {
    for exporter_goes in [true, false] {
        let machine = Machine::new(LONG);
        let client = machine.client();
        let (bus, slot, device) = lb1();
        assert_eq!(bus.device::<Device>(Minor(0)).map(drop), None, "it is no device of the other driver");
        let handle = device.open().unwrap();
        let context = handle.create_context().unwrap();
        let queue = handle.create_queue(&context, 0, Priority::Normal).unwrap();

        let buffer = client.buffer(4);
        let shared = client.handle.export(&buffer).unwrap();
        assert_eq!((shared.size(), shared.placement()), (4, Placement::Host));
        let theirs = handle.import(&shared).unwrap();
        let fill = |pattern: u32| {
            let dst = handle.map(&context, &theirs)?;
            let commands = [Work::Fill(Fill { dst, bytes: 4, pattern })];
            let fence = handle.submit(&lifeboat_lb1_hosted::Submission::new(&queue, &commands))?;
            fence.wait(LONG).unwrap();
            handle.unmap(&context, dst)
        };
        assert_eq!(fill(0x0606_0606), Ok(()));
        assert_eq!(first(&buffer), 6, "they are the same bytes");
        // Home again, it is the buffer that it was, without a detour.
        let home = client.handle.import(&shared).unwrap();
        home.write(0, &[7]).unwrap();
        assert_eq!(first(&buffer), 7);

        if exporter_goes {
            machine.slot.remove();
            assert!(matches!(machine.event(), Event::Removed { .. }));
            assert_eq!(fill(0x0808_0808), Ok(()));
            assert_eq!(first(&buffer), 8, "the other device goes on");
        } else {
            slot.remove();
            let dst = client.handle.map(&client.context, &buffer).unwrap();
            client.submit(&[Command::Fill { dst, bytes: 1, value: 9 }]).wait(LONG).unwrap();
            assert_eq!(first(&buffer), 9);
        }
        // The exporter's module stays as long as anybody has the buffer.
        drop((home, buffer, client));
        let Machine { bus: exporters, card, .. } = machine;
        let held = exporters.shutdown().unwrap_err();
        assert_eq!(held.counts.get(&kinds::EXPORT), Some(&1));
        drop((shared, theirs, queue, context, handle, device));
        held.module.unload().unwrap();
        bus.shutdown().unwrap();
        assert_eq!(card.mistakes(), []);
    }
}
