//! File that appears under its name only when all of it is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Dumps hold memory of users: only the daemon's user reads them.
const PRIVATE: u32 = 0o600;

/// Ending of the names of files that are not whole yet.
const UNFINISHED: &str = ".part";

/// File that is being saved. Dropping an unfinished one removes it.
pub(super) struct Saving {
    file: File,
    unfinished: PathBuf,
    finished: PathBuf,
    done: bool,
}

impl Saving {
    pub(super) fn begin(folder: &Path, name: &str) -> io::Result<Self> {
        let unfinished = folder.join(format!("{name}{UNFINISHED}"));
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(PRIVATE).open(&unfinished)?;
        Ok(Self { file, unfinished, finished: folder.join(name), done: false })
    }

    /// Gives the file its name. The caller syncs the folder.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.unfinished, &self.finished)?;
        self.done = true;
        Ok(())
    }
}

impl Write for Saving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if !self.done {
            // Space is given back; nothing depends on it.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Removes the files of a save that died.
pub(super) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
