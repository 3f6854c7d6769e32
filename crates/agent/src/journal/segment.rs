//! Segments: the files of a journal in its folder, and the calls that make them durable.
//!
//! A segment appears under its name only when all of it is on the disk: it is written under another name, synced and
//! renamed, and the folder is synced. So a name with a number is always a whole segment, but for its last frame.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::Error;

/// Prefix of the names of segments.
const PREFIX: &str = "segment-";
/// Prefix of the names of torn tails that were kept.
const TORN: &str = "torn-";
/// Name of a segment that is being written.
const UNFINISHED: &str = "unfinished";
/// Number of torn tails that are kept. They are for people; the newest ones tell the most.
const TORN_KEPT: usize = 8;
/// Journals name processes and programs of users: only the daemon's user reads them.
const PRIVATE: u32 = 0o600;

/// Returns the path of the segment `number`.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number:010}"))
}

/// Lists the numbers of the segments in the folder, rising. Files with other names are no segments.
pub(super) fn list(folder: &Path) -> Result<Vec<u64>, Error> {
    let number = |name: &str| {
        let digits = name.strip_prefix(PREFIX)?;
        let plain = digits.len() >= 10 && digits.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let mut numbers: Vec<u64> = names(folder)?.iter().filter_map(|name| number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(Error::io("list", folder))?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Writes the segment `number` and gives it its name. The caller syncs the folder.
pub(super) fn create(folder: &Path, number: u64, bytes: &[u8]) -> Result<File, Error> {
    let unfinished = folder.join(UNFINISHED);
    let finished = path(folder, number);
    let file = write_new(&unfinished, bytes).and_then(|file| fs::rename(&unfinished, &finished).map(|()| file));
    file.map_err(|source| {
        // Space on a full disk is given back. The next start removes the file if this fails.
        let _ = fs::remove_file(&unfinished);
        Error::io("create", &finished)(source)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// Removes the segment that a daemon was writing when it died.
pub(super) fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    let path = folder.join(UNFINISHED);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Keeps a torn tail in a file of its own: nothing that was on the disk is thrown away unseen.
pub(super) fn keep_torn(folder: &Path, number: u64, offset: usize, tail: &[u8]) -> Result<PathBuf, Error> {
    let path = folder.join(format!("{TORN}{number:010}-{offset:010}"));
    write_new(&path, tail).map_err(Error::io("write", &path))?;
    let mut kept: Vec<String> = names(folder)?.into_iter().filter(|name| name.starts_with(TORN)).collect();
    kept.sort_unstable();
    for name in kept.iter().rev().skip(TORN_KEPT) {
        fs::remove_file(folder.join(name)).map_err(Error::io("remove", folder.join(name)))?;
    }
    Ok(path)
}

/// Removes the oldest segments until `keep` are left. Stops at an error: the next call tries again.
pub(super) fn remove_oldest(folder: &Path, keep: usize) -> Result<(), Error> {
    let numbers = list(folder)?;
    let surplus = numbers.len().saturating_sub(keep);
    for number in &numbers[..surplus] {
        let path = path(folder, *number);
        fs::remove_file(&path).map_err(Error::io("remove", path))?;
    }
    Ok(())
}
