//! Trees that Rust modules are built against. Debian's headers carry no Rust metadata, so it is made from the source, with
//! the very configuration and compiler of the stock kernel; what comes out loads into that.

use std::fs;
use std::path::PathBuf;

use super::error::at;
use super::lock::KernelLock;
use super::steps;
use super::{Error, Folder, image, kernel, sandbox};
use crate::pace::Flavour;

/// Unpacks the source. What makes it big and no kernel of ours needs stays out.
///
/// # Errors
/// If it cannot be unpacked.
pub(super) fn source(folder: &Folder, lock: &KernelLock) -> Result<(), Error> {
    let script = r#"set -e
mkdir -p /lifeboat/linux
tar -C /lifeboat/linux --strip-components=1 --exclude='*/drivers/gpu/drm/amd/include/asic_reg' --exclude='*/Documentation/translations' \
    -xf "/lifeboat/kernel/usr/src/$1.tar.xz""#;
    let key = format!("{lock:?}{script}");
    steps::once(folder, "source", "Kernel source (about 25 s)", &key, |step| {
        folder.discard("linux")?;
        step.run(sandbox::command(folder.path(), &[], "sh").args(["-c", script, "sh", &lock.source]))
    })?;
    Ok(())
}

/// The stock kernel's tree, and the kernel itself.
///
/// # Errors
/// If the kernel's compilers are not those of the image.
pub(super) fn stock(folder: &Folder, lock: &KernelLock) -> Result<(), Error> {
    let script = r#"set -e
headers=/lifeboat/kernel/usr/src/$1 jobs=$2 obj=/lifeboat/obj/stock; shift 2
mkdir -p $obj && cp $headers/.config $obj/.config
cd /lifeboat/linux
make O=$obj "$@" rustavailable olddefconfig
cmp <(grep '^CONFIG_RUSTC_VERSION=' $headers/.config) <(grep '^CONFIG_RUSTC_VERSION=' $obj/.config) ||
    { echo "this kernel was built with another rustc than the image's"; exit 1; }
grep -qx CONFIG_RUST=y $obj/.config || { echo "this configuration has no Rust"; exit 1; }
make -j"$jobs" O=$obj "$@" modules_prepare
cp $headers/Module.symvers $obj/"#;
    let key = format!("{lock:?}{script}");
    steps::once(folder, "rust-metadata", "Rust metadata of the stock kernel (about 60 s)", &key, |step| {
        folder.discard("obj/stock")?;
        folder.discard("ko/stock")?;
        let mut make = sandbox::command(folder.path(), &[], "bash");
        make.args(["-c", script, "bash", &lock.headers(), &jobs()]).args(super::make_variables(Flavour::Stock));
        step.run(&mut make)?;
        kernel::extract(step, folder, lock)
    })?;
    Ok(())
}

/// The checking kernel and its tree.
///
/// # Errors
/// Without network (its compiler is installed only now), or if a checker asked for is not to be had.
pub(super) fn debug(folder: &Folder, lock: &KernelLock) -> Result<(), Error> {
    const CONFIG: &str = include_str!("../../debug-kernel.config");
    let script = r#"set -e
jobs=$1 obj=/lifeboat/obj/debug; shift
mkdir -p $obj
cd /lifeboat/linux
make O=$obj "$@" KCONFIG_ALLCONFIG=/repository/vm/debug-kernel.config allnoconfig
missing=$(grep '^CONFIG_' /repository/vm/debug-kernel.config | grep -vxFf $obj/.config || true)
[ -z "$missing" ] || { echo "not to be had in this kernel:"; echo "$missing"; exit 1; }
make -j"$jobs" O=$obj "$@" vmlinux modules
make O=$obj "$@" INSTALL_MOD_PATH=$obj/root DEPMOD=depmod modules_install"#;
    compilers(folder)?;
    let key = format!("{lock:?}{script}{CONFIG}");
    steps::once(
        folder,
        "debug-kernel",
        "Debug kernel: KASAN, PROVE_LOCKING, PROVE_RCU (about 12 minutes)",
        &key,
        |step| {
            folder.discard("obj/debug")?;
            folder.discard("ko/debug")?;
            let repository = super::repository();
            let mut make = sandbox::command(folder.path(), &[(&repository, "/repository:ro")], "bash");
            step.run(make.args(["-c", script, "bash", &jobs()]).args(super::make_variables(Flavour::Debug)))
        },
    )?;
    Ok(())
}

/// Rust under KASAN takes a kernel built by clang; so do its modules, in an image that was made anew since.
fn compilers(folder: &Folder) -> Result<(), Error> {
    steps::once(folder, "compilers", "Compilers of the debug kernel (about 30 s)", &image::key(), |step| {
        image::apt_get(step, folder, "/", &["update"])?;
        image::apt_get(step, folder, "/", &["install", "-y", "--no-install-recommends", "clang", "lld", "llvm"])
    })?;
    Ok(())
}

/// The kernel of a flavour, as QEMU starts it.
pub(super) fn vmlinux(folder: &Folder, flavour: Flavour) -> PathBuf {
    match flavour {
        Flavour::Stock => kernel::vmlinux(folder),
        Flavour::Debug => folder.join("obj/debug/vmlinux"),
    }
}

/// The modules that belong to it: the directory with modules.dep.
///
/// # Errors
/// If its build did not say what it is called.
pub(super) fn modules(folder: &Folder, lock: &KernelLock, flavour: Flavour) -> Result<PathBuf, Error> {
    match flavour {
        Flavour::Stock => Ok(kernel::modules(folder, lock)),
        Flavour::Debug => {
            let release = folder.join("obj/debug/include/config/kernel.release");
            let release = at(&release, fs::read_to_string(&release))?;
            Ok(folder.join("obj/debug/root/lib/modules").join(release.trim()))
        }
    }
}

fn jobs() -> String {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string()
}
