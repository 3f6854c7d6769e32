//! Entries: the payloads of frames. Records are the caller's; the journal adds the starts of the daemon.
//!
//! A payload is a line of JSON. Records are small and rare, so size and speed do not matter; people and tools read the
//! file without this program (`grep -a`), and a record can gain a field without a new form of the file.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::frame::{Frame, LONGEST};

/// Start of the daemon. Each segment begins with one, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Boot of the machine, as the kernel names it. Another one than before: the machine was restarted.
    pub boot: String,
    /// Version of the records' form that the daemon wrote from here on.
    pub schema: u32,
}

/// Entry of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry<T> {
    /// The daemon has started, or a segment begins.
    Start(Start),
    /// Record that the caller appended.
    Record(T),
    /// Record that stands for everything before it.
    Checkpoint(T),
}

/// Entry with its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered<T> {
    /// Sequence number: 1 more than that of the entry before, across segments and boots.
    pub sequence: u64,
    /// The entry.
    pub entry: Entry<T>,
}

/// Returns the entry as the payload of a frame.
pub(super) fn encode<T: Serialize>(entry: &Entry<T>) -> Result<Vec<u8>, Error> {
    let mut payload = serde_json::to_vec(entry).map_err(Error::Unwritable)?;
    payload.push(b'\n');
    if payload.len() > LONGEST { Err(Error::TooLong { bytes: payload.len() }) } else { Ok(payload) }
}

/// Reads the entry in a frame of the file at `path`. `schema` is the newest form of records that the caller knows.
///
/// A newer form is refused at the start that announces it, so callers decode in order and stop at the first error.
pub(super) fn decode<T: DeserializeOwned>(frame: Frame<'_>, path: &Path, schema: u32) -> Result<Numbered<T>, Error> {
    let sequence = frame.sequence;
    let unreadable = |source| Error::Entry { path: path.to_owned(), sequence, source };
    match serde_json::from_slice(frame.payload).map_err(unreadable)? {
        Entry::Start(start) if start.schema > schema => {
            Err(Error::Newer { path: path.to_owned(), found: start.schema, known: schema })
        }
        entry => Ok(Numbered { sequence, entry }),
    }
}
