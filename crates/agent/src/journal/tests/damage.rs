//! Damage: cuts and flips at every byte.

use proptest::prelude::*;

use super::*;

/// Journal with a checkpoint and a few records. Returns the bytes of its newest segment and the offsets at which
/// its frames end: a start, the checkpoint 1 and the records 2 to 4.
fn example(place: &Place) -> (Vec<u8>, Vec<usize>) {
    let mut journal = place.open(OPTIONS).unwrap().journal;
    journal.append(&record(0)).unwrap();
    journal.checkpoint(&record(1)).unwrap();
    for number in 2..=4 {
        journal.append(&record(number)).unwrap();
    }
    let bytes = fs::read(place.segment(2)).unwrap();
    // Each payload ends like this, and no head happens to.
    let ends = bytes.windows(2).enumerate().filter(|(_, pair)| pair == b"}\n");
    let ends: Vec<usize> = ends.map(|(offset, _)| offset + 2).collect();
    assert_eq!(ends.len(), 5);
    (bytes, ends)
}

fn torn_files(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.journal()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("/torn-")).collect()
}

#[test]
fn agent_7_a_cut_at_every_byte_loses_the_torn_frame_only() {
    let place = Place::new();
    let (bytes, ends) = example(&place);
    for length in 0..bytes.len() {
        for zeros in [0, 1, 600] {
            let mut cut = bytes[..length].to_vec();
            cut.resize(length + zeros, 0);
            fs::write(place.segment(2), &cut).unwrap();
            let whole = ends.iter().filter(|end| **end <= length).count();
            if whole < 2 {
                // A segment gets its name when its checkpoint is on the disk: this is no torn write.
                assert!(place.open(OPTIONS).is_err(), "{length}+{zeros}");
                assert_eq!(fs::read(place.segment(2)).unwrap(), cut);
                continue;
            }
            let mut opened = place.open(OPTIONS).unwrap_or_else(|error| panic!("{length}+{zeros}: {error}"));
            let mut expected: Vec<String> = (1..whole as u64).map(record).collect();
            assert_eq!(records(&opened.entries), expected, "{length}+{zeros}");
            let tail = &cut[ends[whole - 1]..];
            let kept = opened.torn.as_ref().map(|path| fs::read(path).unwrap());
            assert_eq!(kept.as_deref(), (!tail.is_empty()).then_some(tail), "{length}+{zeros}");
            opened.journal.append(&record(9)).unwrap();
            drop(opened);
            expected.push(record(9));
            let again = place.open(OPTIONS).unwrap();
            assert_eq!(records(&again.entries), expected, "{length}+{zeros}");
            assert!(again.torn.is_none());
        }
    }
    assert_eq!(torn_files(&place).len(), 3, "one for each frame that was torn");
}

#[test]
fn the_newest_torn_tails_are_kept_and_no_more() {
    let place = Place::new();
    fs::create_dir(place.journal()).unwrap();
    let kept = (1..=12).map(|offset| segment::keep_torn(&place.journal(), 1, offset, b"x").unwrap());
    let kept: Vec<PathBuf> = kept.collect();
    let mut found = torn_files(&place);
    found.sort_unstable();
    assert_eq!(found, kept[4..]);
}

#[test]
fn case_2_agent_14_a_flip_of_every_byte_is_reported_and_nothing_is_cut() {
    let place = Place::new();
    let (bytes, ends) = example(&place);
    for offset in 0..bytes.len() {
        let old = bytes[offset];
        for new in [old ^ 1, old ^ 0x80, !old, 0] {
            // A frame whose last bytes are zero counts as torn.
            if new == old || (new == 0 && offset == bytes.len() - 1) {
                continue;
            }
            let mut flipped = bytes.clone();
            flipped[offset] = new;
            fs::write(place.segment(2), &flipped).unwrap();
            let error = place.open(OPTIONS).map(|opened| opened.entries).unwrap_err();
            assert!(matches!(error, Error::Damaged { .. } | Error::Newer { .. }), "{offset}: {error}");
            assert_eq!(fs::read(place.segment(2)).unwrap(), flipped);
            assert!(torn_files(&place).is_empty());
            // Everything but the frame with the flip is in the history.
            let hit = ends.iter().filter(|end| **end <= offset).count() as u64;
            let lost = |number| number > 0 && (offset < frame::HEADER || number == hit);
            let (mut found, mut errors) = (Vec::new(), 0);
            for part in history::<String>(&place.journal(), 1).unwrap() {
                match part {
                    Found::Entry(Numbered { entry: Entry::Record(text) | Entry::Checkpoint(text), .. }) => {
                        found.push(text);
                    }
                    Found::Entry(_) => {}
                    Found::Unreadable(_) => errors += 1,
                }
            }
            let expected: Vec<String> = (0..=4).filter(|number| !lost(*number)).map(record).collect();
            assert_eq!(found, expected, "{offset}");
            assert_eq!(errors, 1, "{offset}");
        }
    }
}

#[test]
fn damage_says_what_can_be_read_around_it() {
    let place = Place::new();
    let (mut bytes, ends) = example(&place);
    bytes[ends[2] + 2] ^= 0xff;
    fs::write(place.segment(2), &bytes).unwrap();
    let error = place.open(OPTIONS).unwrap_err();
    // Before: start, checkpoint, record 2. After: record 4.
    let Error::Damaged { offset, before, after, .. } = error else { panic!("{error}") };
    assert_eq!((offset, before, after), (ends[2] as u64, 3, 1));
}

#[test]
fn a_frame_that_is_missing_in_the_middle_is_damage() {
    let place = Place::new();
    let (mut bytes, ends) = example(&place);
    bytes.drain(ends[1]..ends[2]);
    fs::write(place.segment(2), &bytes).unwrap();
    assert!(matches!(place.open(OPTIONS), Err(Error::Damaged { before: 2, after: 2, .. })));
}

proptest! {
    #[test]
    fn any_bytes_are_scanned(bytes in proptest::collection::vec(any::<u8>(), 0..300), first: u64) {
        let _ = Header::decode(&bytes);
        let scan = frame::scan(&bytes, first);
        prop_assert!(scan.frames.len() <= bytes.len());
    }

    /// Overwrites a range of the example. Each entry that is still found is one that was written.
    #[test]
    fn overwritten_bytes_invent_nothing(
        payloads in proptest::collection::vec("[a-z]{1,40}", 1..8),
        at in any::<prop::sample::Index>(),
        patch in proptest::collection::vec(any::<u8>(), 1..40),
        first in 0..u64::MAX / 2,
    ) {
        let mut bytes = Header { number: 1, first }.encode().to_vec();
        for (offset, payload) in payloads.iter().enumerate() {
            frame::encode(first + offset as u64, payload.as_bytes(), &mut bytes);
        }
        let at = at.index(bytes.len());
        let end = (at + patch.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&patch[..end - at]);
        let scan = frame::scan(&bytes, first);
        let after = match scan.end {
            frame::End::Damaged { after, .. } => after,
            _ => Vec::new(),
        };
        for frame in scan.frames.iter().chain(&after) {
            let index = usize::try_from(frame.sequence - first).unwrap();
            prop_assert_eq!(frame.payload, payloads[index].as_bytes());
        }
    }
}
