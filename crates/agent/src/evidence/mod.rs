//! Evidence: what is saved of an incident before the first action, because the action destroys it.
//!
//! | file | concept |
//! |---|---|
//! | `dump` | the driver's own dump of its device |
//! | `manifest` | what was saved, what is not there, what failed |
//! | `file` | a file that is whole or not there |
//! | `quota` | space: the oldest incidents go |
//!
//! # A save can block
//!
//! A read of a dump waits in the kernel for the driver of a device that is broken, and cannot be interrupted. So
//! [`Store::save`] is called **in a process or a thread of its own, and its caller waits for it with a deadline**
//! (the policy's `evidence`), then goes on without it. What cannot block is saved first, and the manifest is rewritten
//! after each part: after the deadline the folder says what is there and where it hangs.
//!
//! A save that was interrupted is made again with the same incident: parts that are on the disk are kept, because
//! the dump may be gone by then.

mod dump;
mod file;
mod manifest;
mod quota;

use std::collections::VecDeque;
use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use lifeboat_recovery_policy::time::Timestamp;
use rustix::fs::OFlags;

pub use self::dump::{Dump, delete_dump, dumps_of};
pub use self::manifest::{Manifest, Part, State};

use self::file::Saving;
use crate::address::Address;
use crate::system::System;

const LOG: &str = "log.txt";
const CLIENTS: &str = "clients.json";
/// Place of the dump in the manifest while none is known.
const DUMP: &str = "dump";
/// Bytes of a dump that are copied at once.
const CHUNK: usize = 64 << 10;

/// Limits of what is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest part of a dump that is kept, in bytes.
    pub dump: u64,
    /// Largest number of lines of the kernel's log that are kept: the last ones.
    pub log_lines: usize,
    /// Longest log or list of clients that is kept, in bytes.
    pub text: u64,
    /// Bytes of all incidents together.
    pub total: u64,
    /// Bytes of the disk that are left to others.
    pub reserve: u64,
}

impl Default for Limits {
    /// 64 MiB of a dump, 1000 lines, 1 MiB of text, 512 MiB together, 256 MiB of the disk for others.
    fn default() -> Self {
        Self { dump: 64 << 20, log_lines: 1000, text: 1 << 20, total: 512 << 20, reserve: 256 << 20 }
    }
}

/// Incident whose evidence is saved. `L` yields the lines of the kernel's log, the oldest first.
#[derive(Debug)]
pub struct Incident<'a, L> {
    /// Name of the incident.
    pub name: &'a str,
    /// Begin of the incident.
    pub at: Timestamp,
    /// Address of the device.
    pub device: Address,
    /// Lines of the kernel's log. An error ends them.
    pub log: L,
    /// Clients of the device.
    pub clients: &'a serde_json::Value,
}

/// Evidence that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Folder of the incident.
    pub folder: PathBuf,
    /// Parts, and what is missing.
    pub manifest: Manifest,
}

/// Reason for which nothing can be saved at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {source}", path = path.display())]
pub struct Error {
    /// Verb that says what was tried.
    pub doing: &'static str,
    /// File or folder.
    pub path: PathBuf,
    /// Error of the system.
    pub source: io::Error,
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error { doing, path: path.to_owned(), source }
}

/// Folder with the evidence of all incidents.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    limits: Limits,
}

impl Store {
    /// Opens the store in `folder`, and creates the folder if it is not there.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, Error> {
        create_folder(folder).map_err(failed("create", folder))?;
        Ok(Self { folder: folder.to_owned(), limits })
    }

    /// Saves the evidence of an incident. **Can block for ever**: see the documentation of the module.
    ///
    /// A part that cannot be saved does not keep the others from it: the manifest says why.
    ///
    /// # Errors
    /// The folder of the incident or its manifest cannot be written.
    pub fn save<L>(&self, system: &System, incident: Incident<'_, L>) -> Result<Saved, Error>
    where
        L: Iterator<Item = io::Result<Vec<u8>>>,
    {
        let folder = self.folder.join(quota::folder_name(incident.at.as_millis(), incident.name));
        create_folder(&folder).map_err(failed("create", &folder))?;
        file::remove_unfinished(&folder).map_err(failed("clean", &folder))?;
        let manifest = Manifest::new(incident.name, incident.at, incident.device.to_string());
        let Limits { dump, text, total, reserve, .. } = self.limits;
        let wanted = dump.saturating_add(text.saturating_mul(2)).min(total);
        let room = quota::make_room(&self.folder, &folder, total, wanted, reserve);
        let room = room.map_err(failed("make room in", &self.folder))?;
        let mut save = Save { folder: &folder, manifest, finished: Manifest::finished_in(&folder), room };
        for part in save.finished.clone() {
            save.manifest.set(part);
        }
        for name in [LOG, CLIENTS, DUMP] {
            save.note(Part::new(name, State::Pending))?;
        }
        save.part(LOG, self.limits.text, || Ok(self.last_lines(incident.log)))?;
        save.part(CLIENTS, self.limits.text, || {
            let clients = serde_json::to_vec_pretty(incident.clients)?;
            Ok((io::Cursor::new(clients), None))
        })?;
        self.save_dumps(&mut save, system, incident.device)?;
        let manifest = save.manifest;
        Ok(Saved { folder, manifest })
    }

    /// Reads the last lines of the log. Returns them with the error that ended the log before its end.
    fn last_lines(&self, log: impl Iterator<Item = io::Result<Vec<u8>>>) -> (io::Cursor<Vec<u8>>, Option<String>) {
        let mut lines = VecDeque::new();
        let (mut bytes, mut error) = (0_u64, None);
        for line in log {
            let mut line = match line {
                Ok(line) => line,
                Err(source) => {
                    error = Some(source.to_string());
                    break;
                }
            };
            line.push(b'\n');
            bytes += line.len() as u64;
            lines.push_back(line);
            while lines.len() > self.limits.log_lines || bytes > self.limits.text {
                bytes -= lines.pop_front().map_or(0, |oldest| oldest.len() as u64);
            }
        }
        let text = lines.into_iter().flatten().collect();
        (io::Cursor::new(text), error)
    }

    fn save_dumps(&self, save: &mut Save<'_>, system: &System, device: Address) -> Result<(), Error> {
        let dumps = match dump::dumps_of(system, device) {
            Ok(dumps) => dumps,
            Err(error) => return save.note(Part::new(DUMP, State::Failed(format!("cannot list dumps: {error}")))),
        };
        // From here on each dump has a part of its own.
        save.manifest.parts.retain(|part| part.file != DUMP);
        let files: Vec<String> = dumps.iter().map(|dump| format!("dump-{}.bin", dump.name)).collect();
        for file in &files {
            save.note(Part::new(file, State::Pending))?;
        }
        for (dump, file) in dumps.iter().zip(&files) {
            match &dump.unknown {
                Some(error) => {
                    let reason = format!("cannot tell whose dump this is: {error}");
                    save.note(Part::new(file, State::Failed(reason)))?;
                }
                None => save
                    .part(file, self.limits.dump, || Ok((system.sys.open_file(dump.data(), OFlags::RDONLY)?, None)))?,
            }
        }
        let any = save.manifest.parts.iter().any(|part| part.file.starts_with(DUMP));
        if any { Ok(()) } else { save.note(Part::new(DUMP, State::Absent)) }
    }
}

/// Save in progress.
struct Save<'a> {
    folder: &'a Path,
    manifest: Manifest,
    /// Parts that an earlier save has finished.
    finished: Vec<Part>,
    /// Bytes that may still be written.
    room: u64,
}

impl Save<'_> {
    /// Notes the state of a part in the manifest, unless an earlier save has finished the part.
    fn note(&mut self, part: Part) -> Result<(), Error> {
        if !self.finished.iter().any(|finished| finished.file == part.file) {
            self.manifest.set(part);
        }
        self.manifest.write(self.folder).map_err(failed("write", &self.folder.join(manifest::NAME)))
    }

    /// Saves a part. `open` returns the source of its bytes, and the reason for which the source is not whole.
    fn part<R: Read>(
        &mut self,
        file: &str,
        longest: u64,
        open: impl FnOnce() -> io::Result<(R, Option<String>)>,
    ) -> Result<(), Error> {
        if self.finished.iter().any(|finished| finished.file == file) {
            return Ok(());
        }
        let longest = longest.min(self.room);
        let copied = open().and_then(|(source, cut)| Ok((copy(source, self.folder, file, longest)?, cut)));
        let part = match copied {
            Ok((Copied { bytes, cut }, source_cut)) => {
                self.room = self.room.saturating_sub(bytes);
                let state = source_cut.or(cut).map_or(State::Saved, State::Cut);
                Part { file: file.to_owned(), state, bytes }
            }
            Err(error) => Part::new(file, State::Failed(error.to_string())),
        };
        self.note(part)
    }
}

/// Outcome of a copy.
struct Copied {
    bytes: u64,
    /// Reason for which not all was copied.
    cut: Option<String>,
}

/// Copies at most `longest` bytes of `source`. An error of the source after its first bytes cuts the copy there.
fn copy(mut source: impl Read, folder: &Path, file: &str, longest: u64) -> io::Result<Copied> {
    if longest == 0 {
        return Err(io::Error::new(ErrorKind::StorageFull, "there is no space for it"));
    }
    let mut saving = Saving::begin(folder, file)?;
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0_u64;
    let cut = loop {
        let read = match source.read(&mut chunk) {
            Ok(0) => break None,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if bytes > 0 => break Some(format!("the source ended early: {error}")),
            Err(error) => return Err(error),
        };
        let left = longest - bytes;
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(read);
        saving.write_all(&chunk[..taken])?;
        bytes += taken as u64;
        if taken < read {
            break Some(format!("only {longest} bytes are kept"));
        }
    };
    saving.finish()?;
    Ok(Copied { bytes, cut })
}

fn create_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {
            file::sync_folder(folder.parent().filter(|parent| parent != &Path::new("")).unwrap_or(Path::new(".")))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
