//! Disks that are full: a limit on the size of files, and a file system of 64 KiB.

use std::process::Command;

use super::*;

/// Folder in which the limited process works. Without it, the tests that are that process do nothing.
const FOLDER: &str = "LIFEBOAT_TEST_FULL";

/// Runs the test `name` of this file in a process of its own, prepared by `script`. The script ends in `exec "$@"`.
fn run_limited(script: &str, name: &str, folder: &Path) -> (Option<i32>, String) {
    let name = format!("journal::tests::full::{name}");
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), text)
}

fn limited_place() -> Option<(PathBuf, System)> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    let system = System::open(&folder).unwrap();
    Some((folder, system))
}

/// Appends until an append fails. Returns the number of those that did not.
fn append_until_full(journal: &mut Journal<String>) -> u64 {
    for number in 1.. {
        if let Err(error) = journal.append(&record(number)) {
            assert!(matches!(error, Error::Io { doing: "write", .. }), "{error}");
            return number - 1;
        }
        assert!(number < 100_000, "the disk never gets full");
    }
    unreachable!()
}

#[test]
#[ignore = "this is the process that the test below limits"]
fn limited_by_size() {
    let Some((folder, system)) = limited_place() else { return };
    let folder = folder.join("journal");
    let mut journal = Journal::<String>::open(&folder, &system, OPTIONS).unwrap().journal;
    let appended = append_until_full(&mut journal);
    let length = fs::metadata(segment::path(&folder, 1)).unwrap().len();
    assert_eq!(length, journal.length, "the partial frame is cut off");
    assert_ne!(length % 512, 0, "the limit lies within a frame");
    for _ in 0..3 {
        journal.append(&record(0)).unwrap_err();
        assert!(journal.trouble().is_some_and(|trouble| trouble.contains("cannot write")));
    }
    assert_eq!(fs::metadata(segment::path(&folder, 1)).unwrap().len(), length);
    // A start on the full disk.
    drop(journal);
    let opened = Journal::<String>::open(&folder, &system, OPTIONS).unwrap();
    assert_eq!(records(&opened.entries), (1..=appended).map(record).collect::<Vec<_>>());
    assert!(opened.torn.is_none() && opened.journal.trouble().is_some());
    let mut journal = opened.journal;
    journal.append(&record(0)).unwrap_err();
    // Another segment has room.
    journal.checkpoint(&record(appended)).unwrap();
    assert!(journal.trouble().is_none());
    journal.append(&record(appended + 1)).unwrap();
    drop(journal);
    let opened = Journal::<String>::open(&folder, &system, OPTIONS).unwrap();
    assert_eq!(records(&opened.entries), [record(appended), record(appended + 1)]);
}

#[test]
fn a_partial_frame_is_cut_off_at_the_limit_of_a_file() {
    let place = Place::new();
    let script = "trap '' XFSZ; ulimit -f 5; exec \"$@\"";
    let (status, text) = run_limited(script, "limited_by_size", place.folder.path());
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "this is the process that the test below limits"]
fn limited_by_space() {
    let Some((folder, system)) = limited_place() else { return };
    let folder = folder.join("full");
    let filler = folder.join("filler");
    let journal_folder = folder.join("journal");
    let open = || Journal::<String>::open(&journal_folder, &system, OPTIONS).unwrap();
    let mut journal = open().journal;
    journal.append(&record(1)).unwrap();
    // Fills the file system.
    fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
    let more = append_until_full(&mut journal);
    journal.checkpoint(&record(9)).unwrap_err();
    assert!(!journal_folder.join("unfinished").exists());
    let trouble = journal.trouble().map(str::to_owned);
    assert!(trouble.as_ref().is_some_and(|trouble| trouble.contains("space")), "{trouble:?}");
    drop(journal);
    let mut opened = open();
    assert_eq!(records(&opened.entries).len() as u64, 1 + more);
    assert!(opened.journal.trouble().is_some());
    opened.journal.append(&record(0)).unwrap_err();
    fs::remove_file(&filler).unwrap();
    opened.journal.append(&record(7)).unwrap();
    assert!(opened.journal.trouble().is_none());
    drop(opened);
    let opened = open();
    let starts = opened.entries.iter().filter(|entry| matches!(entry.entry, Entry::Start(_))).count();
    assert_eq!(starts, 2, "the start on the full disk is noted late");
    assert_eq!(records(&opened.entries).last(), Some(&record(7)));
    // A new journal on a full disk is an error, and not a journal.
    fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
    let other = folder.join("other");
    assert!(Journal::<String>::open(&other, &system, OPTIONS).is_err());
    fs::remove_file(&filler).unwrap();
    assert!(Journal::<String>::open(&other, &system, OPTIONS).unwrap().entries.is_empty());
}

#[test]
fn the_daemon_stops_on_a_full_disk_until_an_append_succeeds() {
    let place = Place::new();
    fs::create_dir(place.folder.path().join("full")).unwrap();
    // The other test must do on a machine that lets neither the user nor a namespace mount.
    let script = "exec unshare --user --map-root-user --mount sh -c \
                  'mount -t tmpfs -o size=64k none \"$LIFEBOAT_TEST_FULL/full\" || exit 77; exec \"$@\"' sh \"$@\"";
    let (status, text) = run_limited(script, "limited_by_space", place.folder.path());
    if status == Some(0) {
        assert!(text.contains("1 passed"), "{text}");
    } else {
        let refused = status == Some(77) || text.starts_with("unshare:");
        assert!(refused, "{text}");
        eprintln!("skipped: no file system can be mounted here: {text}");
    }
}
