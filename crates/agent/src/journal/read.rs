//! Reading of whole segments: the newest one for the state, all of them for the history.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::entry::{self, Entry, Numbered};
use super::error::Error;
use super::frame::{self, End, Frame, Header, NoHeader};
use super::segment;

/// Contents of the newest segment.
pub(super) struct Newest<T> {
    /// Entries from the checkpoint on.
    pub(super) entries: Vec<Numbered<T>>,
    /// Sequence number of the next entry.
    pub(super) next: u64,
    /// Length of the good part of the file in bytes.
    pub(super) length: u64,
    /// Torn tail behind the good part, with its offset.
    pub(super) torn: Option<(usize, Vec<u8>)>,
}

/// Reads the newest segment of a journal. Nothing less than all of it will do: the state follows from each entry.
pub(super) fn newest<T: DeserializeOwned>(folder: &Path, number: u64, schema: u32) -> Result<Newest<T>, Error> {
    let path = segment::path(folder, number);
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    let header = header(&bytes, number, &path)?;
    let scan = frame::scan(&bytes, header.first);
    if let Some(damage) = damage(&scan, &path) {
        return Err(damage);
    }
    let entries = scan.frames.iter().map(|frame| entry::decode(*frame, &path, schema));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let whole = match entries.as_slice() {
        [first, ..] if number == 1 => matches!(first.entry, Entry::Start(_)),
        [first, second, ..] => matches!((&first.entry, &second.entry), (Entry::Start(_), Entry::Checkpoint(_))),
        _ => false,
    };
    if !whole {
        let reason = "the segment does not begin as one";
        return Err(Error::Damaged { path, offset: frame::HEADER as u64, reason, before: 0, after: entries.len() });
    }
    let (length, torn) = match scan.end {
        End::Torn { offset } => (offset, Some((offset, bytes[offset..].to_vec()))),
        _ => (bytes.len(), None),
    };
    let next = header.first.saturating_add(entries.len() as u64);
    Ok(Newest { entries, next, length: length as u64, torn })
}

fn header(bytes: &[u8], number: u64, path: &Path) -> Result<Header, Error> {
    let damaged = |reason| Error::Damaged { path: path.to_owned(), offset: 0, reason, before: 0, after: 0 };
    match Header::decode(bytes) {
        Ok(header) if header.number == number => Ok(header),
        Ok(_) => Err(damaged("the segment has another number than its name")),
        Err(NoHeader::Newer(found)) => Err(Error::Newer { path: path.to_owned(), found, known: frame::VERSION }),
        Err(NoHeader::Damaged(reason)) => Err(damaged(reason)),
    }
}

fn damage(scan: &frame::Scan<'_>, path: &Path) -> Option<Error> {
    let End::Damaged { offset, reason, after } = &scan.end else { return None };
    let (before, after) = (scan.frames.len(), after.len());
    Some(Error::Damaged { path: path.to_owned(), offset: *offset as u64, reason, before, after })
}

/// Part of a history: an entry, or the place of entries that cannot be read.
#[derive(Debug)]
pub enum Found<T> {
    /// An entry.
    Entry(Numbered<T>),
    /// Entries are lost or cannot be read here. Those behind them follow.
    Unreadable(Error),
}

/// Reads all segments, the oldest first. This needs no lock: a daemon may write meanwhile, and an entry that is
/// being written is left out.
///
/// Damage does not end the history: it is reported in its place, and the entries behind it follow.
///
/// # Errors
/// [`Error::Io`] if the folder cannot be listed. Errors of files are part of the history.
pub fn history<T: DeserializeOwned>(folder: &Path, schema: u32) -> Result<Vec<Found<T>>, Error> {
    let mut found = Vec::new();
    let mut before: Option<u64> = None;
    for number in segment::list(folder)? {
        let path = segment::path(folder, number);
        if before.is_some_and(|before| number > before + 1) {
            found.push(Found::Unreadable(Error::Missing { path: segment::path(folder, number - 1) }));
        }
        before = Some(number);
        match fs::read(&path) {
            Ok(bytes) => read_into(&mut found, &bytes, number, &path, schema),
            // The daemon removes the oldest segments.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => found.push(Found::Unreadable(Error::io("read", path)(error))),
        }
    }
    Ok(found)
}

fn read_into<T: DeserializeOwned>(found: &mut Vec<Found<T>>, bytes: &[u8], number: u64, path: &Path, schema: u32) {
    let header = match header(bytes, number, path) {
        Ok(header) => header,
        Err(error) => return found.push(Found::Unreadable(error)),
    };
    let mut decode = |frame: Frame<'_>| match entry::decode(frame, path, schema) {
        Ok(entry) => Found::Entry(entry),
        Err(error) => Found::Unreadable(error),
    };
    let scan = frame::scan(bytes, header.first);
    found.extend(scan.frames.iter().copied().map(&mut decode));
    if let Some(damage) = damage(&scan, path) {
        found.push(Found::Unreadable(damage));
    }
    if let End::Damaged { after, .. } = scan.end {
        found.extend(after.into_iter().map(&mut decode));
    }
}
