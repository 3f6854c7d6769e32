//! The one folder that everything is kept in, and its removal.
//!
//! ```text
//! .lifeboat-vm         says that the folder is ours; locked while somebody works in it
//! image/               a Debian tree: QEMU, compilers, busybox
//! debs/  kernel/       the kernel's packages, and what is in them
//! linux/               its source
//! obj/stock  obj/debug build trees that modules are built against
//! ko/stock  ko/debug   lifeboat.ko
//! tools/               programs of Debian's that run in the guest
//! stamps/  log/        which steps are done; what they said
//! artefacts/           logs of the tests that failed
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use super::Error;
use super::error::at;

/// Where the folder is mounted for programs that run in the image. The same whatever its place on the host, because
/// build trees hold absolute paths.
pub(super) const INSIDE: &str = "/lifeboat";

const MARK: &str = ".lifeboat-vm";

/// The folder. While it exists nobody else works in it.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Where it is: `$LIFEBOAT_VM_DIR`, else `target/vm` in the repository.
    pub fn default_path() -> PathBuf {
        match std::env::var_os("LIFEBOAT_VM_DIR") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => super::repository().join("target/vm"),
        }
    }

    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// If it holds something that is not ours, or somebody else is at work in it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let empty = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(_) => true,
        };
        if !empty && !path.join(MARK).exists() {
            return Err(Error::NotOurs(path.to_owned()));
        }
        at(path, fs::create_dir_all(path))?;
        let path = at(path, path.canonicalize())?;
        let mark = path.join(MARK);
        let lock = at(&mark, File::options().create(true).append(true).open(&mark))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(path)),
            Err(TryLockError::Error(source)) => return Err(Error::File { path: mark, source }),
        }
        for part in ["debs", "stamps", "log", "obj", "ko", "artefacts"] {
            let part = path.join(part);
            at(&part, fs::create_dir_all(&part))?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The path of something in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes something in it, if it is there; nothing outside, and nothing that is mounted.
    ///
    /// # Errors
    /// If something is mounted inside, or it cannot be removed.
    pub(super) fn discard(&self, name: &str) -> Result<(), Error> {
        discard(&self.path.join(name))
    }

    /// Removes it with all that is in it. What is mounted inside is unmounted first, links are removed and not followed: nothing
    /// outside is touched.
    ///
    /// # Errors
    /// If something inside cannot be unmounted (then nothing was removed), or not be removed.
    pub fn clean(self) -> Result<(), Error> {
        unmount_all(&self.path)?;
        // The mark goes last: what is left of an interrupted removal is still known as ours.
        let entries = at(&self.path, fs::read_dir(&self.path))?;
        let entries = entries.map(|entry| at(&self.path, entry.map(|entry| entry.path())));
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        for entry in entries.iter().filter(|entry| !entry.ends_with(MARK)) {
            discard(entry)?;
        }
        let mark = self.path.join(MARK);
        at(&mark, fs::remove_file(&mark))?;
        at(&self.path, fs::remove_dir(&self.path))
    }
}

fn discard(path: &Path) -> Result<(), Error> {
    let Ok(kind) = path.symlink_metadata() else { return Ok(()) };
    if !kind.is_dir() {
        return at(path, fs::remove_file(path));
    }
    nothing_mounted(path)?;
    at(path, fs::remove_dir_all(path))
}

/// Programs run in the image inside a mount namespace of their own, so nothing should be. But people mount things.
fn nothing_mounted(path: &Path) -> Result<(), Error> {
    match mounted(path)?.pop() {
        Some(mount) => Err(Error::Mounted(mount)),
        None => Ok(()),
    }
}

fn unmount_all(path: &Path) -> Result<(), Error> {
    // The kernel lists a mount after the one it is on.
    for mount in mounted(path)?.into_iter().rev() {
        unmount(&mount, UnmountFlags::NOFOLLOW).map_err(|_| Error::Mounted(mount))?;
    }
    Ok(())
}

/// Mount points at or below `path`, in the order in which they were mounted.
fn mounted(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let path = at(path, path.canonicalize())?;
    let mounts = Path::new("/proc/self/mountinfo");
    let table = at(mounts, fs::read_to_string(mounts))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    Ok(points.filter(|point| point.starts_with(&path)).collect())
}

/// The kernel writes blanks and backslashes in mountinfo as three octal digits.
fn unescape(field: &str) -> PathBuf {
    let mut path = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        path.push_str(before);
        if let Some(byte) = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            path.push(char::from(byte));
            rest = &after[3..];
        } else {
            path.push('\\');
            rest = after;
        }
    }
    path.push_str(rest);
    PathBuf::from(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on must fail
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn never_touches_what_it_did_not_make() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis.tex"), "years").unwrap();
        assert!(matches!(Folder::open(place.path()), Err(Error::NotOurs(_))));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn clean_removes_the_folder_and_follows_no_link() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("keep"), "").unwrap();
        let folder = Folder::open(&place.path().join("vm")).unwrap();
        symlink(&outside, folder.join("link")).unwrap();
        fs::create_dir_all(folder.join("image/deep")).unwrap();
        symlink(&outside, folder.join("image/deep/link")).unwrap();
        folder.clean().unwrap();
        assert!(outside.join("keep").exists());
        assert!(!place.path().join("vm").exists());
    }

    #[test]
    fn clean_unmounts_first() {
        use rustix::mount::{mount_bind, unmount};
        if !rustix::process::geteuid().is_root() {
            return; // Others cannot mount, and so have nothing to unmount.
        }
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("keep"), "").unwrap();
        let folder = Folder::open(&place.path().join("vm")).unwrap();
        let inside = folder.join("image");
        fs::create_dir(&inside).unwrap();
        if mount_bind(&outside, &inside).is_err() {
            return; // A container's root cannot mount either.
        }
        assert!(matches!(folder.discard("image"), Err(Error::Mounted(_))));
        let busy = File::open(inside.join("keep")).unwrap();
        assert!(matches!(folder.clean(), Err(Error::Mounted(_))));
        drop(busy);
        Folder::open(&place.path().join("vm")).unwrap().clean().unwrap();
        assert!(outside.join("keep").exists());
        assert!(unmount(&inside, UnmountFlags::empty()).is_err());
    }

    #[test]
    fn one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::open(place.path()).unwrap();
        assert!(matches!(Folder::open(place.path()), Err(Error::Busy(_))));
        drop(first);
        Folder::open(place.path()).unwrap();
    }

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        assert_eq!(unescape(r"/plain\x"), PathBuf::from(r"/plain\x"));
        assert!(matches!(nothing_mounted(Path::new("/")), Err(Error::Mounted(_))));
    }
}
