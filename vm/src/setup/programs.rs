//! Our own programs that take part: the `lifeboat` command, on the host and in the guest; the first process in the guest.

use std::path::PathBuf;

use escargot::{CargoBuild, CargoRun};

use super::Error;

/// Where programs of the guest must run: nothing but a kernel there, so they are linked statically.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the `lifeboat` command and returns its path.
///
/// # Errors
/// If it does not compile.
pub(super) fn lifeboat() -> Result<PathBuf, Error> {
    built("lifeboat-cli", "lifeboat")
}

/// Builds the guest's first process and returns its path.
///
/// # Errors
/// If it does not compile.
pub(super) fn guest() -> Result<PathBuf, Error> {
    built("lifeboat-guest", "lifeboat-guest")
}

fn built(package: &str, program: &str) -> Result<PathBuf, Error> {
    let manifest = super::repository().join("Cargo.toml");
    let build = CargoBuild::new().manifest_path(manifest).package(package).bin(program).release().args(["--locked"]);
    path(build.target(GUEST_TARGET).env("RUSTFLAGS", "-C target-feature=+crt-static").run())
}

fn path(built: Result<CargoRun, escargot::error::CargoError>) -> Result<PathBuf, Error> {
    built.map(|program| program.path().to_owned()).map_err(|error| Error::Program(error.to_string()))
}
