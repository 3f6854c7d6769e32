//! `cargo xtask torture`, `exhaust`, `conformance`: hand over to `lifeboat-proof`, which does all of it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use crate::{CARGO, root};

/// Options of the three chores.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Arguments of the proof; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// A way to prove what is promised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Torture,
    Exhaust,
    Conformance,
}

impl Proof {
    /// Becomes the proof: signals and the exit code are those of `lifeboat-proof`.
    pub(crate) fn run(self, args: &Args) -> ExitCode {
        match self.command() {
            Ok(mut command) => {
                let error = command.args(&args.args).exec();
                eprintln!("cannot start {}: {error}", command.get_program().display());
                ExitCode::FAILURE
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// The command without arguments, which are still to come.
    ///
    /// # Errors
    /// The tests do not build; in words.
    pub(crate) fn command(self) -> Result<Command, String> {
        match self {
            Self::Torture => Ok(optimised("torture")),
            Self::Exhaust => Ok(optimised("exhaust")),
            Self::Conformance => built_with_tests("conformance"),
        }
    }
}

/// A release build: these run for as long as they are given.
fn optimised(name: &str) -> Command {
    let mut command = Command::new(CARGO);
    command.args(["run", "--release", "--locked", "--quiet", "--package", "lifeboat-proof", "--", name]);
    command
}

/// The program that `cargo test --workspace` builds beside the tests. `cargo run` would build the crates once more, with the
/// features that this one package wants of them.
fn built_with_tests(name: &str) -> Result<Command, String> {
    let mut tests = Command::new(CARGO);
    // Executables are listed on standard error, progress too; the user sees both.
    let built = tests.args(["test", "--workspace", "--locked", "--no-run", "--quiet"]).status();
    match built {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("the tests do not build ({status}): cargo says above why")),
        Err(error) => return Err(format!("cannot start cargo: {error}")),
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut command = Command::new(target.join("debug/lifeboat-proof"));
    command.arg(name);
    Ok(command)
}

/// Runs a proof with these arguments to its end, as a stage of CI does.
///
/// # Errors
/// Nothing was run; in words.
pub(crate) fn status(proof: Proof, args: &[&str]) -> Result<ExitStatus, String> {
    proof.command()?.args(args).status().map_err(|error| format!("cannot start: {error}"))
}
