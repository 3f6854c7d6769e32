//! Faults that are not clean: each does what it says, ends when it says, and puts no blame on the driver for what the
//! driver cannot help.

#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod rig;

use std::time::{Duration, Instant};

use lifeboat_gpu::{Config, Fault, Lasts, SWAPPED_DEVICE_ID, Swap, Trigger};
use lifeboat_lb1::command::{Command, Work};
use lifeboat_lb1::regs::{self, device_ctrl, device_status, irq, ring_status};
use lifeboat_pci::{ALL_ONES, SlotEvent, command, offset};
use rig::{Rig, wait_for};

const GARBAGE: u32 = 0xbadf_1235;
/// Longer than any test.
const LONG: Lasts = Lasts::For(Duration::from_hours(1));
/// What a fault for a time lasts here.
const MOMENT: Duration = Duration::from_millis(20);
/// Long enough for what should not happen to have happened on an idle machine. Nothing fails if it comes later.
const NOTHING: Duration = Duration::from_millis(40);

/// A function-level reset, and bring-up after it.
fn reset_function(rig: &Rig) {
    rig.config.write16(0x48, 0x8000).unwrap();
    rig.config.write16(offset::COMMAND, command::MEMORY | command::BUS_MASTER).unwrap();
    wait_for("the reset", || rig.read(regs::DEVICE_STATUS) == device_status::READY);
    rig.bring_up();
}

/// Gives back a card that does not answer.
fn let_go(rig: &Rig) {
    for ring in &rig.rings {
        rig.function.dma_unmap(ring.iova).unwrap();
    }
    rig.function.irq_disable();
    rig.function.release();
}

fn works(rig: &Rig) {
    rig.execute(0, Work::Nop);
}

#[test]
fn a_link_comes_up_by_itself_and_the_slot_tells_both() {
    let rig = Rig::new();
    let events = rig.slot.events();
    rig.write(regs::SCRATCH, 5);
    let count = rig.card.counters().accesses;
    rig.card.schedule(Trigger::Access(2), Fault::LinkDown(MOMENT));
    assert_eq!(rig.read(regs::ID), regs::ID_VALUE);
    let began = Instant::now();
    let read = [rig.read(regs::ID), rig.config.read32(offset::ID).unwrap()];
    // On a busy machine the link may be up again.
    assert!(began.elapsed() >= MOMENT || read == [ALL_ONES; 2], "at the access it was planned for: {count}");
    wait_for("the link", || rig.read(regs::ID) == regs::ID_VALUE);
    assert!(began.elapsed() >= MOMENT);
    assert_eq!(rig.read(regs::SCRATCH), 5);
    let told: Vec<_> = (0..3).map(|_| events.recv_timeout(rig::TIMEOUT).unwrap()).collect();
    assert_eq!(told, [SlotEvent::Present, SlotEvent::LinkDown, SlotEvent::LinkUp]);
    works(&rig);
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn garbage_is_in_every_register_and_writes_arrive() {
    let rig = Rig::new();
    rig.card.inject(Fault::Garbage(Lasts::UntilReset));
    for register in [regs::ID, regs::DEVICE_STATUS, regs::LIVENESS, regs::ring(0, regs::RING_SEQNO)] {
        assert_eq!(rig.read(register), GARBAGE);
    }
    let mut bytes = [1; 4];
    rig.vram.read_bytes(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 4], "VRAM is as it was");
    assert_eq!(rig.config.read16(offset::ID).unwrap(), regs::VENDOR_ID);
    rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
    wait_for("the end of garbage", || rig.read(regs::ID) == regs::ID_VALUE);

    rig.card.inject(Fault::Garbage(Lasts::For(MOMENT)));
    rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
    wait_for("the end of garbage", || rig.read(regs::ID) == regs::ID_VALUE);
}

#[test]
fn silent_bars_leave_configuration_space_which_can_reset_them() {
    let rig = Rig::new();
    rig.write(regs::SCRATCH, 5);
    rig.vram.write_bytes(0, &[7; 4]).unwrap();
    rig.card.inject(Fault::SilentBars(Lasts::UntilReset));
    rig.write(regs::SCRATCH, 6);
    rig.vram.write_bytes(0, &[8; 4]).unwrap();
    let mut bytes = [1; 4];
    rig.vram.read_bytes(0, &mut bytes).unwrap();
    assert_eq!((rig.read(regs::ID), bytes), (ALL_ONES, [0xff; 4]));
    assert_eq!(rig.config.read16(offset::ID).unwrap(), regs::VENDOR_ID);
    reset_function(&rig);
    rig.vram.read_bytes(0, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 4], "the write was lost");

    rig.write(regs::SCRATCH, 5);
    rig.card.inject(Fault::SilentBars(Lasts::For(MOMENT)));
    let began = Instant::now();
    rig.write(regs::SCRATCH, 6);
    // On a busy machine they may have answered again before the write.
    let in_time = began.elapsed() < MOMENT;
    wait_for("the BARs", || rig.read(regs::ID) == regs::ID_VALUE);
    assert!(!in_time || rig.read(regs::SCRATCH) == 5, "the write was not lost");
}

#[test]
fn silent_configuration_space_leaves_the_registers_which_can_reset_it() {
    let rig = Rig::new();
    rig.card.inject(Fault::SilentConfig(Lasts::UntilReset));
    assert_eq!(rig.config.read32(offset::ID).unwrap(), ALL_ONES);
    rig.config.write16(offset::COMMAND, 0).unwrap();
    works(&rig);
    rig.reset_device();
    assert_eq!(rig.config.read16(offset::ID).unwrap(), regs::VENDOR_ID);
    assert_ne!(rig.config.read16(offset::COMMAND).unwrap() & command::MEMORY, 0, "the write was lost");
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn a_stuck_scanout_moves_again_when_the_display_was_off() {
    let rig = Rig::new();
    rig.write(regs::IRQ_MASK, irq::ALL);
    rig.write(regs::SCANOUT_CTRL, 1);
    wait_for("a blank", || rig.read(regs::VBLANK_COUNT) > 0);
    rig.card.inject(Fault::StuckScanout(Lasts::UntilReset));
    rig.write(regs::FLIP_BASE, 0x1000);
    // One may have been under way.
    std::thread::sleep(NOTHING);
    let (count, base) = (rig.read(regs::VBLANK_COUNT), rig.read(regs::SCANOUT_BASE));
    if base == 0 {
        std::thread::sleep(NOTHING);
        assert_eq!((rig.read(regs::FLIP_STATUS), rig.read(regs::VBLANK_COUNT)), (1, count));
    }
    rig.write(regs::SCANOUT_CTRL, 0);
    rig.write(regs::SCANOUT_CTRL, 1);
    wait_for("a blank", || rig.read(regs::VBLANK_COUNT) > 0);

    rig.card.inject(Fault::StuckScanout(LONG));
    rig.write(regs::SCANOUT_CTRL, 0);
    rig.write(regs::SCANOUT_CTRL, 1);
    std::thread::sleep(NOTHING);
    assert_eq!(rig.read(regs::VBLANK_COUNT), 0, "it has its time");
}

#[test]
fn a_ring_reset_that_lied_leaves_a_dead_ring_until_a_device_reset() {
    let rig = Rig::new();
    rig.card.schedule(Trigger::Reset(1), Fault::LyingReset);
    rig.submit(0, 0, &[Command::Work(Work::Hang)]);
    rig.wait_busy(0);
    rig.reset_ring(0);
    rig.enable_ring(0);
    let seqno = rig.submit(0, 0, &[]);
    assert_eq!(rig.ring(0, regs::RING_STATUS), ring_status::ENABLED, "it says that all is well");
    let other = rig.submit(1, 0, &[]);
    rig.wait(1, other);
    std::thread::sleep(NOTHING);
    assert_ne!(rig.ring(0, regs::RING_SEQNO), seqno);
    // A second reset of the ring does not help: it is that of the device that was left out.
    rig.reset_ring(0);
    rig.enable_ring(0);
    let seqno = rig.submit(0, 0, &[]);
    std::thread::sleep(NOTHING);
    assert_ne!(rig.ring(0, regs::RING_SEQNO), seqno);
    rig.reset_device();
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    rig.enable_ring(0);
    let seqno = rig.submit(0, 0, &[]);
    rig.wait(0, seqno);
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn a_device_reset_that_lied_keeps_its_registers_and_has_dead_rings() {
    let rig = Rig::new();
    rig.write(regs::SCRATCH, 5);
    rig.write(regs::LIVENESS, 6);
    rig.card.inject(Fault::LyingReset);
    rig.reset_device();
    assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::READY);
    assert_eq!((rig.read(regs::SCRATCH), rig.read(regs::LIVENESS)), (5, !6));
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    rig.enable_ring(1);
    let seqno = rig.submit(1, 0, &[]);
    std::thread::sleep(NOTHING);
    assert_ne!(rig.ring(1, regs::RING_SEQNO), seqno);
    reset_function(&rig);
    assert_eq!((rig.read(regs::SCRATCH), rig.read(regs::LIVENESS)), (ALL_ONES, regs::LIVENESS_RESET));
    works(&rig);
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn slow_reads_last_and_a_stalled_one_is_one() {
    let rig = Rig::new();
    let took = || {
        let began = Instant::now();
        assert_eq!(rig.read(regs::ID), regs::ID_VALUE);
        began.elapsed()
    };
    rig.card.inject(Fault::StalledRead(MOMENT));
    rig.write(regs::SCRATCH, 1);
    assert!(took() >= MOMENT);
    assert!((0..5).map(|_| took()).min().unwrap() < MOMENT);
    rig.card.inject(Fault::SlowReads(MOMENT));
    assert!(took() >= MOMENT && took() >= MOMENT);
    rig.reset_device();
    assert!((0..5).map(|_| took()).min().unwrap() < MOMENT);
}

#[test]
fn a_read_that_stalls_ends_when_the_card_is_pulled_out() {
    let rig = Rig::new();
    rig.card.inject(Fault::StalledRead(Duration::from_hours(1)));
    std::thread::scope(|scope| {
        let read = scope.spawn(|| rig.read(regs::ID));
        std::thread::sleep(MOMENT);
        rig.card.remove();
        assert_eq!(read.join().unwrap(), ALL_ONES);
    });
}

#[test]
fn no_interrupts_means_no_messages_and_status_bits_all_the_same() {
    let rig = Rig::new();
    rig.write(regs::IRQ_MASK, irq::ALL);
    rig.card.inject(Fault::NoInterrupts(Lasts::UntilReset));
    works(&rig);
    assert_eq!(rig.read(regs::IRQ_STATUS), irq::ring_done(0));
    rig.card.inject(Fault::SpuriousInterrupt);
    std::thread::sleep(NOTHING);
    assert_eq!(rig.interrupts.count(0), 0);
    rig.reset_device();
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    rig.enable_ring(0);
    rig.write(regs::IRQ_MASK, irq::ALL);
    works(&rig);
    wait_for("an interrupt", || rig.interrupts.count(0) == 1);
}

#[test]
fn a_storm_goes_on_until_it_ends_and_has_no_status() {
    let rig = Rig::new();
    rig.card.inject(Fault::InterruptStorm(LONG));
    wait_for("a storm", || rig.interrupts.count(0) > 100);
    assert_eq!(rig.read(regs::IRQ_STATUS), 0);
    works(&rig);
    rig.function.irq_disable();
    let after = rig.interrupts.count(0);
    std::thread::sleep(NOTHING);
    assert_eq!(rig.interrupts.count(0), after, "nobody listens");

    let rig = Rig::new();
    rig.card.inject(Fault::InterruptStorm(Lasts::UntilReset));
    wait_for("a storm", || rig.interrupts.count(0) > 100);
    rig.reset_device();
    // A message may still be on its way.
    wait_for("the end of the storm", || {
        let before = rig.interrupts.count(0);
        std::thread::sleep(NOTHING);
        rig.interrupts.count(0) == before
    });
}

#[test]
fn a_dead_doorbell_loses_the_tail() {
    let rig = Rig::new();
    rig.card.inject(Fault::DeadDoorbell(Lasts::UntilReset));
    let lost = rig.submit(0, 0, &[]);
    std::thread::sleep(NOTHING);
    assert_eq!((rig.ring(0, regs::RING_TAIL), rig.ring(0, regs::RING_SEQNO)), (0, 0));
    rig.reset_ring(0);
    rig.enable_ring(0);
    rig.submit(0, 0, &[]);
    assert_eq!(rig.ring(0, regs::RING_TAIL), 0, "a reset of the ring is not enough");
    rig.reset_device();
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    rig.enable_ring(0);
    let seqno = rig.submit(0, 0, &[]);
    assert_ne!(seqno, lost);
    rig.wait(0, seqno);
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn a_swapped_card_is_another_one_after_power_on() {
    let rig = Rig::new();
    let events = rig.slot.events();
    rig.vram.write_bytes(0, &[7; 4]).unwrap();
    rig.submit(0, 0, &[Command::Work(Work::Hang)]);
    rig.wait_busy(0);
    rig.card.inject(Fault::Swap(Swap::Model));
    let id = u32::from(regs::VENDOR_ID) | u32::from(SWAPPED_DEVICE_ID) << 16;
    assert_eq!(rig.config.read32(offset::ID).unwrap(), id);
    assert_eq!(rig.config.read16(offset::COMMAND).unwrap(), 0);
    assert_eq!(rig.read(regs::ID), ALL_ONES, "its BARs are where they are after power-on: nowhere");
    // What a driver does that does not know yet.
    rig.submit(0, 0, &[]);
    rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
    let_go(&rig);
    rig.assert_no_violation();

    let function = rig.slot.function().expect("there is a card");
    function.config().write16(offset::COMMAND, command::MEMORY).unwrap();
    assert_eq!(function.bar(0).unwrap().read32(regs::ID).unwrap(), !regs::ID_VALUE);
    let mut bytes = [1; 4];
    wait_for("power-on", || function.bar(0).unwrap().read32(regs::DEVICE_STATUS) == Ok(device_status::READY));
    function.bar(2).unwrap().read_bytes(0, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 4]);
    function.release();
    assert_eq!(events.try_iter().collect::<Vec<_>>(), [SlotEvent::Present], "the slot has seen nothing");
}

#[test]
fn a_card_of_another_size_has_half_the_vram() {
    let rig = Rig::cold(Config { vram_bytes: 8 << 20, ..Config::default() });
    rig.bring_up();
    let serial = rig.card.serial();
    rig.card.inject(Fault::Swap(Swap::Size));
    assert_eq!(rig.vram.size(), 8 << 20, "the window that a driver has does not shrink");
    let_go(&rig);
    let function = rig.slot.function().unwrap();
    assert_eq!(function.config().read16(offset::ID).unwrap(), regs::VENDOR_ID);
    function.config().write32(0x18, ALL_ONES).unwrap();
    assert_eq!(function.config().read32(0x18).unwrap(), !((4 << 20) - 1) | 0xc);
    function.config().write16(offset::COMMAND, command::MEMORY).unwrap();
    let registers = function.bar(0).unwrap();
    assert_eq!(registers.read32(regs::VRAM_PAGES).unwrap(), 1024);
    assert_eq!(registers.read32(regs::ID).unwrap(), regs::ID_VALUE);
    let vram = function.bar(2).unwrap();
    assert_eq!(vram.size(), 4 << 20);
    assert_eq!(registers.read32(regs::SERIAL).unwrap(), rig.card.serial());
    assert_ne!(rig.card.serial(), serial);
    wait_for("power-on", || registers.read32(regs::DEVICE_STATUS) == Ok(device_status::READY));
    vram.write_bytes((4 << 20) - 4, &[9; 4]).unwrap();
    function.release();
    rig.assert_no_violation();
}

#[test]
fn what_a_driver_cannot_stop_is_no_mistake_of_it() {
    for fault in [Fault::LinkDown(Duration::from_hours(1)), Fault::SilentBars(LONG), Fault::Garbage(LONG)] {
        let rig = Rig::new();
        rig.submit(0, 0, &[Command::Work(Work::Hang)]);
        rig.wait_busy(0);
        rig.card.inject(fault);
        rig.config.write16(offset::COMMAND, 0).unwrap();
        let_go(&rig);
        rig.assert_no_violation();
    }
}

#[test]
fn what_a_card_has_never_been_told_is_no_mistake_of_its_driver() {
    let rig = Rig::new();
    let memory = rig::host(4096);
    let iova = rig.map_host(0, 0, 0, &memory);
    rig.card.inject(Fault::SilentBars(Lasts::For(MOMENT)));
    rig.write(regs::segment_field(0, 0, regs::SEG_FLAGS), 0);
    rig.function.dma_unmap(iova).unwrap();
    wait_for("the BARs", || rig.read(regs::ID) == regs::ID_VALUE);
    rig.submit(
        0,
        0,
        &[Command::Work(Work::Fill(lifeboat_lb1::command::Fill { dst: rig::va(0), bytes: 4, pattern: 0 }))],
    );
    rig.wait_fault(0);
    rig.assert_no_violation();
}

#[test]
fn a_driver_that_reaches_its_card_again_answers_for_it() {
    let rig = Rig::new();
    rig.card.inject(Fault::SilentBars(Lasts::For(MOMENT)));
    wait_for("the BARs", || rig.read(regs::ID) == regs::ID_VALUE);
    works(&rig);
    rig.function.irq_disable();
    rig.function.release();
    assert_eq!(rig.card.witness().len(), 3, "two rings that run, and their memory");
}
