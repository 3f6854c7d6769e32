//! What a test is run with: everything that is made before the first guest boots.

use std::path::PathBuf;

use crate::pace::Flavour;

/// Where everything is. All paths are the host's and absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The guest's folder, for the compiler in its image.
    pub folder: PathBuf,
    /// Root of a Debian tree with QEMU in it. Never written.
    pub image: PathBuf,
    /// The guest's kernel, as an uncompressed ELF file.
    pub kernel: PathBuf,
    /// That kernel's modules: the directory that contains `modules.dep`.
    pub modules_dir: PathBuf,
    /// Our module, uncompressed, built for that kernel.
    pub lifeboat_ko: PathBuf,
    /// The module with a second driver, likewise.
    pub second_ko: PathBuf,
    /// The module that tests its scheduler, likewise.
    pub jobqueue_test_ko: PathBuf,
    /// The `lifeboat` command, which serves the GPU, and works on it in the guest: statically linked.
    pub lifeboat: PathBuf,
    /// The guest's `/init`, statically linked.
    pub guest: PathBuf,
    /// Debian's own programs for the guest: `bin`, and their libraries in `lib`.
    pub tools: PathBuf,
    /// A picture for the `lifeboat` command to work on.
    pub picture: PathBuf,
    /// What failed tests leave behind goes into directories in this one.
    pub artefacts: PathBuf,
    /// Which kind of kernel that is.
    pub flavour: Flavour,
}
