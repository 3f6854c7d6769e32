//! The image: a Debian tree with QEMU, compilers and a busybox. Programs run in it by chroot; nothing of the host changes.

use std::fs;
use std::path::Path;

use super::error::at;
use super::steps::{self, Step};
use super::{Error, Folder, mirror, sandbox};

/// The suite all comes from, and the one that QEMU and the kernel come from.
const SUITE: &str = "trixie";
pub(super) const BACKPORTS: &str = "trixie-backports";

/// Packages of the image, each for a reason: QEMU; the parts of an initramfs; the tools that build a kernel's Rust modules, by hand and by DKMS.
const PACKAGES: &[&str] = &[
    "qemu-system-x86",
    "busybox-static",
    "kmod",
    "binutils",
    "gcc-14",
    "make",
    "rustc",
    "rust-src",
    "libstd-rust-dev",
    "bindgen",
    "bc",
    "flex",
    "bison",
    "libelf-dev",
    "libssl-dev",
    "libdw-dev",
    "pahole",
    "xz-utils",
    "zstd",
    "python3-minimal",
    "dkms",
    "openssl",
];

/// A kernel accepts only the rustc it was built with, and that is the suite's; QEMU must be the newer one.
const PREFERENCES: &str = "\
Package: *
Pin: release n=trixie-backports
Pin-Priority: 600

Package: rustc rust-src libstd-rust-*
Pin: release n=trixie
Pin-Priority: 700
";

/// The recipe. What is added to an image must be added again when that is made anew.
pub(super) fn key() -> String {
    format!("{SUITE}\n{PACKAGES:?}\n{PREFERENCES}")
}

/// Makes the image if it is not there.
///
/// # Errors
/// Without network, or if Debian's packages do not fit together.
pub(super) fn prepare(folder: &Folder) -> Result<(), Error> {
    steps::once(folder, "image", "Debian image with QEMU and compilers (about 80 s)", &key(), |step| {
        let mirror = mirror::find()?;
        // Made under another name: the image is whole, or not there.
        folder.discard("image.partial")?;
        folder.discard("image")?;
        let preferences = folder.join("preferences");
        at(&preferences, fs::write(&preferences, PREFERENCES))?;
        make(step, folder, &mirror, &preferences)?;
        let image = folder.join("image");
        at(&image, fs::rename(folder.join("image.partial"), &image))
    })?;
    Ok(())
}

fn make(step: &Step<'_>, folder: &Folder, mirror: &str, preferences: &Path) -> Result<(), Error> {
    let mut command = sandbox::isolated();
    command.args(["mmdebstrap", "--mode=root", "--variant=apt", "--skip=cleanup/apt/lists"]);
    command.arg(format!(
        "--setup-hook=mkdir -p \"$1/etc/apt/preferences.d\" && cp '{}' \"$1/etc/apt/preferences.d/lifeboat\"",
        preferences.display()
    ));
    command.args(["--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Retries \"3\""]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.arg(SUITE).arg(folder.join("image.partial"));
    command.args([SUITE, BACKPORTS].map(|suite| format!("deb {mirror} {suite} main")));
    step.run(&mut command).map_err(mirror::explain)
}

/// Runs apt-get in the image, with the host's way of finding names.
///
/// # Errors
/// If apt-get fails.
pub(super) fn apt_get(step: &Step<'_>, folder: &Folder, directory: &str, args: &[&str]) -> Result<(), Error> {
    let names = Path::new("/etc/resolv.conf");
    if names.exists() {
        let inside = folder.join("image/etc/resolv.conf");
        at(&inside, fs::copy(names, &inside))?;
    }
    let script = "cd \"$1\" && shift && exec apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root \"$@\"";
    let mut command = sandbox::command(folder.path(), &[], "sh");
    command.args(["-c", script, "sh", directory]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
    step.run(&mut command).map_err(mirror::explain)
}
