//! Tree of files for the tests of sensors: a `/sys` with PCI functions, a `/proc` and a `/dev`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::system::System;

/// Folder that looks like a machine.
pub(super) struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    pub(super) fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["sys/bus/pci/devices", "sys/devices/pci0000:00", "sys/class/nvme", "proc", "dev"] {
            fs::create_dir_all(tree.path().join(name)).unwrap();
        }
        tree
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Adds a function, below the bridge `parent`.
    pub(super) fn function(self, address: &str, parent: Option<&str>) -> Self {
        let parent = parent.map(|parent| format!("/{parent}")).unwrap_or_default();
        let place = format!("devices/pci0000:00{parent}/{address}");
        fs::create_dir_all(self.path().join("sys").join(&place)).unwrap();
        symlink(format!("../../../{place}"), self.file(address)).unwrap();
        self
    }

    /// Writes a file of a function, such as `0000:03:00.0/config`.
    pub(super) fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.file(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Returns the path of a file of a function.
    pub(super) fn file(&self, file: &str) -> PathBuf {
        self.path().join("sys/bus/pci/devices").join(file)
    }

    /// Adds a controller below a function.
    pub(super) fn controller(&self, name: &str, function: &str, state: &str) {
        let place = fs::canonicalize(self.file(function)).unwrap().join("nvme").join(name);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("state"), format!("{state}\n")).unwrap();
        let sys = fs::canonicalize(self.path().join("sys")).unwrap();
        let place = place.strip_prefix(sys).unwrap();
        let link = self.path().join("sys/class/nvme").join(name);
        if !link.exists() {
            symlink(PathBuf::from("../..").join(place), link).unwrap();
        }
    }

    pub(super) fn system(&self) -> System {
        System::open(self.folder.path()).unwrap()
    }
}
