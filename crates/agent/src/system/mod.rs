//! The system that is looked at and written to: directories that stand for `/sys`, `/proc`, `/dev` and `/run`.
//!
//! Every read and write of the daemon goes through these handles, and no path leads out of them: symbolic links are
//! followed inside the directory only. So a test gives the daemon another system, and the same code runs on it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

/// Largest file that is read whole, in bytes: files of sysfs and proc are smaller, and memory is bounded.
const LARGEST: u64 = 4 << 20;

/// Resolution of paths: nothing leads out of the directory.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Number of a device node: two nodes of one number are the same device, whatever they are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Whether the node is a block device. Otherwise it is a character device.
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

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

    /// Lists the names of the directories in the directory at `path`, sorted. Links to directories are left out.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn folders(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let directory = self.open_file(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(directory.as_fd())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = match entry.file_type() {
                // Some file systems do not say it in the listing.
                FileType::Unknown => fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode)),
                kind => kind,
            };
            if kind == FileType::Directory && name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Lists the symbolic links in the directory at `path` with their targets as they are written there, sorted
    /// by name. Links that vanish meanwhile are left out.
    ///
    /// # Errors
    /// Errors of the system: also if a link is there and its target may not be read.
    pub fn links(&self, path: impl AsRef<Path>) -> io::Result<Vec<(String, PathBuf)>> {
        let directory = self.open_file(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut links = Vec::new();
        for entry in fs::Dir::read_from(directory.as_fd())? {
            let entry = entry?;
            match fs::readlinkat(&directory, entry.file_name(), Vec::new()) {
                Ok(target) => {
                    let name = entry.file_name().to_string_lossy().into_owned();
                    links.push((name, PathBuf::from(OsString::from_vec(target.into_bytes()))));
                }
                Err(Errno::INVAL | Errno::NOENT | Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        links.sort_unstable();
        Ok(links)
    }

    /// Returns the number of the device node that `path` leads to; `None` if it leads to something else.
    ///
    /// Links of proc to open files are followed, though they lead out of the directory: the file is neither opened
    /// nor is a file server asked, only the kernel's own record of it is read.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn device(&self, path: impl AsRef<Path>) -> io::Result<Option<DeviceNumber>> {
        let path = path.as_ref();
        let flags = AtFlags::STATX_DONT_SYNC | AtFlags::EMPTY_PATH;
        let inside = fs::openat2(&self.handle, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), INSIDE);
        let stat = match (inside, path.parent(), path.file_name()) {
            (Ok(file), ..) => fs::statx(file, "", flags, StatxFlags::TYPE)?,
            // A link that only the kernel can follow.
            (Err(Errno::LOOP), Some(parent), Some(name)) => {
                let parent = self.open_file(parent, OFlags::PATH | OFlags::DIRECTORY)?;
                fs::statx(parent, name, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)?
            }
            (Err(error), ..) => return Err(error.into()),
        };
        let block = match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::BlockDevice => true,
            FileType::CharacterDevice => false,
            _ => return Ok(None),
        };
        Ok(Some(DeviceNumber { block, major: stat.stx_rdev_major, minor: stat.stx_rdev_minor }))
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

/// The directories that the daemon knows of a machine.
#[derive(Debug)]
pub struct System {
    /// `/sys`.
    pub sys: Root,
    /// `/proc`.
    pub proc: Root,
    /// `/dev`.
    pub dev: Root,
    /// `/run`. `None` if the machine has none: then no session is known.
    pub run: Option<Root>,
}

impl System {
    /// Opens `sys`, `proc`, `dev` and, where there is one, `run` below `root`: `/` is this machine.
    ///
    /// # Errors
    /// Errors of the system: one of the first three is not there, or one may not be opened.
    pub fn open(root: &Path) -> io::Result<Self> {
        Ok(Self {
            sys: Root::open(&root.join("sys"))?,
            proc: Root::open(&root.join("proc"))?,
            dev: Root::open(&root.join("dev"))?,
            run: match Root::open(&root.join("run")) {
                Ok(run) => Some(run),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
        })
    }
}

#[cfg(test)]
mod tests;
