//! Subcommands for developers: in a checkout they hand over to `cargo xtask`, which builds what they need.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::exit::Exit;

/// The manifest that only a checkout of Lifeboat has, by its path from the root.
const MANIFEST: &str = "crates/proof/Cargo.toml";
/// A line of that manifest that no other project has.
const PACKAGE: &str = "name = \"lifeboat-proof\"";

/// Arguments that are handed over as they are.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ForwardArgs {
    /// Arguments of `cargo xtask`'s chore of the same name; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// Reasons why nothing was handed over. The text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The working directory is in no checkout.
    #[error(
        "`lifeboat {0}` is for developers and runs in a checkout of Lifeboat: change into one and run `cargo xtask {0}`"
    )]
    NoCheckout(String),
    /// The system refused to tell the working directory, or to start cargo.
    #[error("cargo cannot be started: {0}; `cargo xtask` needs a Rust toolchain")]
    System(#[from] io::Error),
}

impl ForwardError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoCheckout(_) => Exit::BadInput,
            Self::System(_) => Exit::Failed,
        }
    }
}

/// Becomes `cargo xtask NAME ARGS` in the checkout around the working directory: signals and the exit code are those of
/// that command. Returns only if there is no such command.
pub fn to_checkout(name: &str, args: &ForwardArgs) -> ForwardError {
    let root = match std::env::current_dir() {
        Ok(folder) => checkout_around(&folder),
        Err(error) => return error.into(),
    };
    let Some(root) = root else { return ForwardError::NoCheckout(name.to_owned()) };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).args(["xtask", name]).args(&args.args).current_dir(root).exec().into()
}

/// The root of the checkout that `folder` is in.
fn checkout_around(folder: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| {
        std::fs::read_to_string(folder.join(MANIFEST)).is_ok_and(|text| text.lines().any(|line| line == PACKAGE))
    };
    folder.ancestors().find(is_root).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_is_found_from_any_folder_of_it() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = checkout_around(&here.join("src/run")).unwrap();
        assert!(root.join("xtask/Cargo.toml").is_file() && here.starts_with(&root), "{root:?}");
        assert_eq!(checkout_around(Path::new("/")), None);
    }
}
