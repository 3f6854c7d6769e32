//! Debian's own kernel: its packages, unpacked, and the kernel as an ELF file that QEMU starts.

use std::fs;
use std::path::PathBuf;

use super::error::at;
use super::folder::INSIDE;
use super::lock::{self, KernelLock};
use super::steps::{self, Step};
use super::{Error, Folder, image, sandbox};

/// Where the packages are unpacked.
const TREE: &str = "kernel";

/// The stock kernel as a file QEMU can start.
pub(super) fn vmlinux(folder: &Folder) -> PathBuf {
    folder.join("kernel/vmlinux")
}

/// Its modules: the directory with modules.dep.
pub(super) fn modules(folder: &Folder, lock: &KernelLock) -> PathBuf {
    folder.join(TREE).join("usr/lib/modules").join(lock.uname())
}

/// Headers as Debian has them, without Rust metadata: in the folder.
pub(super) fn headers(lock: &KernelLock) -> String {
    format!("{TREE}/usr/src/{}", lock.headers())
}

/// Locks the newest kernel that is complete.
///
/// # Errors
/// Without network, or if there is none.
pub(super) fn lock_newest(folder: &Folder) -> Result<(), Error> {
    steps::always(folder, "newest", "Newest complete kernel in backports", |step| {
        image::apt_get(step, folder, "/", &["update"])?;
        let Some(newest) = offered(step, folder)? else {
            return Err(Error::KernelGone { locked: "any".into(), newest: "none".into() });
        };
        eprintln!("kernel {} ({})", newest.uname(), newest.version);
        newest.write()
    })
}

fn offered(step: &Step<'_>, folder: &Folder) -> Result<Option<KernelLock>, Error> {
    let script = "apt-cache madison $(apt-cache pkgnames linux- | grep -E '^linux-(image|binary-unsigned|modules|headers|source)-[0-9]')";
    Ok(lock::newest(&step.output(sandbox::command(folder.path(), &[], "sh").args(["-c", script]))?))
}

/// Fetches and unpacks the locked kernel.
///
/// # Errors
/// Without network, or if the locked version is gone.
pub(super) fn prepare(folder: &Folder, lock: &KernelLock) -> Result<(), Error> {
    let key = format!("{lock:?}");
    steps::once(folder, "kernel", "Kernel, modules, headers and source (300 MB)", &key, |step| {
        folder.discard(TREE)?;
        download(step, folder, lock)?;
        let script =
            "mkdir -p \"$1\" && for deb in /lifeboat/debs/*_\"$2\"_*.deb; do dpkg-deb -x \"$deb\" \"$1\" || exit; done";
        let mut unpack = sandbox::command(folder.path(), &[], "sh");
        // In a package's file name the colon of a version is written %3a; versions of kernels have none.
        step.run(unpack.args(["-c", script, "sh"]).arg(format!("{INSIDE}/{TREE}")).arg(&lock.version))
    })?;
    Ok(())
}

fn download(step: &Step<'_>, folder: &Folder, lock: &KernelLock) -> Result<(), Error> {
    let packages = lock.packages();
    let mut args = vec!["download"];
    args.extend(packages.iter().map(String::as_str));
    let debs = format!("{INSIDE}/debs");
    // The lists may be as old as the image; they are fetched anew only if they do not know the version.
    if image::apt_get(step, folder, &debs, &args).is_ok() {
        return Ok(());
    }
    image::apt_get(step, folder, "/", &["update"])?;
    image::apt_get(step, folder, &debs, &args).or_else(|error| match error {
        Error::Step { ref tail, .. } if tail.contains("was not found") || tail.contains("Unable to locate") => {
            let newest = offered(step, folder)?.map_or_else(|| "none".to_owned(), |newest| newest.uname());
            Err(Error::KernelGone { locked: lock.uname(), newest })
        }
        error => Err(error),
    })
}

/// Takes the ELF file out of the compressed kernel, with the script of its own source: it boots faster.
///
/// # Errors
/// If there is none inside.
pub(super) fn extract(step: &Step<'_>, folder: &Folder, lock: &KernelLock) -> Result<(), Error> {
    let tree = folder.join(TREE);
    let candidates = [
        tree.join("boot").join(format!("vmlinuz-{}", lock.uname())),
        modules(folder, lock).join("vmlinuz"),
        modules(folder, lock).join("vmlinuz.unsigned"),
    ];
    let compressed =
        candidates.iter().find(|path| path.exists()).ok_or_else(|| Error::Missing(candidates[0].clone()))?;
    let inside = PathBuf::from(INSIDE).join(compressed.strip_prefix(folder.path()).unwrap_or(compressed));
    let script = "/lifeboat/linux/scripts/extract-vmlinux \"$1\" > /lifeboat/kernel/vmlinux.partial";
    step.run(sandbox::command(folder.path(), &[], "sh").args(["-c", script, "sh"]).arg(inside))?;
    let vmlinux = vmlinux(folder);
    at(&vmlinux, fs::rename(folder.join("kernel/vmlinux.partial"), &vmlinux))
}
