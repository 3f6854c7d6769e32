use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

mod damage;
mod death;
mod full;

/// Folder for a journal, with a system that has a boot.
struct Place {
    folder: TempDir,
    system: System,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let system = system(folder.path(), "first");
        Self { folder, system }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn segment(&self, number: u64) -> PathBuf {
        segment::path(&self.journal(), number)
    }

    fn open(&self, options: Options) -> Result<Opened<String>, Error> {
        Journal::open(&self.journal(), &self.system, options)
    }
}

fn system(folder: &Path, boot: &str) -> System {
    for name in ["sys", "dev", "proc/sys/kernel/random"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    fs::write(folder.join("proc/sys/kernel/random/boot_id"), format!("{boot}\n")).unwrap();
    System::open(folder).unwrap()
}

const OPTIONS: Options = Options::new(1);

fn record(number: u64) -> String {
    format!("record {number}")
}

/// Records among the entries, checkpoints included.
fn records(entries: &[Numbered<String>]) -> Vec<String> {
    let text = |entry: &Numbered<String>| match &entry.entry {
        Entry::Record(text) | Entry::Checkpoint(text) => Some(text.clone()),
        Entry::Start(_) => None,
    };
    entries.iter().filter_map(text).collect()
}

#[test]
fn agent_7_records_are_there_after_a_restart() {
    let place = Place::new();
    let mut opened = place.open(OPTIONS).unwrap();
    assert!(opened.entries.is_empty());
    let sequences = [1, 2, 3].map(|number| opened.journal.append(&record(number)).unwrap());
    assert_eq!(sequences, [2, 3, 4]);
    drop(opened);
    let opened = place.open(OPTIONS).unwrap();
    assert_eq!(records(&opened.entries), ["record 1", "record 2", "record 3"]);
    assert_eq!(opened.entries.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(opened.torn.is_none() && opened.journal.trouble().is_none());
}

#[test]
fn each_start_notes_the_boot() {
    let place = Place::new();
    drop(place.open(OPTIONS).unwrap());
    system(place.folder.path(), "second");
    drop(place.open(OPTIONS).unwrap());
    let opened = place.open(OPTIONS).unwrap();
    let boots = opened.entries.iter().map(|entry| match &entry.entry {
        Entry::Start(start) => start.boot.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(boots.collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(opened.journal.start().boot, "second");
}

#[test]
fn a_boot_that_cannot_be_read_is_an_error() {
    let place = Place::new();
    system(place.folder.path(), "");
    assert!(matches!(place.open(OPTIONS), Err(Error::Io { doing: "read", .. })));
}

#[test]
fn a_second_writer_is_refused() {
    let place = Place::new();
    let mut first = place.open(OPTIONS).unwrap();
    let refused = place.open(OPTIONS).unwrap_err();
    assert!(matches!(&refused, Error::InUse { path } if *path == place.journal()), "{refused}");
    first.journal.append(&record(1)).unwrap();
    drop(first);
    assert_eq!(records(&place.open(OPTIONS).unwrap().entries), ["record 1"]);
}

#[test]
fn only_the_owner_may_read() {
    let place = Place::new();
    let _opened = place.open(OPTIONS).unwrap();
    assert_eq!(fs::metadata(place.journal()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(place.segment(1)).unwrap().mode() & 0o777, 0o600);
}

/// Case 2: state that cannot be read was taken for empty, so each restart began with a full budget.
#[test]
fn case_2_agent_14_a_journal_that_cannot_be_read_is_never_empty() {
    let place = Place::new();
    drop(place.open(OPTIONS).unwrap());
    for bytes in [&b""[..], b"L", b"LBJOURN\n", b"something else of sufficient length"] {
        fs::write(place.segment(1), bytes).unwrap();
        let error = place.open(OPTIONS).unwrap_err();
        assert!(matches!(error, Error::Damaged { offset: 0, .. }), "{error}");
        assert_eq!(fs::read(place.segment(1)).unwrap(), bytes);
    }
    // A read that fails, for any user.
    fs::remove_file(place.segment(1)).unwrap();
    fs::create_dir(place.segment(1)).unwrap();
    assert!(matches!(place.open(OPTIONS), Err(Error::Io { doing: "read", .. })));
    // An older segment is no substitute for the newest.
    fs::remove_dir(place.segment(1)).unwrap();
    let mut opened = place.open(OPTIONS).unwrap();
    opened.journal.checkpoint(&record(1)).unwrap();
    drop(opened);
    fs::write(place.segment(2), b"").unwrap();
    assert!(matches!(place.open(OPTIONS), Err(Error::Damaged { .. })));
    // A file in the place of the folder.
    fs::remove_dir_all(place.journal()).unwrap();
    fs::write(place.journal(), b"").unwrap();
    assert!(place.open(OPTIONS).is_err());
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open(OPTIONS).unwrap());
    let mut bytes = fs::read(place.segment(1)).unwrap();
    bytes[8] += 1;
    fs::write(place.segment(1), &bytes).unwrap();
    let error = place.open(OPTIONS).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(fs::read(place.segment(1)).unwrap(), bytes);
}

#[test]
fn newer_records_are_refused_before_they_are_parsed() {
    let place = Place::new();
    drop(place.open(OPTIONS).unwrap());
    // The newer daemon has another type of records.
    let newer = Journal::<Vec<u32>>::open(&place.journal(), &place.system, Options::new(2));
    newer.unwrap().journal.append(&vec![1, 2]).unwrap();
    let error = place.open(OPTIONS).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_record_of_another_form_is_an_error() {
    let place = Place::new();
    place.open(OPTIONS).unwrap().journal.append(&record(1)).unwrap();
    let error = Journal::<u32>::open(&place.journal(), &place.system, OPTIONS).unwrap_err();
    assert!(matches!(error, Error::Entry { sequence: 2, .. }), "{error}");
}

#[test]
fn a_checkpoint_stands_for_what_was_before() {
    let place = Place::new();
    let options = Options { segment_length: 400, segments: 3, ..OPTIONS };
    let mut journal = place.open(options).unwrap().journal;
    let mut checkpoints = 0;
    for number in 1..=100 {
        journal.append(&record(number)).unwrap();
        if journal.wants_checkpoint() {
            journal.checkpoint(&format!("all up to {number}")).unwrap();
            checkpoints += 1;
        }
    }
    drop(journal);
    assert!(checkpoints > 3);
    let numbers = segment::list(&place.journal()).unwrap();
    assert_eq!(numbers, [checkpoints - 1, checkpoints, checkpoints + 1]);
    let opened = place.open(options).unwrap();
    let found = records(&opened.entries);
    let last: u64 = found[0].strip_prefix("all up to ").unwrap().parse().unwrap();
    assert_eq!(found[1..], (last + 1..=100).map(record).collect::<Vec<_>>());
    // The history has more than the state needs, and no gap.
    let history = history::<String>(&place.journal(), 1).unwrap();
    assert!(history.len() > opened.entries.len() + 1);
    let sequences = history.iter().map(|found| match found {
        Found::Entry(entry) => entry.sequence,
        Found::Unreadable(error) => panic!("{error}"),
    });
    let sequences: Vec<u64> = sequences.collect();
    assert!(sequences.is_sorted_by(|a, b| a + 1 == *b), "{sequences:?}");
}

#[test]
fn an_unfinished_segment_does_not_count() {
    let place = Place::new();
    place.open(OPTIONS).unwrap().journal.append(&record(1)).unwrap();
    fs::write(place.journal().join("unfinished"), b"LBJOURN\n").unwrap();
    assert_eq!(records(&place.open(OPTIONS).unwrap().entries), ["record 1"]);
    assert!(!place.journal().join("unfinished").exists());
}

#[test]
fn a_segment_without_its_checkpoint_is_damage() {
    let place = Place::new();
    place.open(OPTIONS).unwrap().journal.checkpoint(&record(1)).unwrap();
    let start = Entry::<String>::Start(Start { boot: "first".into(), schema: 1 });
    let mut bytes = Header { number: 2, first: 2 }.encode().to_vec();
    frame::encode(2, &entry::encode(&start).unwrap(), &mut bytes);
    fs::write(place.segment(2), bytes).unwrap();
    assert!(matches!(place.open(OPTIONS), Err(Error::Damaged { .. })));
}

#[test]
fn a_missing_segment_is_part_of_the_history() {
    let place = Place::new();
    let mut journal = place.open(OPTIONS).unwrap().journal;
    journal.checkpoint(&record(1)).unwrap();
    journal.checkpoint(&record(2)).unwrap();
    fs::remove_file(place.segment(2)).unwrap();
    let history = history::<String>(&place.journal(), 1).unwrap();
    let missing = |found: &Found<_>| matches!(found, Found::Unreadable(Error::Missing { .. }));
    assert_eq!(history.iter().filter(|found| missing(found)).count(), 1);
}

#[test]
fn a_journal_that_was_removed_takes_no_records() {
    let place = Place::new();
    let mut journal = place.open(OPTIONS).unwrap().journal;
    fs::remove_dir_all(place.journal()).unwrap();
    assert!(matches!(journal.append(&record(1)), Err(Error::Gone { .. })));
    assert!(matches!(journal.checkpoint(&record(1)), Err(Error::Gone { .. })));
    assert!(journal.trouble().is_some_and(|trouble| trouble.contains("was removed")));
}

#[test]
fn a_record_that_is_too_long_is_refused() {
    let place = Place::new();
    let mut journal = place.open(OPTIONS).unwrap().journal;
    let longest = frame::LONGEST - "{\"record\":\"\"}\n".len();
    assert!(matches!(journal.append(&"x".repeat(longest + 1)), Err(Error::TooLong { .. })));
    journal.append(&"x".repeat(longest)).unwrap();
    assert!(journal.trouble().is_none());
    drop(journal);
    assert_eq!(records(&place.open(OPTIONS).unwrap().entries)[0].len(), longest);
}
