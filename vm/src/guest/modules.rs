//! The guest kernel's own modules: found by name, with what they depend on, unpacked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The modules of one kernel.
#[derive(Debug)]
pub struct ModuleTree {
    /// Name to file.
    index: BTreeMap<String, PathBuf>,
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
    /// Reads which modules there are. What each needs is in itself: a tree from a package has no `modules.dep`, which is made
    /// where the package is installed.
    ///
    /// # Errors
    /// The tree cannot be read.
    pub fn open(root: &Path) -> Result<Self, ModuleError> {
        let mut index = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let at = |error| ModuleError::File { path: folder.clone(), error };
            for entry in fs::read_dir(&folder).map_err(at)? {
                let entry = entry.map_err(at)?;
                let (path, kind) = (entry.path(), entry.file_type().map_err(at)?);
                if kind.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".ko")) {
                    index.insert(module_name(&path), path);
                }
            }
        }
        Ok(Self { index })
    }

    /// A module alone.
    ///
    /// # Errors
    /// The module does not exist, or its file cannot be read.
    pub fn without_dependencies(&self, name: &str) -> Result<Module, ModuleError> {
        let path = self.index.get(name).ok_or_else(|| ModuleError::Unknown(name.to_owned()))?;
        let image = read_unpacked(path).map_err(|error| ModuleError::File { path: path.clone(), error })?;
        Ok(Module { name: name.to_owned(), image })
    }

    /// A module and all it depends on, in an order in which they can be inserted.
    ///
    /// # Errors
    /// It does not exist, or a file cannot be read.
    pub fn with_dependencies(&self, name: &str) -> Result<Vec<Module>, ModuleError> {
        let mut modules = Vec::new();
        self.add_with_dependencies(name, &mut modules)?;
        Ok(modules)
    }

    fn add_with_dependencies(&self, name: &str, modules: &mut Vec<Module>) -> Result<(), ModuleError> {
        if modules.iter().any(|module| module.name == name) {
            return Ok(());
        }
        let module = self.without_dependencies(name)?;
        for needed in depends(&module.image) {
            self.add_with_dependencies(&needed, modules)?;
        }
        modules.push(module);
        Ok(())
    }
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

/// The modules that a module says it needs: `depends=a,b` in its section `.modinfo`, where zeroes are between the entries.
fn depends(image: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = image.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let value = image[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
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
        fs::create_dir(folder.path().join("kernel")).unwrap();
        fs::write(folder.path().join("kernel/base.ko"), image("base", "")).unwrap();
        for (name, needs) in [("gpu-sched", "drm,base"), ("drm", "base")] {
            let file = File::create(folder.path().join(format!("kernel/{name}.ko.xz"))).unwrap();
            let mut packed = liblzma::write::XzEncoder::new(file, 1);
            packed.write_all(image(name, needs).as_bytes()).unwrap();
            packed.finish().unwrap();
        }
        folder
    }

    fn image(name: &str, needs: &str) -> String {
        format!("{name}\0license=GPL\0depends={needs}\0name={name}\0")
    }

    #[test]
    fn dependencies_come_first_and_unpacked() {
        let folder = tree();
        let tree = ModuleTree::open(folder.path()).unwrap();
        let modules = tree.with_dependencies("gpu_sched").unwrap();
        let found: Vec<_> = modules.iter().map(|m| (m.name.as_str(), m.image.as_slice())).collect();
        let expected = [("base", "base", ""), ("drm", "drm", "base"), ("gpu_sched", "gpu-sched", "drm,base")];
        let expected = expected.map(|(name, file, needs)| (name, image(file, needs)));
        assert_eq!(found, expected.each_ref().map(|(name, image)| (*name, image.as_bytes())));
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
