//! Errors of the journal, and what each means for the daemon.

use std::io;
use std::path::PathBuf;

/// Reason for which the journal cannot be read or written.
///
/// While a journal cannot be opened, the state of every device is unknown: the daemon holds, which means that it
/// watches and reports and takes no step. A record that could not be appended means the same until an append succeeds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call of the system failed: no permission, a full disk, a defective disk.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// Verb that says what was tried.
        doing: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Another process writes this journal.
    #[error("{path} is in use: another lifeboatd runs with this journal", path = path.display())]
    InUse {
        /// Folder of the journal.
        path: PathBuf,
    },
    /// A newer version wrote the file. Reading it by the old rules would misread it.
    #[error(
        "{path} has version {found} and this program knows versions up to {known}: \
         install the version that wrote it, or move the folder away to begin anew",
        path = path.display()
    )]
    Newer {
        /// File.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version that this program knows.
        known: u32,
    },
    /// Bytes that an append had returned for are not there any more.
    #[error(
        "{path} is damaged at byte {offset}: {reason}. {before} entries before it and {after} after it can be read. \
         Look at the devices, then move the folder away to begin anew",
        path = path.display()
    )]
    Damaged {
        /// File.
        path: PathBuf,
        /// Offset of the damage.
        offset: u64,
        /// Description of the damage.
        reason: &'static str,
        /// Number of readable entries of the file before the damage.
        before: usize,
        /// Number of readable entries of the file after it.
        after: usize,
    },
    /// A segment is not there although the ones before and after it are.
    #[error("{path} is missing: entries of the history are lost", path = path.display())]
    Missing {
        /// File.
        path: PathBuf,
    },
    /// An entry is whole and does not have the form that this program knows.
    #[error("{path}: entry {sequence} cannot be read: {source}", path = path.display())]
    Entry {
        /// File.
        path: PathBuf,
        /// Sequence number of the entry.
        sequence: u64,
        /// Error of the parser.
        source: serde_json::Error,
    },
    /// A record cannot be written as JSON.
    #[error("a record cannot be written as JSON: {0}")]
    Unwritable(serde_json::Error),
    /// A record is longer than a frame may be.
    #[error("a record of {bytes} bytes is too long for the journal")]
    TooLong {
        /// Length of the record in bytes.
        bytes: usize,
    },
    /// The file was removed under the daemon: appends would be lost at the next start.
    #[error("{path} was removed while it was in use: restart lifeboatd", path = path.display())]
    Gone {
        /// File.
        path: PathBuf,
    },
}

impl Error {
    /// Returns a function that adds the file and the verb to an error of the system.
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
