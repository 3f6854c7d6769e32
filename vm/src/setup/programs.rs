//! Our own programs that take part: the `lifeboat` command on the host, the first process in the guest.

use std::path::PathBuf;

use escargot::{CargoBuild, CargoRun};

use super::Error;

/// Where a guest's first process must run: nothing but a kernel there, so it is linked statically.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the `lifeboat` command and returns its path.
///
/// # Errors
/// If it does not compile.
pub(super) fn lifeboat() -> Result<PathBuf, Error> {
    path(build("lifeboat-cli", "lifeboat").run())
}

/// Builds the guest's first process and returns its path.
///
/// # Errors
/// If it does not compile.
pub(super) fn guest() -> Result<PathBuf, Error> {
    let build = build("lifeboat-guest", "lifeboat-guest").target(GUEST_TARGET);
    path(build.env("RUSTFLAGS", "-C target-feature=+crt-static").run())
}

fn build(package: &str, program: &str) -> CargoBuild {
    let manifest = super::repository().join("Cargo.toml");
    CargoBuild::new().manifest_path(manifest).package(package).bin(program).release().args(["--locked"])
}

fn path(built: Result<CargoRun, escargot::error::CargoError>) -> Result<PathBuf, Error> {
    built.map(|program| program.path().to_owned()).map_err(|error| Error::Program(error.to_string()))
}
