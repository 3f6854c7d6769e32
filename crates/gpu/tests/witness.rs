//! Every kind of mistake a driver can make is recorded, once for each time it is made.

mod rig;

use lifeboat_gpu::{LateAccess, Violation};
use lifeboat_lb1::command::{Command, Copy, Fill, Work};
use lifeboat_lb1::regs::{self, device_ctrl, fault, ring_ctrl};
use lifeboat_pci::{BusError, command, offset};
use rig::{Rig, host, va, wait_for};

/// The one violation there is.
#[track_caller]
fn only(rig: &Rig) -> Violation {
    let all = rig.card.witness().violations();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(rig.card.witness().len(), 1);
    all[0].clone()
}

#[test]
fn dma_without_bus_mastering() {
    let rig = Rig::new();
    rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
    rig.submit(0, 0, &[]);
    assert_eq!(rig.wait_fault(0), (fault::DMA, 0xff, 0xff), "while fetching");
    assert!(matches!(only(&rig), Violation::DmaWhileDisabled { ring: 0, context: None, .. }));
}

#[test]
fn a_stale_segment() {
    let rig = Rig::new();
    let memory = host(4096);
    let iova = rig.map_host(6, 0, 0, &memory);
    rig.map_vram(6, 1, 1 << 20, 4096);
    rig.function.dma_unmap(iova).unwrap();
    rig.submit(1, 6, &[Command::Work(Work::Copy(Copy::linear(va(1 << 20), va(8), 16)))]);
    assert_eq!(rig.wait_fault(1), (fault::DMA, 6, 2));
    let violation = only(&rig);
    let Violation::DmaUnmapped { iova: at, ring: 1, context: Some(6), .. } = violation else { panic!("{violation}") };
    assert_eq!(at, iova.0 + 8);
    assert!(violation.to_string().contains(&format!("{at:#x}")), "{violation}");
}

#[test]
fn a_ring_taken_away_while_enabled() {
    let rig = Rig::new();
    rig.function.dma_unmap(rig.rings[0].iova).unwrap();
    rig.doorbell(0);
    rig.submit(0, 0, &[]);
    rig.wait_fault(0);
    assert!(matches!(only(&rig), Violation::DmaUnmapped { ring: 0, context: None, .. }));
}

#[test]
fn a_doorbell_to_a_stopped_ring() {
    let rig = Rig::new();
    rig.write(regs::ring(1, regs::RING_CTRL), 0);
    rig.doorbell(1);
    assert!(matches!(only(&rig), Violation::DoorbellToStoppedRing { ring: 1, .. }));

    let rig = Rig::new();
    rig.submit(0, 0, &[Command::Work(Work::Hang)]);
    rig.wait_busy(0);
    rig.write(regs::ring(0, regs::RING_CTRL), ring_ctrl::RESET);
    rig.doorbell(0);
    assert!(matches!(only(&rig), Violation::DoorbellToStoppedRing { ring: 0, .. }), "resetting or reset");
}

#[test]
fn a_doorbell_to_a_faulted_ring_is_no_mistake() {
    let rig = Rig::new();
    rig.submit(0, 0, &[Command::Work(Work::Fill(Fill { dst: va(0), bytes: 4, pattern: 0 }))]);
    rig.wait_fault(0);
    rig.submit(0, 0, &[]);
    rig.assert_no_violation();
}

#[test]
fn use_after_release() {
    let rig = Rig::new();
    rig.shut_down();
    rig.assert_no_violation();
    assert_eq!(rig.registers.read32(regs::ID), Err(BusError::Unmapped));
    assert_eq!(rig.vram.write_bytes(64, &[1]), Err(BusError::Unmapped));
    assert_eq!(rig.config.read16(offset::STATUS), Err(BusError::Unmapped));
    assert_eq!(rig.function.dma_map(&host(4096)), Err(BusError::Unmapped));
    assert!(rig.function.bar(0).is_err());
    assert_eq!(rig.function.irq_enable(1, std::sync::Arc::new(|_| {})), Err(BusError::Unmapped));
    assert_eq!(rig.function.reset(lifeboat_pci::ResetKind::Bus), Err(BusError::Unmapped));
    let accesses = rig.card.witness().violations().into_iter().map(|violation| match violation {
        Violation::AccessAfterRelease { access, .. } => access,
        other => panic!("{other}"),
    });
    let expected = [
        LateAccess::Bar { index: 0, offset: regs::ID },
        LateAccess::Bar { index: 2, offset: 64 },
        LateAccess::Config { offset: offset::STATUS },
        LateAccess::DmaMap,
        LateAccess::Bar { index: 0, offset: 0 },
        LateAccess::IrqEnable,
        LateAccess::Reset,
    ];
    assert_eq!(accesses.collect::<Vec<_>>(), expected);
    rig.function.release();
    rig.function.irq_disable();
    assert_eq!(rig.card.witness().len(), expected.len(), "releasing again is allowed");
}

#[test]
fn use_after_release_of_a_removed_card_is_recorded_too() {
    let rig = Rig::new();
    rig.card.remove();
    rig.shut_down();
    rig.assert_no_violation();
    assert_eq!(rig.registers.read32(regs::ID), Err(BusError::Unmapped));
    assert!(matches!(only(&rig), Violation::AccessAfterRelease { .. }));
}

#[test]
fn a_release_with_everything_left_behind() {
    let rig = Rig::new();
    rig.write(regs::ring(1, regs::RING_CTRL), 0);
    rig.function.release();
    let violations = rig.card.witness().violations();
    assert!(matches!(violations[0], Violation::ReleasedWhileRunning { ring: 0, .. }), "{violations:?}");
    assert!(matches!(violations[1], Violation::ReleasedWithInterrupts { .. }), "{violations:?}");
    assert!(matches!(violations[2], Violation::MappingsLeaked { count: 2, .. }), "{violations:?}");
    assert_eq!(violations.len(), 3);
    assert_eq!(rig.function.dma_unmap(rig.rings[0].iova), Err(BusError::Unmapped), "already cleaned up");
}

#[test]
fn interrupts_are_turned_off_before_the_release_also_of_a_card_that_is_gone() {
    for gone in [false, true] {
        let rig = Rig::new();
        rig.reset_device();
        if gone {
            rig.card.remove();
        }
        for ring in &rig.rings {
            rig.function.dma_unmap(ring.iova).unwrap();
        }
        rig.function.release();
        assert!(matches!(only(&rig), Violation::ReleasedWithInterrupts { .. }), "{gone}");
    }
}

#[test]
fn a_removed_card_is_released_without_its_rings_being_stopped() {
    let rig = Rig::new();
    rig.submit(0, 0, &[Command::Work(Work::Hang)]);
    rig.card.remove();
    // All of this is what a driver does that does not know yet.
    rig.submit(0, 0, &[]);
    rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
    rig.config.write16(offset::COMMAND, 0).unwrap();
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn a_second_binding_begins_clean() {
    let rig = Rig::new();
    rig.shut_down();
    let function = rig.slot.function().unwrap();
    function.config().write16(offset::COMMAND, command::MEMORY).unwrap();
    let registers = function.bar(0).unwrap();
    wait_for("the card", || registers.read32(regs::ID).unwrap() == regs::ID_VALUE);
    function.release();
    rig.assert_no_violation();
}
