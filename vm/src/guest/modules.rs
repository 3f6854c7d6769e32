//! The guest kernel's own modules: found by name, with what they depend on, unpacked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The modules of one kernel.
#[derive(Debug)]
pub struct ModuleTree {
    root: PathBuf,
    /// Name to file, and the files it needs; paths relative to `root`.
    index: BTreeMap<String, (PathBuf, Vec<PathBuf>)>,
}

/// A module ready to be inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// As in `/proc/modules`.
    pub name: String,
    /// The ELF file.
    pub image: Vec<u8>,
}

/// Why a module cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// A file of the tree cannot be read, or is not xz where its name says so.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No such module in this kernel.
    #[error("the guest's kernel has no module {0} (or has it built in)")]
    Unknown(String),
}

impl ModuleTree {
    /// Reads the tree's `modules.dep`.
    ///
    /// # Errors
    /// `modules.dep` is not there: `depmod` was not run.
    pub fn open(root: &Path) -> Result<Self, ModuleError> {
        let path = root.join("modules.dep");
        let text = fs::read_to_string(&path).map_err(|error| ModuleError::File { path, error })?;
        Ok(Self { root: root.to_owned(), index: parse(&text) })
    }

    /// A module and all it depends on, in the order in which they must be inserted.
    ///
    /// # Errors
    /// It does not exist, or a file cannot be read.
    pub fn with_dependencies(&self, name: &str) -> Result<Vec<Module>, ModuleError> {
        let (file, needs) = self.index.get(name).ok_or_else(|| ModuleError::Unknown(name.to_owned()))?;
        // depmod lists what a module needs before what that needs in turn.
        needs.iter().rev().chain([file]).map(|file| self.unpack(file)).collect()
    }

    fn unpack(&self, file: &Path) -> Result<Module, ModuleError> {
        let path = self.root.join(file);
        let image = read_unpacked(&path).map_err(|error| ModuleError::File { path, error })?;
        Ok(Module { name: module_name(file), image })
    }
}

/// The modules that a module says it needs, by name.
pub fn needed_by(image: &[u8]) -> Vec<String> {
    const DEPENDS: &[u8] = b"\0depends=";
    let Some(at) = image.windows(DEPENDS.len()).position(|bytes| bytes == DEPENDS) else { return Vec::new() };
    let value = image[at + DEPENDS.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

fn read_unpacked(path: &Path) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    let file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "xz") {
        liblzma::read::XzDecoder::new(file).read_to_end(&mut image)?;
    } else {
        { file }.read_to_end(&mut image)?;
    }
    Ok(image)
}

fn parse(modules_dep: &str) -> BTreeMap<String, (PathBuf, Vec<PathBuf>)> {
    let entries = modules_dep.lines().filter_map(|line| {
        let (file, needs) = line.split_once(':')?;
        let needs = needs.split_whitespace().map(PathBuf::from).collect();
        Some((module_name(Path::new(file)), (PathBuf::from(file), needs)))
    });
    entries.collect()
}

/// The kernel names a module after its file, with underscores.
fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use std::io::Write;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let dep = "kernel/gpu-sched.ko.xz: kernel/drm.ko.xz kernel/base.ko\nkernel/drm.ko.xz: kernel/base.ko\n\
                   kernel/base.ko:\n";
        fs::create_dir(folder.path().join("kernel")).unwrap();
        fs::write(folder.path().join("modules.dep"), dep).unwrap();
        fs::write(folder.path().join("kernel/base.ko"), "base").unwrap();
        for name in ["gpu-sched", "drm"] {
            let file = File::create(folder.path().join(format!("kernel/{name}.ko.xz"))).unwrap();
            let mut packed = liblzma::write::XzEncoder::new(file, 1);
            packed.write_all(name.as_bytes()).unwrap();
            packed.finish().unwrap();
        }
        folder
    }

    #[test]
    fn dependencies_come_first_and_unpacked() {
        let folder = tree();
        let tree = ModuleTree::open(folder.path()).unwrap();
        let modules = tree.with_dependencies("gpu_sched").unwrap();
        let found: Vec<_> = modules.iter().map(|m| (m.name.as_str(), m.image.as_slice())).collect();
        assert_eq!(found, [("base", &b"base"[..]), ("drm", b"drm"), ("gpu_sched", b"gpu-sched")]);
    }

    #[test]
    fn what_a_module_needs_is_in_its_image() {
        let image = |depends: &str| format!("ELF\0license=MIT\0depends={depends}\0name=lifeboat\0").into_bytes();
        assert_eq!(needed_by(&image("drm,gpu-sched")), ["drm", "gpu_sched"]);
        assert!(needed_by(&image("")).is_empty());
        assert!(needed_by(b"not a module").is_empty());
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let folder = tree();
        let tree = ModuleTree::open(folder.path()).unwrap();
        assert!(matches!(tree.with_dependencies("vkms"), Err(ModuleError::Unknown(name)) if name == "vkms"));
        fs::write(folder.path().join("kernel/drm.ko.xz"), "not xz").unwrap();
        let error = tree.with_dependencies("gpu_sched").unwrap_err();
        assert!(error.to_string().contains("drm.ko.xz"), "{error}");
    }
}
