//! The guest's whole file system: an archive in memory, made anew for each run.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::guest::modules::Module;

/// Where modules are in the guest.
pub const MODULES: &str = "/modules";

/// Device number of the console, which must be there before anything is mounted: process 1 gets it as its standard streams.
const CONSOLE: (u32, u32) = (5, 1);

/// A file that should be in the guest cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// A file of the host.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Writing the archive.
    #[error("the guest's file system cannot be made: {0}")]
    Archive(#[from] io::Error),
}

/// An archive being filled.
#[derive(Debug, Default)]
pub struct Initramfs {
    archive: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    entries: u32,
}

impl Initramfs {
    /// A file system with `/init` and a console.
    ///
    /// # Errors
    /// The program cannot be read.
    pub fn new(init: &Path) -> Result<Self, InitramfsError> {
        let mut initramfs = Self::default();
        initramfs.add_file(init, "/init")?;
        initramfs.add_folders_of(Path::new("/dev/console"))?;
        let console = Builder::new("dev/console").rdev_major(CONSOLE.0).rdev_minor(CONSOLE.1);
        initramfs.add(console, ModeFileType::Char, 0o600, &[])?;
        Ok(initramfs)
    }

    /// A program or module of the host, under a name of the guest.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn add_file(&mut self, from: &Path, to: &str) -> Result<(), InitramfsError> {
        let contents = fs::read(from).map_err(|error| InitramfsError::File { path: from.to_owned(), error })?;
        self.add_bytes(&contents, to)
    }

    /// A module, as `/modules/NAME.ko`.
    ///
    /// # Errors
    /// It is larger than the format allows.
    pub fn add_module(&mut self, module: &Module) -> Result<(), InitramfsError> {
        self.add_bytes(&module.image, &module_path(&module.name))
    }

    fn add_bytes(&mut self, contents: &[u8], to: &str) -> Result<(), InitramfsError> {
        self.add_folders_of(Path::new(to))?;
        self.add(Builder::new(to.trim_start_matches('/')), ModeFileType::Regular, 0o755, contents)?;
        Ok(())
    }

    /// The finished archive.
    ///
    /// # Errors
    /// None that writing into memory has.
    pub fn finish(mut self) -> Result<Vec<u8>, InitramfsError> {
        let mut end = Cursor::new(Vec::new());
        trailer(&mut end)?;
        self.archive.extend(end.into_inner());
        Ok(self.archive)
    }

    fn add_folders_of(&mut self, path: &Path) -> io::Result<()> {
        let mut folders: Vec<_> = path.ancestors().skip(1).filter(|folder| folder.parent().is_some()).collect();
        folders.reverse();
        for folder in folders {
            if self.folders.insert(folder.to_owned()) {
                let name = folder.to_string_lossy();
                self.add(Builder::new(name.trim_start_matches('/')), ModeFileType::Directory, 0o755, &[])?;
            }
        }
        Ok(())
    }

    fn add(&mut self, entry: Builder, kind: ModeFileType, mode: u32, contents: &[u8]) -> io::Result<()> {
        let size = u32::try_from(contents.len()).map_err(io::Error::other)?;
        self.entries += 1;
        // Entries of one number would be hard links of each other.
        let entry = entry.ino(self.entries).nlink(1).mode(mode).set_mode_file_type(kind);
        let mut writer = entry.write(Cursor::new(Vec::new()), size);
        io::Write::write_all(&mut writer, contents)?;
        self.archive.extend(writer.finish()?.into_inner());
        Ok(())
    }
}

/// Where a module is in the guest.
pub fn module_path(name: &str) -> String {
    format!("{MODULES}/{name}.ko")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::io::Read;

    use super::*;

    #[test]
    fn the_kernel_can_unpack_it() {
        let folder = tempfile::tempdir().unwrap();
        let init = folder.path().join("guest");
        fs::write(&init, "\x7fELF").unwrap();
        let mut initramfs = Initramfs::new(&init).unwrap();
        for name in ["a", "b"] {
            initramfs.add_module(&Module { name: name.into(), image: name.into() }).unwrap();
        }
        let archive = initramfs.finish().unwrap();

        let mut rest = Cursor::new(archive);
        let mut found = Vec::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            let (name, mode, ino) = (entry.name().to_owned(), entry.mode(), entry.ino());
            let device = (entry.rdev_major(), entry.rdev_minor());
            let mut contents = String::new();
            reader.read_to_string(&mut contents).unwrap();
            rest = reader.finish().unwrap();
            found.push((name, mode, ino, device, contents));
        }
        let expected = [
            ("init", 0o100_755, 1, (0, 0), "\x7fELF"),
            ("dev", 0o040_755, 2, (0, 0), ""),
            ("dev/console", 0o020_600, 3, (5, 1), ""),
            ("modules", 0o040_755, 4, (0, 0), ""),
            ("modules/a.ko", 0o100_755, 5, (0, 0), "a"),
            ("modules/b.ko", 0o100_755, 6, (0, 0), "b"),
        ];
        let expected = expected.map(|(name, mode, ino, dev, text)| (name.to_owned(), mode, ino, dev, text.to_owned()));
        assert_eq!(found, expected, "parents come before children, and each once");
    }
}
