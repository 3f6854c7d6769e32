//! Registers that do something: identity, liveness, interrupts, the display, and BAR sizing through the bus.

mod rig;

use std::time::Duration;

use lifeboat_gpu::Config;
use lifeboat_lb1::regs::{self, device_ctrl, irq, ring_ctrl, segment};
use lifeboat_pci::{BusError, CapabilityId, Halves, command, find_capability, offset};
use rig::{Rig, wait_for};

#[test]
fn a_card_says_what_it_is() {
    let rig = Rig::cold(Config { vram_bytes: 3 << 20, rings: 5, seed: 1 });
    assert_eq!(rig.config.read32(offset::ID).unwrap(), 0x0001_4c42);
    assert_eq!(rig.config.read32(offset::CLASS).unwrap(), regs::CLASS_CODE << 8);
    assert_eq!(rig.config.read16(offset::STATUS).unwrap(), 0x10);
    assert_eq!(find_capability(&*rig.config, CapabilityId::PCI_EXPRESS), Ok(Some(0x40)));
    assert_eq!(find_capability(&*rig.config, CapabilityId::MSI), Ok(Some(0x80)));
    assert_eq!(rig.read(regs::ID), u32::MAX, "memory decode is off");
    rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
    assert_eq!(rig.read(regs::ID), regs::ID_VALUE);
    assert_eq!(rig.read(regs::VERSION), regs::VERSION_VALUE);
    assert_eq!(rig.read(regs::CAPS), u32::from_le_bytes([5, 64, 64, 0]));
    assert_eq!(rig.read(regs::VRAM_PAGES), 768);
    assert_eq!(rig.ring(5, regs::RING_ORDER), 0, "no sixth ring");
}

#[test]
fn bars_are_sized_as_on_any_bus() {
    let rig = Rig::cold(Config { vram_bytes: 3 << 20, ..Config::default() });
    let size = |bar: u16| {
        let at = offset::BAR0 + 4 * bar;
        rig.config.write32(at, u32::MAX).unwrap();
        rig.config.read32(at).unwrap()
    };
    assert_eq!(!(size(0) & !0xf) + 1, 0x4_0000);
    assert_eq!((size(1), size(4), size(5)), (0, 0, 0));
    assert_eq!(size(2) & 0xf, 0xc, "64-bit, prefetchable");
    assert_eq!(!(size(2) & !0xf) + 1, 4 << 20, "the next power of two");
    assert_eq!(size(3), u32::MAX);
    assert_eq!(rig.registers.size(), 0x4_0000);
    assert_eq!(rig.vram.size(), 4 << 20);
}

#[test]
fn accesses_are_checked() {
    let rig = Rig::new();
    assert_eq!(rig.registers.read32(2), Err(BusError::Misaligned { offset: 2 }));
    assert_eq!(rig.registers.write32(0x4_0000, 0), Err(BusError::OutOfRange { offset: 0x4_0000, len: 4 }));
    assert_eq!(rig.vram.read32(u64::MAX - 3), Err(BusError::OutOfRange { offset: u64::MAX - 3, len: 4 }));
    assert_eq!(rig.registers.read_bytes(0, &mut [0; 5]), Err(BusError::Misaligned { offset: 0 }));
    assert_eq!(rig.config.read32(254), Err(BusError::OutOfRange { offset: 254, len: 4 }));
    assert_eq!(rig.config.write16(3, 0), Err(BusError::Misaligned { offset: 3 }));
    assert!(matches!(rig.function.bar(1), Err(BusError::NoSuchBar(1))));
    let handler = || std::sync::Arc::new(|_| {});
    assert_eq!(rig.function.irq_enable(8, handler()), Err(BusError::Unsupported));
    assert_eq!(rig.function.irq_enable(3, handler()), Err(BusError::Unsupported));
    assert_eq!(rig.function.irq_enable(0, handler()), Err(BusError::Unsupported));
    let mut id = [0; 8];
    rig.registers.read_bytes(0, &mut id).unwrap();
    assert_eq!(&id[..4], b"LB1\0");
}

#[test]
fn video_memory_is_accessed_with_any_width_and_registers_with_one() {
    let rig = Rig::new();
    rig.vram.write64(8, 0x0807_0605_0403_0201).unwrap();
    assert_eq!(rig.vram.read8(15), Ok(8));
    assert_eq!(rig.vram.read16(14), Ok(0x0807));
    assert_eq!(rig.vram.read32(12), Ok(0x0807_0605));
    assert_eq!(rig.vram.read64(8), Ok(0x0807_0605_0403_0201));
    rig.vram.write8(9, 0xaa).unwrap();
    rig.vram.write16(10, 0xbbcc).unwrap();
    assert_eq!(rig.vram.read64(8), Ok(0x0807_0605_bbcc_aa01), "neighbours stay");
    let size = rig.vram.size();
    assert_eq!(rig.vram.read8(size), Err(BusError::OutOfRange { offset: size, len: 1 }));
    assert_eq!(rig.vram.read16(size - 1), Err(BusError::OutOfRange { offset: size - 1, len: 2 }));
    assert_eq!(rig.vram.read64(size - 4), Err(BusError::OutOfRange { offset: size - 4, len: 8 }));
    assert_eq!(rig.vram.read16(1), Err(BusError::Misaligned { offset: 1 }));
    assert_eq!(rig.vram.write64(4, 0), Err(BusError::Misaligned { offset: 4 }));
    assert_eq!(rig.registers.read64(regs::ID), Err(BusError::Unsupported));
    assert_eq!(rig.registers.read8(regs::ID), Err(BusError::Unsupported));
    assert_eq!(rig.registers.write16(regs::SCRATCH, 0), Err(BusError::Unsupported));
    assert_eq!(rig.read(regs::SCRATCH), u32::MAX);
    let identity = Halves::read_low_first(&*rig.registers, regs::ID).unwrap();
    assert_eq!((identity.low, identity.high), (regs::ID_VALUE, regs::VERSION_VALUE));
    rig.assert_no_violation();
}

#[test]
fn health_1_every_width_reads_all_ones_once_the_card_is_gone() {
    let rig = Rig::new();
    rig.card.remove();
    assert_eq!((rig.vram.read8(1), rig.vram.read16(2)), (Ok(u8::MAX), Ok(u16::MAX)));
    assert_eq!((rig.vram.read32(4), rig.vram.read64(8)), (Ok(u32::MAX), Ok(u64::MAX)));
    assert_eq!(rig.vram.write64(8, 0), Ok(()), "a write goes nowhere");
    assert!(Halves::read_low_first(&*rig.registers, regs::ID).unwrap().may_be_lost());
    assert_eq!(rig.config.read8(1), Ok(u8::MAX));
    rig.function.release();
    assert_eq!(rig.vram.read64(8), Err(BusError::Unmapped));
    assert_eq!(rig.config.read8(1), Err(BusError::Unmapped));
}

#[test]
fn configuration_space_is_accessed_by_bytes_too() {
    let rig = Rig::cold(Config::default());
    assert_eq!((rig.config.read8(0), rig.config.read8(1)), (Ok(0x42), Ok(0x4c)));
    // The command register's low byte alone; the high one, INTx disable, stays.
    rig.config.write16(offset::COMMAND, command::INTX_DISABLE).unwrap();
    rig.config.write8(offset::COMMAND, 0xff).unwrap();
    assert_eq!(rig.config.read16(offset::COMMAND), Ok(command::MEMORY | command::BUS_MASTER | command::INTX_DISABLE));
}

#[test]
fn any_access_to_any_register_is_harmless() {
    let rig = Rig::new();
    for value in [u32::MAX, 0, 0x5a5a_5a5a] {
        for offset in (0..regs::REGISTER_BAR_SIZE).step_by(4) {
            let _ = rig.read(offset);
            // Not the doorbells: those would be mistakes.
            if !(regs::RINGS..regs::CONTEXTS).contains(&offset) {
                rig.write(offset, value);
            }
        }
        wait_for("a reset", || rig.read(regs::DEVICE_STATUS) == 1);
    }
    rig.assert_no_violation();
}

#[test]
fn liveness_scratch_and_heartbeat() {
    let rig = Rig::new();
    assert_eq!(rig.read(regs::LIVENESS), regs::LIVENESS_RESET);
    rig.write(regs::LIVENESS, 0x1234_5678);
    assert_eq!(rig.read(regs::LIVENESS), !0x1234_5678);
    assert_eq!(rig.read(regs::SCRATCH), u32::MAX);
    rig.write(regs::SCRATCH, 3);
    assert_eq!(rig.read(regs::SCRATCH), 3);
    wait_for("a beat", || rig.read(regs::HEARTBEAT) > 2);
    rig.write(regs::DEVICE_CTRL, 0);
    let still = rig.read(regs::HEARTBEAT);
    std::thread::sleep(Duration::from_millis(3));
    assert_eq!(rig.read(regs::HEARTBEAT), still);
}

#[test]
fn interrupts_are_latched_masked_and_sent_once() {
    let rig = Rig::new();
    let settle = || std::thread::sleep(Duration::from_millis(5));
    rig.write(regs::IRQ_FORCE, irq::ring_done(0) | irq::ring_fault(1));
    settle();
    assert_eq!(rig.interrupts.count(0) + rig.interrupts.count(1), 0, "masked");
    assert_eq!(rig.read(regs::IRQ_STATUS), irq::ring_done(0) | irq::ring_fault(1));

    rig.write(regs::IRQ_MASK, irq::ring_done(0));
    wait_for("the unmasked one", || rig.interrupts.count(0) == 1);
    rig.write(regs::IRQ_FORCE, irq::ring_done(0));
    settle();
    assert_eq!(rig.interrupts.count(0), 1, "still pending");
    rig.write(regs::IRQ_STATUS, irq::ring_done(0));
    rig.write(regs::IRQ_FORCE, irq::ring_done(0));
    wait_for("a new one", || rig.interrupts.count(0) == 2);
    assert_eq!(rig.read(regs::IRQ_STATUS), irq::ring_done(0) | irq::ring_fault(1));

    rig.write(regs::IRQ_MASK, irq::ALL);
    wait_for("the fault", || rig.interrupts.count(1) == 1);
    rig.write(regs::IRQ_STATUS, irq::ALL);
    rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
    rig.write(regs::IRQ_FORCE, irq::ALL);
    settle();
    assert_eq!(rig.interrupts.count(0), 2, "messages need bus mastering");
    assert_eq!(rig.read(regs::IRQ_STATUS), irq::ALL);
}

#[test]
fn setup_registers_are_fixed_while_in_use() {
    let rig = Rig::new();
    let base = rig.ring(0, regs::RING_BASE_LO);
    rig.write(regs::ring(0, regs::RING_BASE_LO), 0x7000);
    rig.write(regs::ring(0, regs::RING_SEQNO), 5);
    rig.write(regs::ring(0, regs::RING_ORDER), 9);
    assert_eq!(rig.ring(0, regs::RING_BASE_LO), base);
    assert_eq!(rig.ring(0, regs::RING_SEQNO), 0);
    assert_eq!(rig.ring(0, regs::RING_ORDER), u32::from(rig::ORDER));
    rig.write(regs::ring(0, regs::RING_CTRL), 0);
    for order in [3, 13, u32::MAX] {
        rig.write(regs::ring(0, regs::RING_ORDER), order);
        assert_eq!(rig.ring(0, regs::RING_ORDER), u32::from(rig::ORDER));
    }
    rig.write(regs::ring(0, regs::RING_SEQNO), 5);
    assert_eq!(rig.ring(0, regs::RING_SEQNO), 5);
    rig.write(regs::ring(0, regs::RING_CTRL), ring_ctrl::ENABLE);
    assert_eq!((rig.ring(0, regs::RING_HEAD), rig.ring(0, regs::RING_TAIL)), (0, 0));

    rig.segment(0, 0, 0x1000, 4096, segment::WRITABLE, 0);
    rig.write(regs::segment_field(0, 0, regs::SEG_VA_LO), 0x8000);
    assert_eq!(rig.read(regs::segment_field(0, 0, regs::SEG_VA_LO)), 0x1000);
}

#[test]
fn a_flip_takes_effect_at_a_vertical_blank() {
    let rig = Rig::new();
    assert_eq!(rig.card.scanout(), None);
    rig.vram.write_bytes(4096, &[1; 64]).unwrap();
    rig.vram.write_bytes(8192, &[2; 64]).unwrap();
    rig.write(regs::SCANOUT_BASE, 4096);
    rig.write(regs::SCANOUT_PITCH, 32);
    rig.write(regs::SCANOUT_SIZE, 4 | 2 << 16);
    rig.write(regs::SCANOUT_CTRL, 1);
    let picture = rig.card.picture().unwrap();
    assert_eq!((picture.scanout.width, picture.scanout.height, picture.scanout.pitch), (4, 2, 32));
    assert_eq!(picture.pixels, [1; 32]);

    rig.write(regs::IRQ_MASK, irq::FLIP);
    rig.write(regs::FLIP_BASE, 8192);
    wait_for("the flip", || rig.read(regs::FLIP_STATUS) == 0);
    assert_eq!(rig.card.picture().unwrap().pixels, [2; 32]);
    assert_eq!(rig.read(regs::SCANOUT_BASE), 8192);
    wait_for("its interrupt", || rig.interrupts.count(2) == 1);
    let blanks = rig.read(regs::VBLANK_COUNT);
    assert!(blanks > 0);
    wait_for("more blanks", || rig.read(regs::VBLANK_COUNT) > blanks + 2);

    rig.write(regs::SCANOUT_SIZE, u32::MAX);
    assert_eq!(rig.card.picture(), None, "does not lie within VRAM");
    rig.write(regs::DEVICE_CTRL, 0);
    rig.write(regs::SCANOUT_SIZE, 4 | 2 << 16);
    assert_eq!(rig.card.scanout(), None);
    let blanks = rig.read(regs::VBLANK_COUNT);
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(rig.read(regs::VBLANK_COUNT), blanks);
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    assert!(rig.card.scanout().is_some());
}
