//! Programs of the image, run in it: chroot inside a mount and a process namespace of their own.
//!
//! So nothing stays mounted and nothing keeps running whatever becomes of us, and the host sees none of it. The folder
//! is at [`INSIDE`](super::folder::INSIDE).

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::folder::INSIDE;
use crate::host::process::tied;

/// `$1` is the image, `$2` the folder, `$3` how many pairs of what to mount where (read-only where the name ends in `:ro`) follow;
/// then the command.
const ENTER: &str = r#"
set -e
image=$1 folder=$2 pairs=$3; shift 3
bind() {
    mkdir -p "$image${2%:ro}"
    mount --bind "$1" "$image${2%:ro}"
    case $2 in *:ro) mount -o remount,bind,ro "$image${2%:ro}" ;; esac
}
bind "$folder" "$FOLDER_INSIDE"
while [ "$pairs" -gt 0 ]; do bind "$1" "$2"; shift 2; pairs=$((pairs - 1)); done
mount -t tmpfs none "$image/tmp"
exec chroot "$image" "$@"
"#;

/// What the environment of the host may say to the programs inside.
const PASSED_ON: [&str; 8] =
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "TERM"];

/// A command inside the image of the guest's folder. `binds` says which directories of the host it sees, and where (`…:ro`: read-only).
pub(super) fn command(folder: &Path, binds: &[(&Path, &str)], program: impl AsRef<OsStr>) -> Command {
    let image = folder.join("image");
    let mut command = isolated();
    command.arg(format!("--mount-proc={}", image.join("proc").display()));
    command.args(["/bin/sh", "-c", ENTER, "sh"]).arg(&image).arg(folder).arg(binds.len().to_string());
    for (from, to) in binds {
        command.arg(from).arg(to);
    }
    command.arg(program).env("FOLDER_INSIDE", INSIDE);
    command
}

/// A command of the host whose mounts and processes end with it.
pub(crate) fn isolated() -> Command {
    let mut command = tied("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]);
    // Nothing of cargo's: a MAKEFLAGS with a job server that is not there, or RUSTFLAGS, would reach the kernel's make.
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8").env("HOME", "/root");
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}
