//! Death of the writer at any moment: a real process that is killed while it appends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use super::*;

/// Folder in which the process that is killed works. Without it, the test that is that process does nothing.
const FOLDER: &str = "LIFEBOAT_TEST_JOURNAL";
const OPTIONS: Options = Options { segment_length: 1500, segments: 4, ..Options::new(1) };

fn number(record: &str) -> u64 {
    record.strip_prefix("record ").unwrap().parse().unwrap()
}

/// Body of the process: appends the numbers from the last one on, and says each one after its append has returned.
#[test]
#[ignore = "this is the process that the test below kills"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let system = System::open(&folder).unwrap();
    let opened = Journal::<String>::open(&folder.join("journal"), &system, OPTIONS).unwrap();
    let mut journal = opened.journal;
    let last = records(&opened.entries).last().map_or(0, |record| number(record));
    for next in last + 1.. {
        journal.append(&record(next)).unwrap();
        // Not through the test harness, which buffers.
        std::io::stderr().write_all(format!("{next}\n").as_bytes()).unwrap();
        if journal.wants_checkpoint() {
            journal.checkpoint(&record(next)).unwrap();
        }
    }
}

fn start_writer(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journal::tests::death::writer", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn agent_7_after_kill_9_each_append_that_returned_is_there_and_nothing_else() {
    let place = Place::new();
    let mut last = 0;
    for _ in 0..30 {
        let mut writer = start_writer(place.folder.path());
        let mut acknowledged = BufReader::new(writer.stderr.take().unwrap()).lines();
        let first: u64 = acknowledged.next().unwrap().unwrap().parse().unwrap();
        assert_eq!(first, last + 1);
        // The moment of the kill is any; the verdict does not depend on it.
        let moment = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos() % 15_000;
        thread::sleep(Duration::from_micros(moment.into()));
        writer.kill().unwrap();
        writer.wait().unwrap();
        // A line may be cut off by the kill; its append had returned all the same.
        let acknowledged =
            acknowledged.map_while(Result::ok).filter_map(|line| line.parse().ok()).last().unwrap_or(first);

        let opened = place.open(OPTIONS).unwrap();
        let found: Vec<u64> = records(&opened.entries).iter().map(|record| number(record)).collect();
        last = *found.last().unwrap();
        // The append after the last acknowledged one may have been done or not.
        assert!((acknowledged..=acknowledged + 1).contains(&last), "{acknowledged} acknowledged, {last} found");
        assert!(found.is_sorted_by(|a, b| a + 1 == *b), "{found:?}");
        assert!(opened.journal.trouble().is_none());
    }
    let history = history::<String>(&place.journal(), 1).unwrap();
    assert!(history.iter().all(|found| matches!(found, Found::Entry(_))), "{history:?}");
    assert!(segment::list(&place.journal()).unwrap().len() <= 4);
}

#[test]
fn a_writer_in_another_process_is_noticed_until_it_dies() {
    let place = Place::new();
    let mut writer = start_writer(place.folder.path());
    let mut lines = BufReader::new(writer.stderr.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    assert!(matches!(place.open(OPTIONS), Err(Error::InUse { .. })));
    writer.kill().unwrap();
    writer.wait().unwrap();
    place.open(OPTIONS).unwrap();
}
