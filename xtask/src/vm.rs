//! `cargo xtask vm`: hands over to `lifeboat-vm`, which does all of it.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// How `lifeboat-vm` says that this host cannot have a guest (sysexits' `EX_UNAVAILABLE`).
pub(crate) const UNAVAILABLE: i32 = 69;

/// Options of `cargo xtask vm`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What to do; `--help` lists it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs it and passes its exit code on.
pub(crate) fn run(args: &Args) -> ExitCode {
    match command().args(&args.args).status() {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("cannot start cargo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The command without arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(crate::CARGO);
    command.args(["run", "--release", "--locked", "--quiet", "--package", "lifeboat-vm", "--"]);
    command
}
