//! Space for evidence: a quota for all incidents, and a reserve of the disk that others need.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

/// Folder of an incident in the store. The order of names is the order of time.
struct Stored {
    path: PathBuf,
    bytes: u64,
}

/// Removes the oldest incidents until `wanted` more bytes fit into the quota. Keeps the folder `current`.
/// Returns the bytes that may be written: they are fewer if the disk must keep its reserve.
pub(super) fn make_room(store: &Path, current: &Path, total: u64, wanted: u64, reserve: u64) -> io::Result<u64> {
    let stored = list(store)?;
    let mut used: u64 = stored.iter().map(|stored| stored.bytes).sum();
    for oldest in stored.iter().filter(|stored| stored.path != current) {
        if used.saturating_add(wanted) <= total {
            break;
        }
        fs::remove_dir_all(&oldest.path)?;
        used = used.saturating_sub(oldest.bytes);
    }
    let disk = statvfs(store)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Ok(total.saturating_sub(used).min(free.saturating_sub(reserve)))
}

/// Lists the incidents, the oldest first. Everything else in the folder is somebody's and is left alone.
fn list(store: &Path) -> io::Result<Vec<Stored>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().and_then(|name| name.split_once('-')).is_some_and(|(time, _)| is_time(time));
        if is_ours && entry.file_type()?.is_dir() {
            let bytes = bytes_in(&entry.path())?;
            found.push(Stored { path: entry.path(), bytes });
        }
    }
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    for entry in fs::read_dir(folder)? {
        bytes = bytes.saturating_add(entry?.metadata()?.len());
    }
    Ok(bytes)
}

fn is_time(digits: &str) -> bool {
    digits.len() == TIME_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Number of digits of a time in a folder's name: all milliseconds of 64 bits.
const TIME_DIGITS: usize = 20;

/// Returns the name of an incident's folder.
pub(super) fn folder_name(millis: u64, incident: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    let incident: String = incident.chars().take(64).map(plain).collect();
    format!("{millis:0TIME_DIGITS$}-{incident}")
}
