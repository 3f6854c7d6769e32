//! Death of the writer at any moment: a real process that is killed while it appends.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use super::*;

/// Folder in which the process that is killed works. Without it, the test that is that process does nothing.
const FOLDER: &str = "LIFEBOAT_TEST_JOURNAL";
/// Number of records after which that process ends by itself. Without it, the process goes on until it is killed.
const RECORDS: &str = "LIFEBOAT_TEST_RECORDS";
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
    let end = std::env::var(RECORDS).map_or(u64::MAX, |records| last + records.parse::<u64>().unwrap());
    for next in last + 1..=end {
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

/// A kill loses nothing that the kernel has; only a power cut would. So the calls of the process are looked at.
#[test]
fn agent_7_each_record_is_synced_before_its_append_returns() {
    let place = Place::new();
    let calls = place.folder.path().join("calls");
    let strace = Command::new("strace")
        .args(["-f", "-e", "trace=pwrite64,fdatasync,fsync,rename,write", "-o"])
        .arg(&calls)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "journal::tests::death::writer", "--ignored", "--nocapture"])
        .env(FOLDER, place.folder.path())
        .env(RECORDS, "100")
        .output();
    let Some(output) = strace.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: strace is not there or may not trace");
        return;
    };
    assert_eq!(output.stderr.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 100);
    let (mut unsynced, mut unnamed, mut acknowledged, mut segments) = (false, false, 0, 0);
    let mut last_sync_of_file = false;
    for line in fs::read_to_string(&calls).unwrap().lines() {
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        match call.split('(').next().unwrap_or("") {
            "pwrite64" => unsynced = true,
            "fdatasync" => unsynced = false,
            "fsync" => {
                unnamed = false;
                last_sync_of_file = true;
            }
            "rename" => {
                assert!(last_sync_of_file, "a segment gets its name before its bytes are on the disk");
                (unnamed, last_sync_of_file, segments) = (true, false, segments + 1);
            }
            "write" if call.starts_with("write(2,") => {
                assert!(!unsynced && !unnamed, "{line}");
                acknowledged += 1;
            }
            // Bytes of a new segment.
            "write" => last_sync_of_file = false,
            _ => {}
        }
    }
    assert_eq!(acknowledged, 100);
    assert!(segments > 1);
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
