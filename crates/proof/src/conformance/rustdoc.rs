//! A rustdoc that holds each example to the error it names.
//!
//! To a stable rustdoc `compile_fail,E0382` is kept by any error, so that a renamed method would make a proof of nothing. It does look at
//! the code if it is told to be what the compiler's own build is; a stable compiler takes no notice of that but for this.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const SCRIPT: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec \"$LIFEBOAT_RUSTDOC\" \"$@\"\n";

/// The folder exists until this value is dropped.
#[derive(Debug)]
pub(super) struct Rustdoc {
    folder: TempDir,
    /// Flags that the user set for rustdoc.
    real: OsString,
}

impl Rustdoc {
    /// A program in the place of rustdoc: the variable cannot be set for cargo, which would build everything again.
    pub(super) fn new() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("rustdoc"), SCRIPT)?;
        fs::set_permissions(folder.path().join("rustdoc"), fs::Permissions::from_mode(0o755))?;
        let real = std::env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into());
        Ok(Self { folder, real })
    }

    /// Makes a cargo use it.
    pub(super) fn set(&self, cargo: &mut Command) {
        let path: &Path = self.folder.path();
        cargo.env("RUSTDOC", path.join("rustdoc")).env("LIFEBOAT_RUSTDOC", &self.real);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conformance::process::{Stderr, run};
    use lifeboat_cli::interrupt::Interrupt;

    /// Whether it accepts an example that does not compile because of E0308.
    fn accepts(error: &str) -> bool {
        let (rustdoc, folder) = (Rustdoc::new().unwrap(), tempfile::tempdir().unwrap());
        let source = format!("//! ```compile_fail,{error}\n//! let number: u32 = \"text\";\n//! ```\n");
        fs::write(folder.path().join("lib.rs"), source).unwrap();
        let mut command = Command::new("sh");
        rustdoc.set(command.args(["-c", "exec \"$RUSTDOC\" --test lib.rs"]).current_dir(folder.path()));
        let finished = run(&mut command, Stderr::Kept, Duration::from_mins(1), &Interrupt::default()).unwrap();
        assert!(finished.stdout.contains("running 1 test"), "{finished:?}");
        finished.answer().is_ok()
    }

    #[test]
    fn an_example_fails_for_the_reason_that_it_names_or_is_no_proof() {
        assert!(accepts("E0308"));
        assert!(!accepts("E0382"));
    }
}
