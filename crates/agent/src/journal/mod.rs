//! Journal: the log that the daemon's state and history follow from.
//!
//! A record is on the disk before [`Journal::append`] returns. So a daemon that writes "I am about to" and then acts
//! finds that intent after any death, and does nothing twice without a look. The journal knows nothing of its records.
//!
//! | file | concept |
//! |---|---|
//! | `frame` | the form of a segment as bytes; a torn write against damage |
//! | `entry` | the payloads of frames: records of the caller, starts of the daemon |
//! | `segment` | the files, and the calls that make them durable |
//! | `lock` | the lock by which one process writes |
//! | `read` | whole segments and the history |
//! | `error` | what can go wrong |
//!
//! # Rules
//!
//! - State that cannot be read is never taken for empty state: that would give every device a fresh budget. Each error
//!   of [`Journal::open`] means that the daemon holds. Only a folder without any segment is a new journal.
//! - One process writes: the folder is locked.
//! - After a failed append the partial frame is cut off again, and [`Journal::trouble`] says so until an append
//!   succeeds. The daemon takes no step in the meantime.
//! - A segment that has grown is closed by [`Journal::checkpoint`]: the next one begins with a record that stands for
//!   everything before it. Older segments are history only; the oldest are removed.

mod entry;
mod error;
mod frame;
mod lock;
mod read;
mod segment;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::entry::{Entry, Numbered, Start};
pub use self::error::Error;
pub use self::read::{Found, history};

use self::frame::Header;
use self::lock::Lock;
use self::read::Newest;
use crate::system::System;

/// Limits of a journal, and the form of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Version of the form of the caller's records. A journal with a newer one is refused.
    pub schema: u32,
    /// Length of a segment in bytes from which on [`Journal::wants_checkpoint`] says yes.
    pub segment_length: u64,
    /// Number of segments that are kept, the one in use included.
    pub segments: usize,
}

impl Options {
    /// Returns the limits for records of the form `schema`: 32 segments of 1 MiB. That is some 10^5 records, and few
    /// enough bytes to read one whole segment at a start.
    pub const fn new(schema: u32) -> Self {
        Self { schema, segment_length: 1 << 20, segments: 32 }
    }
}

/// Journal that was opened, and what was in it.
#[derive(Debug)]
pub struct Opened<T> {
    /// The journal.
    pub journal: Journal<T>,
    /// Entries from the last checkpoint on: the state follows from them. Empty for a new journal.
    pub entries: Vec<Numbered<T>>,
    /// File with the bytes of a write that was interrupted. No append had returned for it.
    pub torn: Option<PathBuf>,
}

/// Journal that this process alone writes. `T` is the type of the records.
#[derive(Debug)]
pub struct Journal<T> {
    lock: Lock,
    file: File,
    number: u64,
    next: u64,
    /// Length of the good part of the file.
    length: u64,
    options: Options,
    start: Start,
    /// Whether the entry of this start is still to be written: the disk was full.
    unstarted: bool,
    /// Whether the file may have bytes behind its good part.
    uncut: bool,
    /// Whether the name of the file may not be on the disk.
    unnamed: bool,
    trouble: Option<String>,
    records: PhantomData<fn(&T)>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens the journal in `folder` and notes this start. Creates the folder and the journal if there is none.
    /// `system` tells the boot.
    ///
    /// A torn tail is moved to a file of its own. If the disk is too full to note the start, the journal is opened all
    /// the same, with [`Journal::trouble`]: so the daemon can still watch.
    ///
    /// # Errors
    /// All but [`Error::Unwritable`] and [`Error::TooLong`]. The daemon holds: it does not know what it has done.
    pub fn open(folder: &Path, system: &System, options: Options) -> Result<Opened<T>, Error> {
        let start = Start { boot: boot(system)?, schema: options.schema };
        let lock = Lock::take(folder)?;
        segment::remove_unfinished(folder)?;
        let Some(number) = segment::list(folder)?.last().copied() else {
            return Self::create(lock, start, options);
        };
        let newest = read::newest(folder, number, options.schema)?;
        let path = segment::path(folder, number);
        let file = OpenOptions::new().write(true).open(&path).map_err(Error::io("open", &path))?;
        let torn = match newest.torn {
            Some((offset, tail)) => Some(segment::keep_torn(folder, number, offset, &tail)?),
            None => None,
        };
        let uncut = torn.is_some();
        let Newest { entries, next, length, .. } = newest;
        let mut journal = Self {
            lock,
            file,
            number,
            next,
            length,
            options,
            start,
            unstarted: true,
            uncut,
            // The last daemon may have died between giving the name and syncing the folder.
            unnamed: true,
            trouble: None,
            records: PhantomData,
        };
        // Trouble says it if this fails.
        let _ = journal.write_start();
        // The last daemon may have died before it did this.
        let _ = segment::remove_oldest(folder, options.segments.max(1));
        Ok(Opened { journal, entries, torn })
    }

    fn create(lock: Lock, start: Start, options: Options) -> Result<Opened<T>, Error> {
        let (number, first) = (1, 1);
        let mut bytes = Header { number, first }.encode().to_vec();
        frame::encode(first, &entry::encode(&Entry::<T>::Start(start.clone()))?, &mut bytes);
        let file = segment::create(lock.folder(), number, &bytes)?;
        lock.sync()?;
        let journal = Self {
            lock,
            file,
            number,
            next: first + 1,
            length: bytes.len() as u64,
            options,
            start,
            unstarted: false,
            uncut: false,
            unnamed: false,
            trouble: None,
            records: PhantomData,
        };
        Ok(Opened { journal, entries: Vec::new(), torn: None })
    }

    /// Appends a record and returns its sequence number. The record is on the disk when this returns.
    ///
    /// # Errors
    /// The record is not in the journal. The daemon takes no step until an append succeeds.
    pub fn append(&mut self, record: &T) -> Result<u64, Error> {
        if self.unstarted {
            self.write_start()?;
        }
        self.write(&Entry::Record(record))
    }

    /// Begins a new segment with `state`, which stands for all records so far, and removes the oldest segments. At a
    /// death in the middle, the old segment or the new one counts, and both say the same.
    ///
    /// # Errors
    /// The state is not in the journal, or its file has no durable name yet. The journal goes on with the segment that a
    /// reader would take now, and [`Journal::trouble`] holds until an append or a checkpoint succeeds.
    pub fn checkpoint(&mut self, state: &T) -> Result<(), Error> {
        let begun = self.begin_segment(state);
        self.note(begun)?;
        // Old history that cannot be removed does no harm; the next checkpoint tries again.
        let _ = segment::remove_oldest(self.folder(), self.options.segments.max(1));
        Ok(())
    }

    /// Tells whether the segment has grown so long that the caller is to make a checkpoint.
    pub fn wants_checkpoint(&self) -> bool {
        self.length >= self.options.segment_length
    }

    /// Returns the error of the last write, or `None` if it succeeded. The daemon takes no step while there is one.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Returns this start.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Returns the folder of the journal.
    pub fn folder(&self) -> &Path {
        self.lock.folder()
    }

    fn begin_segment(&mut self, state: &T) -> Result<(), Error> {
        self.check_present()?;
        let (number, first) = (self.number.saturating_add(1), self.next);
        let mut bytes = Header { number, first }.encode().to_vec();
        frame::encode(first, &entry::encode(&Entry::<T>::Start(self.start.clone()))?, &mut bytes);
        frame::encode(first + 1, &entry::encode(&Entry::Checkpoint(state))?, &mut bytes);
        self.file = segment::create(self.folder(), number, &bytes)?;
        // From here on the new segment is the one that a reader takes, so it is ours as well.
        (self.number, self.next, self.length) = (number, first + 2, bytes.len() as u64);
        (self.unstarted, self.uncut, self.unnamed) = (false, false, true);
        self.mend()
    }

    fn write_start(&mut self) -> Result<(), Error> {
        self.write(&Entry::<&T>::Start(self.start.clone()))?;
        self.unstarted = false;
        Ok(())
    }

    fn write(&mut self, entry: &Entry<&T>) -> Result<u64, Error> {
        let written = self.write_frame(entry);
        self.note(written)
    }

    fn write_frame(&mut self, entry: &Entry<&T>) -> Result<u64, Error> {
        let mut bytes = Vec::new();
        frame::encode(self.next, &entry::encode(entry)?, &mut bytes);
        self.check_present()?;
        self.mend()?;
        let written = self.file.write_all_at(&bytes, self.length).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.uncut = true;
            // The next append cuts again if this fails, and a reader takes the rest for a torn tail.
            let _ = self.mend();
            return Err(Error::io("write", segment::path(self.folder(), self.number))(error));
        }
        self.length += bytes.len() as u64;
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Finishes what an earlier call could not: the name of the file, the cut behind its good part.
    fn mend(&mut self) -> Result<(), Error> {
        if self.unnamed {
            self.lock.sync()?;
            self.unnamed = false;
        }
        if self.uncut {
            let cut = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
            cut.map_err(Error::io("cut", segment::path(self.folder(), self.number)))?;
            self.uncut = false;
        }
        Ok(())
    }

    /// Refuses to write to a file that no reader will find.
    fn check_present(&self) -> Result<(), Error> {
        let path = segment::path(self.folder(), self.number);
        let ours = self.file.metadata().map_err(Error::io("look at", &path))?;
        match fs::metadata(&path) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            _ => Err(Error::Gone { path }),
        }
    }

    fn note<R>(&mut self, result: Result<R, Error>) -> Result<R, Error> {
        self.trouble = result.as_ref().err().map(ToString::to_string);
        result
    }
}

fn boot(system: &System) -> Result<String, Error> {
    let file = "sys/kernel/random/boot_id";
    let path = || system.proc.path().join(file);
    let boot = system.proc.text(file).map_err(|error| Error::io("read", path())(error))?;
    if boot.is_empty() {
        let empty = io::Error::new(ErrorKind::InvalidData, "the file is empty");
        return Err(Error::io("read", path())(empty));
    }
    Ok(boot)
}

#[cfg(test)]
mod tests;
