//! Lock of a journal's folder: one process writes.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::Error;

/// Folder that this process has locked. The lock goes with the process, whatever ends it.
#[derive(Debug)]
pub(super) struct Lock {
    folder: PathBuf,
    handle: File,
}

impl Lock {
    /// Locks the folder, and creates it first if it is not there. Does not wait.
    pub(super) fn take(folder: &Path) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {
                let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                File::open(parent).and_then(|parent| parent.sync_all()).map_err(Error::io("sync", parent))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", folder)(error)),
        }
        let handle = File::open(folder).map_err(Error::io("open", folder))?;
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { folder: folder.to_owned(), handle }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse { path: folder.to_owned() }),
            Err(error) => Err(Error::io("lock", folder)(error.into())),
        }
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the names in the folder durable.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.handle.sync_all().map_err(Error::io("sync", &self.folder))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child between fork and exec has a copy of the handle: closing ours would not release the lock at once.
        let _ = flock(&self.handle, FlockOperation::Unlock);
    }
}
