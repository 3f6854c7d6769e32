//! Another device in the place of ours (LIFE-8).

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use lifeboat::core::recovery::RETRY;
use lifeboat::core::unplug::Loss;
use lifeboat::{Event, ProbeError};
use lifeboat_gpu::Config;
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::Device;
use lifeboat_pci::{ALL_ONES, SlotEvent};

use crate::fickle::{Rig, watched};
use crate::machine::LONG;

/// Another vendor's card.
const OTHER: u32 = 0x1b80_10de;

#[test]
fn life_8_a_card_that_was_taken_out_is_missing_whatever_answers_at_its_address() {
    for id in [OTHER, RETRY, ALL_ONES] {
        let rig = Rig::new(watched());
        rig.slot.mood.down_id.store(id, SeqCst);
        rig.slot.down();
        rig.slot.tell(SlotEvent::Absent);
        assert_eq!(rig.removed().loss, Loss::Unplugged, "{id:#x}");
        rig.finish();
    }
    // Another card of the same model.
    for (register, value) in [(regs::SERIAL, 0x7777), (regs::VRAM_PAGES, 1 << 12), (regs::VERSION, 0x0001_0007)] {
        let rig = Rig::new(watched());
        rig.slot.mood.set_register(register, value);
        rig.slot.tell(SlotEvent::Absent);
        let loss = rig.removed().loss;
        // The driver may have seen it, before the slot has said so.
        assert!(matches!(loss, Loss::Unplugged | Loss::Replaced), "register {register:#x}: {loss}");
        drop(rig);
    }
}

#[test]
fn life_8_news_of_a_removal_that_are_old_do_not_end_the_device_that_is_there() {
    let rig = Rig::new(watched());
    rig.slot.tell(SlotEvent::Absent);
    rig.slot.tell(SlotEvent::Present);
    rig.quiet(Duration::from_millis(200));
    assert_eq!(rig.bus.devices::<Device>().len(), 1);
    rig.finish();
}

#[test]
fn life_8_a_card_swapped_behind_the_slots_back_is_another_device() {
    let others = [(regs::SERIAL, 0x7777), (regs::VRAM_PAGES, 1 << 12), (regs::VERSION, 0x0001_0007)];
    for (register, value) in others {
        for told in [false, true] {
            let rig = Rig::new(watched());
            let before = rig.bus.devices::<Device>()[0].info().clone();
            rig.slot.mood.set_register(register, value);
            if told {
                rig.slot.tell(SlotEvent::Present);
            }
            assert_eq!(rig.removed().loss, Loss::Replaced, "register {register:#x}");
            let minor = rig.added();
            assert_ne!(minor, before.minor);
            assert_eq!(rig.bus.devices::<Device>().len(), 1);
            rig.finish();
        }
    }
}

#[test]
fn life_8_a_card_of_a_version_that_nobody_knows_is_another_device() {
    let rig = Rig::new(watched());
    rig.slot.mood.set_register(regs::VERSION, 0x0002_0000);
    assert_eq!(rig.removed().loss, Loss::Replaced);
    assert!(matches!(rig.event(), Event::ProbeFailed { .. }));
    rig.slot.mood.register.1.store(0, SeqCst);
    let bound = rig.bus.bind("0000:01:00.0").wait(LONG);
    assert_eq!(bound, Ok(rig.added()));
    rig.finish();
}

#[test]
fn life_8_what_comes_back_as_another_is_told_as_replaced_and_has_all_its_recoveries() {
    let rig = Rig::new(watched());
    let before = rig.bus.devices::<Device>()[0].info().clone();
    for vram_bytes in [64 << 20, 32 << 20] {
        rig.slot.down();
        std::thread::sleep(Duration::from_millis(200));
        rig.slot.swap(Config { vram_bytes, ..Config::default() });
        rig.slot.up();
        assert_eq!(rig.removed().loss, Loss::Replaced);
        rig.added();
        let info = rig.bus.devices::<Device>()[0].info().clone();
        assert_ne!((info.minor, info.serial), (before.minor, before.serial));
        assert_eq!(info.vram_bytes, vram_bytes);
    }
    rig.finish();
}

#[test]
fn life_8_another_models_card_is_told_as_that_and_not_tried_again() {
    let rig = Rig::new(watched());
    rig.slot.down();
    std::thread::sleep(Duration::from_millis(200));
    rig.slot.mood.id.store(OTHER, SeqCst);
    rig.slot.up();
    assert_eq!(rig.removed().loss, Loss::Replaced);
    match rig.event() {
        Event::ProbeFailed { error: ProbeError::NotOurs(OTHER), .. } => {}
        other => panic!("{other:?}"),
    }
    let begun = rig.slot.begun();
    rig.quiet(Duration::from_millis(300));
    assert_eq!(rig.slot.begun(), begun);
    rig.finish();
}
