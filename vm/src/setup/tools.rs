//! Debian's own programs that tests run in the guest, with the libraries that they need: a guest has none of its own.

use std::fs;
use std::path::PathBuf;

use super::error::at;
use super::folder::INSIDE;
use super::steps::{self, Step};
use super::{Error, Folder, image, sandbox};

/// Packages to fetch: `drm_info`, and whatever it needs beside the image's own packages, so that all of it is of one suite.
const PACKAGES: &[&str] = &["drm-info", "libdrm2", "libjson-c5", "libpci3", "libudev1", "libcap2", "zlib1g", "libc6"];

/// The programs.
const PROGRAMS: &str = "drm_info";

/// Unpacks what was fetched, and collects the programs in `bin` and their libraries in `lib`, as their loader finds them.
const COLLECT: &str = r#"
set -e
cd "$1"; shift
mkdir tree bin lib
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
loader=$(readlink -f tree/usr/lib64/ld-linux-x86-64.so.2)
libraries=$PWD/tree/usr/lib/x86_64-linux-gnu
for program; do
    cp "tree/usr/bin/$program" bin/
    needed=$("$loader" --library-path "$libraries" --list "tree/usr/bin/$program")
    for library in $(echo "$needed" | sed -n 's/^\s*\(\S*\.so[^ ]*\) => .*/\1/p'); do
        cp -L "$libraries/${library##*/}" lib/
    done
done
cp "$loader" lib/ld-linux-x86-64.so.2
rm -r tree
"#;

/// Where the programs and libraries are.
pub(super) fn folder(folder: &Folder) -> PathBuf {
    folder.join("tools")
}

/// Fetches the programs if they are not there.
///
/// # Errors
/// Without network, or if Debian's packages do not fit together.
pub(super) fn prepare(folder: &Folder) -> Result<(), Error> {
    let key = format!("{PACKAGES:?}\n{PROGRAMS}\n{COLLECT}");
    steps::once(folder, "tools", "Debian's programs for the guest (4 MB)", &key, |step| {
        folder.discard("tools")?;
        let tools = self::folder(folder);
        at(&tools, fs::create_dir(&tools))?;
        let inside = format!("{INSIDE}/tools");
        download(step, folder, &inside)?;
        step.run(sandbox::command(folder.path(), &[], "sh").args(["-c", COLLECT, "sh", &inside, PROGRAMS]))
    })?;
    Ok(())
}

fn download(step: &Step<'_>, folder: &Folder, inside: &str) -> Result<(), Error> {
    let args = [&["download"], PACKAGES].concat();
    // The lists may be as old as the image; they are fetched anew only if they name versions that are gone.
    image::apt_get(step, folder, inside, &args).or_else(|_| {
        image::apt_get(step, folder, "/", &["update"])?;
        image::apt_get(step, folder, inside, &args)
    })
}
