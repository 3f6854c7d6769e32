//! Which crates there are: those of the workspace, and those of the kernel module, which cargo does not know.

use std::path::{Path, PathBuf};

use cargo_metadata::{MetadataCommand, Package, Target, TargetKind};

use super::error::CirclesError;

/// The kernel module's name here.
pub(super) const KERNEL: &str = "kernel";

/// The kernel module's scheduler, which cargo does not know either.
const JOBQUEUE: &str = "jobqueue";

/// A crate: a package with the files that its targets begin with.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) roots: Vec<PathBuf>,
}

/// All crates of the checkout in `root`.
///
/// # Errors
/// `cargo metadata` fails.
pub(super) fn all(root: &Path) -> Result<Vec<Crate>, CirclesError> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let mut crates: Vec<_> = metadata.packages.iter().map(of_package).collect();
    crates.push(Crate { name: KERNEL.to_owned(), roots: vec![root.join("kernel/src/module.rs")] });
    crates.push(Crate { name: JOBQUEUE.to_owned(), roots: vec![root.join("kernel/jobqueue/src/lib.rs")] });
    crates.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(crates)
}

fn of_package(package: &Package) -> Crate {
    let targets = package.targets.iter().filter(|target| is_code(target));
    let roots = targets.map(|target| target.src_path.clone().into_std_path_buf()).collect();
    Crate { name: package.name.to_string(), roots }
}

/// Libraries and programs; not tests, benchmarks, examples and build scripts.
fn is_code(target: &Target) -> bool {
    let left_out = [TargetKind::Test, TargetKind::Bench, TargetKind::Example, TargetKind::CustomBuild];
    !target.kind.iter().any(|kind| left_out.contains(kind))
}
