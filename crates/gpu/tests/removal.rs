//! Surprise removal: what is left of a card from one instant to the next.

mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use lifeboat_gpu::{Card, Config, Fault, Slot, SlotOccupied, Trigger};
use lifeboat_lb1::command::{Command, Copy, Fill, Work};
use lifeboat_lb1::regs;
use lifeboat_pci::{BusError, IrqKind, LinkSpeed, LinkState, SlotEvent, VectorHandler, command, offset};
use rig::{Rig, bytes_of, host, va, wait_for};

#[test]
fn reads_give_all_ones_and_writes_vanish() {
    let rig = Rig::new();
    rig.vram.write32(0, 7).unwrap();
    rig.card.remove();
    rig.card.remove();
    assert!(!rig.card.is_present());
    assert_eq!(rig.read(regs::ID), u32::MAX);
    rig.write(regs::SCRATCH, 5);
    assert_eq!(rig.read(regs::SCRATCH), u32::MAX);
    assert_eq!(rig.vram.read32(0).unwrap(), u32::MAX);
    assert_eq!(rig.config.read32(offset::ID).unwrap(), u32::MAX);
    assert_eq!(rig.config.read16(offset::STATUS).unwrap(), u16::MAX);
    assert_eq!(rig.card.scanout(), None);
    rig.shut_down();
    rig.assert_no_violation();
}

/// After `remove` has returned, not one byte of host memory changes, at whatever point of a copy it comes.
#[test]
fn no_byte_of_host_memory_changes_after_removal() {
    for delay in 0..20 {
        let rig = Rig::new();
        let memory = host(4 << 20);
        rig.map_vram(0, 0, 0, 4 << 20);
        rig.map_host(0, 1, 1 << 32, &memory);
        for pattern in 1..20 {
            let fill = Fill { dst: va(0), bytes: 4 << 20, pattern };
            let copy = Copy::linear(va(1 << 32), va(0), 4 << 20);
            rig.submit(0, 0, &[Command::Work(Work::Fill(fill)), Command::Work(Work::Copy(copy))]);
        }
        rig.wait_busy(0);
        wait_for("some copying", || rig.card.counters().dma_bytes > 1 << 20);
        std::thread::sleep(Duration::from_micros(delay * 50));
        rig.card.remove();
        let (at_removal, counters) = (bytes_of(&memory), rig.card.counters());
        std::thread::sleep(Duration::from_millis(3));
        assert!(bytes_of(&memory) == at_removal, "host memory changed after the removal");
        assert_eq!(rig.card.counters().dma_bytes, counters.dma_bytes);
        rig.assert_no_violation();
    }
}

#[test]
fn the_nth_access_is_the_first_that_finds_nothing() {
    for n in 1..=12 {
        let rig = Rig::new();
        rig.card.schedule(Trigger::Access(n), Fault::Remove);
        for access in 1..=15 {
            let expected = if access < n { regs::ID_VALUE } else { u32::MAX };
            assert_eq!(rig.read(regs::ID), expected, "access {access}, removal at {n}");
        }
    }
}

#[test]
fn removal_wakes_every_thread_of_the_card() {
    let rig = Rig::new();
    rig.submit(0, 0, &[Command::Work(Work::Hang)]);
    rig.submit(1, 0, &[Command::WaitSeqno { ring: 0, value: 9 }]);
    rig.wait_busy(0);
    rig.wait_busy(1);
    rig.card.remove();
    rig.shut_down();
    let Rig { card, slot, function, .. } = rig;
    drop((slot, function));
    drop(card); // joins the threads: hangs if one of them does
}

#[test]
fn a_card_can_be_removed_by_its_interrupt_handler() {
    let rig = Rig::new();
    let card = Arc::downgrade(&rig.card);
    let handler = Arc::new(move |_| {
        if let Some(card) = card.upgrade() {
            card.remove();
        }
    });
    rig.function.irq_enable(4, handler).unwrap();
    rig.write(regs::IRQ_MASK, regs::irq::ALL);
    rig.submit(0, 0, &[]);
    wait_for("the removal", || !rig.card.is_present());
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn a_dropped_card_lets_go_of_its_handler() {
    let Rig { slot, card, function, .. } = Rig::new();
    let owned = Arc::new(());
    let (watched, own_function) = (Arc::downgrade(&owned), Arc::clone(&function));
    // What a handler often owns: the driver, and with it the function that owns the handler.
    function
        .irq_enable(
            1,
            Arc::new(move |_| {
                let _ = (&owned, &own_function);
            }),
        )
        .unwrap();
    drop((slot, function));
    assert!(watched.upgrade().is_some());
    drop(card);
    assert!(watched.upgrade().is_none());
}

#[test]
fn a_running_handler_may_drop_the_card() {
    let card = Card::new(Config { vram_bytes: 4096, ..Config::default() }).unwrap();
    let slot = Slot::new("0000:02:00.0");
    slot.insert(Arc::clone(&card)).unwrap();
    let function = slot.function().unwrap();
    let registers = function.bar(regs::REGISTER_BAR).unwrap();
    let (sender, dropped) = std::sync::mpsc::channel();
    let owned = std::sync::Mutex::new(Some((card, slot)));
    let handler = Arc::new(move |_| {
        drop(owned.lock().unwrap().take());
        let _ = sender.send(());
    });
    function.config().write16(offset::COMMAND, command::MEMORY | command::BUS_MASTER).unwrap();
    function.irq_enable(1, handler).unwrap();
    registers.write32(regs::IRQ_MASK, regs::irq::ALL).unwrap();
    registers.write32(regs::IRQ_FORCE, 1).unwrap();
    dropped.recv_timeout(rig::TIMEOUT).unwrap();
    assert_eq!(registers.read32(regs::ID).unwrap(), u32::MAX, "the card went with its last reference");
    function.release();
}

#[test]
fn no_handler_runs_once_interrupts_are_off() {
    let rig = Rig::new();
    rig.write(regs::IRQ_MASK, regs::irq::ALL);
    for _ in 0..200 {
        let running = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = Arc::clone(&running);
        let handler = Arc::new(move |_| {
            flag.store(true, std::sync::atomic::Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(100));
            flag.store(false, std::sync::atomic::Ordering::SeqCst);
        });
        rig.function.irq_enable(4, handler).unwrap();
        rig.write(regs::IRQ_STATUS, regs::irq::ALL);
        rig.write(regs::IRQ_FORCE, 1);
        std::thread::sleep(Duration::from_micros(50));
        rig.function.irq_disable();
        assert!(!running.load(std::sync::atomic::Ordering::SeqCst));
        assert_eq!(Arc::strong_count(&running), 1, "the handler is gone");
    }
}

#[test]
fn each_vector_has_its_handler_and_none_runs_once_interrupts_are_off() {
    let rig = Rig::new();
    assert_eq!(rig.function.irq_vectors(IrqKind::Msi), Ok(regs::VECTORS.into()));
    assert_eq!(rig.function.irq_vectors(IrqKind::MsiX), Err(BusError::Unsupported), "LB1 has none");
    let counts: [Arc<AtomicU64>; 4] = Default::default();
    let handlers = |n: usize| -> Vec<VectorHandler> {
        let handler = |count: &Arc<AtomicU64>| -> VectorHandler {
            let count = Arc::clone(count);
            Arc::new(move || {
                count.fetch_add(1, SeqCst);
                std::thread::sleep(Duration::from_micros(100));
                count.fetch_add(1, SeqCst);
            })
        };
        counts.iter().cycle().take(n).map(handler).collect()
    };
    for n in [0, 3, 5, 8, 256] {
        assert_eq!(rig.function.irq_enable_each(IrqKind::Msi, handlers(n)), Err(BusError::Unsupported), "{n} handlers");
    }
    assert_eq!(rig.function.irq_enable_each(IrqKind::MsiX, handlers(4)), Err(BusError::Unsupported));
    let seen = || counts.each_ref().map(|count| count.load(SeqCst));
    for _ in 0..50 {
        rig.write(regs::IRQ_MASK, regs::irq::ALL);
        rig.write(regs::IRQ_STATUS, regs::irq::ALL);
        rig.function.irq_enable_each(IrqKind::Msi, handlers(4)).unwrap();
        // Whichever of the three runs when interrupts are turned off, it has ended.
        rig.write(regs::IRQ_FORCE, regs::irq::ALL);
        std::thread::sleep(Duration::from_micros(150));
        rig.function.irq_disable();
        let after = seen();
        assert!(after.iter().all(|count| count % 2 == 0), "a handler still runs: {after:?}");
        assert!(counts.iter().all(|count| Arc::strong_count(count) == 1), "the handlers are gone");
    }
    for (source, vector) in [(regs::irq::ring_done(0), 0), (regs::irq::ring_fault(0), 1), (regs::irq::VBLANK, 2)] {
        rig.function.irq_enable_each(IrqKind::Msi, handlers(4)).unwrap();
        rig.write(regs::IRQ_STATUS, regs::irq::ALL);
        let before = seen();
        rig.write(regs::IRQ_FORCE, source);
        wait_for("the handler of the vector", || seen()[vector] == before[vector] + 2);
        rig.function.irq_disable();
        let others = (0..4).filter(|other| *other != vector);
        assert!(others.into_iter().all(|other| seen()[other] == before[other]), "another vector's handler ran");
    }
    rig.shut_down();
    rig.assert_no_violation();
}

#[test]
fn the_bus_knows_the_state_of_the_link_whatever_the_function_answers() {
    let rig = Rig::new();
    let up = LinkState::Up { speed: LinkSpeed::GEN_1, lanes: 1 };
    assert_eq!((rig.function.link(), LinkState::of_function(&*rig.config)), (up, Ok(up)));
    rig.card.link_down();
    // The function itself cannot say that it is out of reach.
    assert_eq!((rig.function.link(), LinkState::of_function(&*rig.config)), (LinkState::Down, Ok(LinkState::Unknown)));
    rig.card.link_up();
    assert_eq!(rig.function.link(), up);
    rig.shut_down();
    assert_eq!(rig.function.link(), up, "asks nothing of the function, so it is allowed after the release");
    rig.card.remove();
    assert_eq!(rig.function.link(), LinkState::Down);
    rig.assert_no_violation();
}

#[test]
fn a_slot_tells_of_cards_that_come_and_go() {
    let card = || Card::new(Config { vram_bytes: 4096, ..Config::default() }).unwrap();
    let next = |events: &std::sync::mpsc::Receiver<SlotEvent>| events.recv_timeout(rig::TIMEOUT).unwrap();
    let slot = Slot::new("0000:01:00.0");
    let early = slot.events();
    assert!(slot.function().is_none());
    let first = card();
    slot.insert(Arc::clone(&first)).unwrap();
    assert_eq!(next(&early), SlotEvent::Present);
    let late = slot.events();
    assert_eq!(next(&late), SlotEvent::Present);
    assert_eq!(slot.insert(card()), Err(SlotOccupied));

    // Vanishing inside a driver's access tells too.
    let function = slot.function().unwrap();
    assert_eq!(function.location(), "0000:01:00.0");
    first.schedule(Trigger::Access(1), Fault::Remove);
    assert_eq!(function.config().read32(offset::ID).unwrap(), u32::MAX);
    assert_eq!(next(&early), SlotEvent::Absent);
    assert!(slot.function().is_none());
    assert!(slot.card().is_some_and(|card| !card.is_present()));

    slot.insert(card()).unwrap();
    assert_eq!(next(&early), SlotEvent::Present);
    assert!(slot.function().is_some());
    first.remove();
    slot.remove();
    assert_eq!(next(&early), SlotEvent::Absent);
    assert_eq!(early.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout), "nothing else");

    slot.insert(first).unwrap();
    assert!(slot.function().is_none(), "a removed card stays removed");
    assert_eq!(next(&late), SlotEvent::Absent);
    function.release();
}

#[test]
fn life_8_a_slot_tells_of_a_link_that_goes_down_and_up() {
    let next = |events: &std::sync::mpsc::Receiver<SlotEvent>| events.recv_timeout(rig::TIMEOUT).unwrap();
    let slot = Slot::new("0000:01:00.0");
    let early = slot.events();
    let card = Card::new(Config { vram_bytes: 4096, ..Config::default() }).unwrap();
    slot.insert(Arc::clone(&card)).unwrap();
    let function = slot.function().unwrap();
    let id = function.config().read32(offset::ID).unwrap();
    function.config().write16(offset::COMMAND, command::MEMORY).unwrap();
    let registers = function.bar(regs::REGISTER_BAR).unwrap();
    registers.write32(regs::SCRATCH, 7).unwrap();

    card.link_up(); // It is up.
    slot.link_down();
    slot.link_down();
    let late = slot.events();
    assert_eq!(function.config().read32(offset::ID).unwrap(), u32::MAX);
    assert_eq!(registers.read32(regs::SCRATCH).unwrap(), u32::MAX);
    registers.write32(regs::SCRATCH, 8).unwrap();
    assert!(card.is_present() && slot.function().is_some(), "the card is in its slot");
    slot.link_up();
    assert_eq!(function.config().read32(offset::ID).unwrap(), id);
    assert_eq!(registers.read32(regs::SCRATCH).unwrap(), 7, "the write was lost");
    for events in [&early, &late] {
        let told = [next(events), next(events), next(events)];
        assert_eq!(told, [SlotEvent::Present, SlotEvent::LinkDown, SlotEvent::LinkUp]);
    }

    card.link_down_quietly();
    assert_eq!(registers.read32(regs::SCRATCH).unwrap(), u32::MAX);
    card.link_up();
    assert_eq!(registers.read32(regs::SCRATCH).unwrap(), 7);
    card.link_down();
    card.remove();
    card.link_up();
    assert_eq!([next(&early), next(&early)], [SlotEvent::LinkDown, SlotEvent::Absent], "nothing of the quiet one");
    assert_eq!(early.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout), "nothing else");
    function.release();
}

#[test]
fn impossible_cards_are_refused() {
    for config in [
        Config { vram_bytes: 0, ..Config::default() },
        Config { vram_bytes: 5000, ..Config::default() },
        Config { vram_bytes: 8 << 30, ..Config::default() },
        Config { rings: 0, ..Config::default() },
        Config { rings: 9, ..Config::default() },
    ] {
        let error = Card::new(config).err().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{config:?}");
    }
}
