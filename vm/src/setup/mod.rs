//! Everything a guest needs, from nothing: an image, a kernel, a tree to build modules against. Done once, in one folder.
//!
//! docs/vm.md tells the same for people.

mod build_tree;
pub mod dkms;
mod environment;
mod error;
mod folder;
pub mod forbidden;
mod image;
mod kernel;
mod lock;
mod mirror;
mod module;
mod programs;
mod sandbox;
mod steps;
mod tools;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use error::Error;
pub use folder::Folder;
use lock::KernelLock;
pub(crate) use sandbox::isolated;

use crate::pace::Flavour;

/// What the kernel's make must be told on its command line (its own assignments win over the environment), for the kernel
/// and for modules alike.
fn make_variables(flavour: Flavour) -> &'static [&'static str] {
    match flavour {
        // The version magic of a module is that of its tree: this makes it the stock kernel's.
        Flavour::Stock => &["CC=x86_64-linux-gnu-gcc-14", "LOCALVERSION=+deb13-amd64"],
        Flavour::Debug => &["LLVM=1"],
    }
}

/// Makes or completes all that tests need, apart from what is built from this repository.
///
/// # Errors
/// See [`Error`]; what is done stays done.
pub fn prepare(folder: &Folder, flavour: Flavour) -> Result<(), Error> {
    check_host()?;
    let lock = KernelLock::read()?;
    image::prepare(folder)?;
    tools::prepare(folder)?;
    kernel::prepare(folder, &lock)?;
    build_tree::source(folder, &lock)?;
    build_tree::stock(folder, &lock)?;
    if flavour == Flavour::Debug {
        build_tree::debug(folder, &lock)?;
    }
    Ok(())
}

/// Builds from this checkout what takes part in a test, and says where everything is. After [`prepare`].
///
/// # Errors
/// If something does not compile.
pub fn environment(folder: &Folder, flavour: Flavour) -> Result<Environment, Error> {
    let lock = KernelLock::read()?;
    let modules = module::build(folder, flavour)?;
    Ok(Environment {
        folder: folder.path().to_owned(),
        image: folder.join("image"),
        kernel: build_tree::vmlinux(folder, flavour),
        modules_dir: build_tree::modules(folder, &lock, flavour)?,
        lifeboat_ko: modules.lifeboat,
        second_ko: modules.second,
        jobqueue_test_ko: modules.jobqueue_test,
        lifeboat: programs::lifeboat()?,
        guest: programs::guest()?,
        tools: tools::folder(folder),
        picture: repository().join("crates/cli/assets/lifeboat.png"),
        artefacts: folder.join("artefacts"),
        flavour,
    })
}

/// Locks the newest kernel that can be had.
///
/// # Errors
/// Without network, or if no kernel is complete.
pub fn lock_newest(folder: &Folder) -> Result<(), Error> {
    check_host()?;
    image::prepare(folder)?;
    kernel::lock_newest(folder)
}

/// What this host must have.
///
/// # Errors
/// Says what is missing.
pub fn check_host() -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for (program, package) in [("mmdebstrap", "mmdebstrap"), ("unshare", "util-linux"), ("chroot", "coreutils")] {
        if !std::env::split_paths(&path).any(|directory| directory.join(program).exists()) {
            return Err(Error::MissingProgram { program, package });
        }
    }
    Ok(())
}

/// The checkout this program was built from: it is a tool of that checkout, not a thing to install.
fn repository() -> PathBuf {
    let vm = Path::new(env!("CARGO_MANIFEST_DIR"));
    vm.parent().unwrap_or(vm).to_owned()
}
