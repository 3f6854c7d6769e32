//! The system that is looked at and written to: three directories that stand for `/sys`, `/proc` and `/dev`.
//!
//! Every read and write of the daemon goes through these handles, and no path leads out of them: symbolic links are
//! followed inside the directory only. So a test gives the daemon another system, and the same code runs on it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};

/// Largest file that is read whole, in bytes: files of sysfs and proc are smaller, and memory is bounded.
const LARGEST: u64 = 4 << 20;

/// Resolution of paths: nothing leads out of the directory.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Directory that no path leads out of.
#[derive(Debug)]
pub struct Root {
    handle: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens the directory at `path`.
    ///
    /// # Errors
    /// Errors of the system: the directory is not there, or this process may not open it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Returns the path that the directory was opened at, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens `path` below the directory. A leading `/` means the directory.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn open_file(&self, path: impl AsRef<Path>, flags: OFlags) -> io::Result<File> {
        Ok(File::from(fs::openat2(&self.handle, path.as_ref(), flags | OFlags::CLOEXEC, Mode::empty(), INSIDE)?))
    }

    /// Reads the whole file at `path`, up to 4 MiB.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let file = self.open_file(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the file at `path` as text, without white space at its end. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let bytes = self.read(path)?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Lists the names in the directory at `path`, sorted.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let directory = self.open_file(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(directory.as_fd())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the target of the symbolic link at `path`, as it is written there.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = fs::openat2(&self.handle, path.as_ref(), flags, Mode::empty(), INSIDE)?;
        let target = fs::readlinkat(link, "", Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Returns the last component of the target of the symbolic link at `path`: sysfs names drivers, subsystems and
    /// parents in this way. `None` if there is no such link.
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = self.link(path).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// Tells whether something is at `path`.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.open_file(path, OFlags::PATH).is_ok()
    }
}

/// The three directories that the daemon knows of a machine.
#[derive(Debug)]
pub struct System {
    /// `/sys`.
    pub sys: Root,
    /// `/proc`.
    pub proc: Root,
    /// `/dev`.
    pub dev: Root,
}

impl System {
    /// Opens `sys`, `proc` and `dev` below `root`: `/` is this machine.
    ///
    /// # Errors
    /// Errors of the system: one of the three is not there.
    pub fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            sys: Root::open(&root.join("sys"))?,
            proc: Root::open(&root.join("proc"))?,
            dev: Root::open(&root.join("dev"))?,
        })
    }
}

#[cfg(test)]
mod tests;
