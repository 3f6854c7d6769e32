//! Resets: of a ring, of the device, of the function.

mod rig;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lifeboat_gpu::{Config, Fault, Trigger};
use lifeboat_lb1::command::{Command, Copy, Fill, Work};
use lifeboat_lb1::regs::{self, device_ctrl, device_status, ring_ctrl, ring_status, segment};
use lifeboat_pci::{BusError, ResetKind, command, offset};
use rig::{Rig, va, wait_for};

/// Takes many seconds if it is not stopped: a byte at a time through 512 MiB of address space.
fn long() -> Command {
    let copy = Copy { dst: va(0), src: va(1), dst_pitch: 2, src_pitch: 1, row_bytes: 1, rows: 1 << 28 };
    Command::Work(Work::Copy(copy))
}

#[test]
fn a_hung_ring_is_reset_alone() {
    let rig = Rig::new();
    let kept = rig.submit(0, 0, &[]);
    rig.wait(0, kept);
    let hung = rig.submit(0, 4, &[Command::Work(Work::Hang)]);
    rig.wait_busy(0);
    let other = rig.submit(1, 0, &[]);
    rig.wait(1, other);

    rig.reset_ring(0);
    assert_eq!(rig.ring(0, regs::RING_STATUS), 0);
    assert_eq!(rig.ring(0, regs::RING_SEQNO), kept, "kept across a ring reset");
    assert!(hung > kept);
    rig.enable_ring(0);
    let after = rig.submit(0, 0, &[]);
    rig.wait(0, after);
    let other = rig.submit(1, 0, &[]);
    rig.wait(1, other);
    rig.assert_no_violation();
}

#[test]
fn a_busy_ring_is_reset_within_its_time() {
    let rig = Rig::new();
    // All of the address space that the copy walks through leads to the same VRAM.
    for index in 0..64 {
        rig.segment(0, index, u64::from(index) * (8 << 20), 8 << 20, segment::WRITABLE, 0);
    }
    rig.submit(0, 0, &[long()]);
    rig.wait_busy(0);
    let begin = Instant::now();
    rig.reset_ring(0);
    assert!(begin.elapsed() < Duration::from_millis(regs::RESET_MAX_MS), "took {:?}", begin.elapsed());
    rig.assert_no_violation();
}

#[test]
fn a_ring_that_waits_for_another_can_be_reset() {
    let rig = Rig::new();
    rig.submit(1, 0, &[Command::WaitSeqno { ring: 0, value: 77 }]);
    rig.wait_busy(1);
    rig.reset_ring(1);
    rig.enable_ring(1);
    let seqno = rig.submit(1, 0, &[]);
    rig.wait(1, seqno);
}

#[test]
fn no_ring_stays_held_when_the_clock_is_quicker_than_the_reset() {
    let rig = Rig::cold(Config { rings: 8, ..Config::default() });
    rig.config.write16(offset::COMMAND, command::MEMORY | command::BUS_MASTER).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Keeps the clock thread on its feet: it looks for a reset each time the display changes.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rig.write(regs::SCANOUT_CTRL, 0);
            }
        });
        let resets = || {
            for _ in 0..500 {
                rig.reset_device();
                rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
                for ring in 0..8 {
                    rig.enable_ring(ring);
                    rig.doorbell(ring);
                }
                assert!(rig.card.witness().is_empty(), "a ring is still held: {:?}", rig.card.witness().violations());
            }
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(resets));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn a_device_reset_returns_to_power_on_and_keeps_vram() {
    let rig = Rig::new();
    rig.map_vram(0, 0, 0, 4096);
    rig.execute(0, Work::Fill(Fill { dst: va(0), bytes: 4096, pattern: 0x5555_5555 }));
    rig.submit(1, 0, &[Command::Work(Work::Hang)]);
    rig.wait_busy(1);
    rig.write(regs::IRQ_MASK, regs::irq::ALL);
    rig.write(regs::LIVENESS, 0);
    rig.write(regs::SCRATCH, 0);
    rig.write(regs::SCANOUT_SIZE, 0x10_0010);

    rig.reset_device();
    assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::READY);
    let zero = [
        regs::DEVICE_CTRL,
        regs::HEARTBEAT,
        regs::IRQ_MASK,
        regs::IRQ_STATUS,
        regs::SCANOUT_SIZE,
        regs::ring(0, regs::RING_SEQNO),
        regs::ring(0, regs::RING_BASE_HI),
        regs::ring(0, regs::RING_STATUS),
        regs::ring(1, regs::RING_STATUS),
        regs::segment_field(0, 0, regs::SEG_FLAGS),
    ];
    for register in zero {
        assert_eq!(rig.read(register), 0, "register {register:#x}");
    }
    assert_eq!(rig.read(regs::LIVENESS), regs::LIVENESS_RESET);
    assert_eq!(rig.read(regs::SCRATCH), u32::MAX);
    assert_eq!(rig.vram.read32(4092).unwrap(), 0x5555_5555);
    assert_eq!(rig.config.read16(offset::COMMAND).unwrap(), command::MEMORY | command::BUS_MASTER);
    rig.assert_no_violation();
}

#[test]
fn a_function_level_reset_clears_the_configuration_too() {
    let rig = Rig::new();
    rig.submit(0, 0, &[Command::Work(Work::Hang)]);
    rig.wait_busy(0);
    let capability = lifeboat_pci::find_capability(&*rig.config, lifeboat_pci::CapabilityId::PCI_EXPRESS);
    let capability = capability.unwrap().unwrap();
    assert_ne!(rig.config.read32(capability + 4).unwrap() & 1 << 28, 0, "announces FLR");
    rig.config.write16(capability + 8, 1 << 15).unwrap();
    assert_eq!(rig.config.read16(offset::COMMAND).unwrap(), 0);
    assert_eq!(rig.read(regs::ID), u32::MAX, "memory decode is off");
    rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
    wait_for("the reset", || rig.read(regs::DEVICE_STATUS) == device_status::READY);
    assert_eq!(rig.config.read16(0x82).unwrap() & 1, 0, "messages are off");
    assert_eq!(rig.ring(0, regs::RING_STATUS), 0);
    rig.assert_no_violation();
}

#[test]
fn a_failed_ring_reset_needs_a_device_reset() {
    let rig = Rig::new();
    rig.card.inject(Fault::FailedReset);
    rig.reset_ring(0);
    assert_eq!(rig.ring(0, regs::RING_STATUS), ring_status::RESET_FAILED);
    rig.write(regs::ring(0, regs::RING_CTRL), ring_ctrl::ENABLE);
    assert_eq!(rig.ring(0, regs::RING_STATUS), ring_status::RESET_FAILED, "does not enable");
    rig.reset_ring(0);
    assert_eq!(rig.ring(0, regs::RING_STATUS), ring_status::RESET_FAILED, "another ring reset does not help");
    rig.reset_device();
    assert_eq!(rig.ring(0, regs::RING_STATUS), 0);
}

#[test]
fn after_a_failed_device_reset_nothing_but_another_works() {
    let rig = Rig::new();
    rig.card.schedule(Trigger::Reset(2), Fault::FailedReset);
    rig.reset_ring(0);
    assert_eq!(rig.ring(0, regs::RING_STATUS), 0, "the first reset succeeds");
    rig.reset_device();
    assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::RESET_FAILED);
    rig.write(regs::DEVICE_CTRL, device_ctrl::ENABLE);
    rig.write(regs::SCRATCH, 5);
    assert_eq!(rig.read(regs::DEVICE_CTRL), 0);
    assert_eq!(rig.read(regs::SCRATCH), u32::MAX);
    rig.reset_device();
    assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::READY);
    rig.write(regs::SCRATCH, 5);
    assert_eq!(rig.read(regs::SCRATCH), 5);
}

#[test]
fn a_ring_reset_is_asked_for_from_the_interrupt_handler() {
    let rig = Rig::new();
    let registers = std::sync::Arc::clone(&rig.registers);
    let (sender, seen) = std::sync::mpsc::channel();
    let handler = std::sync::Arc::new(move |vector: u8| {
        registers.write32(regs::ring(0, regs::RING_CTRL), ring_ctrl::RESET).unwrap();
        let _ = sender.send(vector);
    });
    rig.function.irq_enable(1, handler).unwrap();
    rig.write(regs::IRQ_MASK, regs::irq::ALL);
    rig.submit(0, 0, &[Command::Work(Work::Fill(Fill { dst: va(0), bytes: 4, pattern: 0 }))]);
    assert_eq!(seen.recv_timeout(rig::TIMEOUT), Ok(0), "vector 1 modulo one vector");
    wait_for("the ring reset", || rig.ring(0, regs::RING_STATUS) == 0);
}

#[test]
fn a_slow_reset_takes_its_time_once_and_can_be_interrupted_by_a_removal() {
    const SLOW: Duration = Duration::from_millis(50);
    let rig = Rig::new();
    let reset = || {
        rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
        Instant::now()
    };
    let under_way = || rig.read(regs::DEVICE_STATUS) & device_status::RESETTING != 0;
    rig.card.schedule(Trigger::Reset(1), Fault::SlowReset(SLOW));
    let began = reset();
    wait_for("the end of the reset", || !under_way());
    assert!(began.elapsed() >= SLOW, "it took {:?}", began.elapsed());
    rig.card.inject(Fault::SlowReset(Duration::from_hours(1)));
    reset();
    assert!(under_way());
    // Waits for the card's threads when it is dropped.
    rig.card.remove();
}

#[test]
fn who_releases_a_card_that_takes_too_long_for_its_reset_has_done_what_there_is_to_do() {
    let rig = Rig::new();
    rig.card.inject(Fault::SlowReset(Duration::from_hours(1)));
    rig.write(regs::DEVICE_CTRL, device_ctrl::RESET);
    rig.function.release();
    assert!(rig.card.witness().violations().iter().all(|seen| !seen.to_string().contains("is enabled")));
    rig.card.remove();
    // Without a reset it is a mistake.
    let rig = Rig::new();
    rig.function.release();
    assert!(rig.card.witness().violations().iter().any(|seen| seen.to_string().contains("is enabled")));
}

#[test]
fn the_bus_resets_the_function_and_says_when_it_answers_again() {
    let rig = Rig::new();
    let kinds: Vec<_> = rig.function.resets().iter().collect();
    assert_eq!(kinds, [ResetKind::Function, ResetKind::Bus]);
    for kind in kinds {
        rig.submit(0, 0, &[Command::Work(Work::Hang)]);
        rig.wait_busy(0);
        rig.vram.write32(0, 7).unwrap();
        rig.write(regs::SCRATCH, 5);
        rig.function.reset(kind).unwrap();
        assert_eq!(rig.config.read16(offset::COMMAND).unwrap(), 0, "{kind:?} returns to power-on");
        rig.function.irq_disable();
        rig.bring_up();
        assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::READY);
        assert_eq!(rig.read(regs::SCRATCH), u32::MAX);
        assert_eq!(rig.vram.read32(0).unwrap(), 7, "VRAM is kept");
        let seqno = rig.submit(0, 0, &[]);
        rig.wait(0, seqno); // DMA mappings have stayed
    }
    rig.assert_no_violation();
}

#[test]
fn a_reset_by_the_bus_that_fails_is_told_by_the_device() {
    let rig = Rig::new();
    rig.card.inject(Fault::FailedReset);
    assert_eq!(rig.function.reset(ResetKind::Function), Ok(()), "it answers");
    rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
    assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::RESET_FAILED);
    assert_eq!(rig.function.reset(ResetKind::Bus), Ok(()));
    rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
    assert_eq!(rig.read(regs::DEVICE_STATUS), device_status::READY, "and a harder one helps");
}

#[test]
fn a_function_that_does_not_answer_is_not_ready_after_its_reset() {
    let rig = Rig::new();
    let both = [ResetKind::Function, ResetKind::Bus];
    rig.card.link_down();
    assert_eq!(both.map(|kind| rig.function.reset(kind)), [Err(BusError::NotReady); 2], "the link is down");
    rig.card.link_up();
    assert_eq!(both.map(|kind| rig.function.reset(kind)), [Ok(()); 2]);
    // Gone in the middle of it.
    rig.card.inject(Fault::SlowReset(Duration::from_hours(1)));
    std::thread::scope(|scope| {
        let reset = scope.spawn(|| rig.function.reset(ResetKind::Function));
        rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
        wait_for("the reset to begin", || {
            rig.config.write16(offset::COMMAND, command::MEMORY).unwrap();
            rig.read(regs::DEVICE_STATUS) == device_status::RESETTING
        });
        rig.card.remove();
        assert_eq!(reset.join().unwrap(), Err(BusError::NotReady));
    });
    assert_eq!(both.map(|kind| rig.function.reset(kind)), [Err(BusError::NotReady); 2], "the card is gone");
    assert!(rig.card.witness().is_empty(), "{:?}", rig.card.witness().violations());
}
