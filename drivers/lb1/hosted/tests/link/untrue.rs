//! Errors that pass, and capabilities that cannot be true, at probe.

use std::sync::atomic::Ordering::SeqCst;

use lifeboat::Event;
use lifeboat::core::errno::Errno;
use lifeboat_lb1::regs;
use lifeboat_lb1_hosted::{Device, Placement};
use lifeboat_pci::BusError;

use crate::fickle::{Mood, Rig, watched};

#[test]
fn vram_that_could_not_be_opened_at_probe_is_opened_when_it_is_used() {
    for (error, errno) in [(BusError::NoMemory, Errno::ENOMEM), (BusError::TooManyFiles, Errno::EMFILE)] {
        let mood = Mood::default();
        *mood.backing.lock().unwrap() = (2, Some(error));
        let rig = Rig::in_mood(watched(), mood);
        rig.added();
        let handle = rig.bus.devices::<Device>()[0].open().unwrap();
        let buffer = handle.create_buffer(Placement::Vram, 4096).unwrap();
        assert_eq!(handle.mmap(&buffer).unwrap_err().errno(), errno);
        let map = handle.mmap(&buffer).expect("the second use finds it");
        map.write(0, &[7]).unwrap();
        let mut byte = [0];
        buffer.read(0, &mut byte).unwrap();
        assert_eq!(byte, [7], "it is the device's memory");
        drop((map, buffer, handle));
        rig.finish();
    }
}

#[test]
fn a_device_whose_vram_cannot_be_mapped_says_so() {
    let mood = Mood::default();
    *mood.backing.lock().unwrap() = (usize::MAX, Some(BusError::Unsupported));
    let rig = Rig::in_mood(watched(), mood);
    rig.added();
    let handle = rig.bus.devices::<Device>()[0].open().unwrap();
    let buffer = handle.create_buffer(Placement::Vram, 4096).unwrap();
    assert_eq!(handle.mmap(&buffer).unwrap_err().errno(), Errno::EINVAL);
    drop((buffer, handle));
    rig.finish();
}

#[test]
fn capabilities_that_cannot_be_true_refuse_the_probe_with_a_sentence() {
    fn refused(mood: Mood, word: &str) {
        let rig = Rig::in_mood(watched(), mood);
        match rig.event() {
            Event::ProbeFailed { error, .. } => assert!(error.to_string().contains(word), "{error}"),
            other => panic!("expected a refusal that speaks of {word}, got {other:?}"),
        }
        rig.finish();
    }
    let saying = |register, value| {
        let mood = Mood::default();
        mood.set_register(register, value);
        mood
    };
    // One page more than the BAR.
    refused(saying(regs::VRAM_PAGES, (64 << 20 >> 12) + 1), "VRAM");
    refused(saying(regs::VRAM_PAGES, u32::MAX - 1), "VRAM");
    refused(saying(regs::CAPS, u32::from_le_bytes([200, 64, 64, 0])), "0x8");
    for (bar, size, word) in [(2, 1 << 20, "VRAM"), (0, 0x1100, "BAR"), (0, 0x2_0000, "BAR")] {
        let mood = Mood::default();
        mood.sizes[bar].store(size, SeqCst);
        refused(mood, word);
    }
}
