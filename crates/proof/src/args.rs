//! The command line of the proofs.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use lifeboat_cli::usage::{self, Outcome};

use crate::conformance::Wanted;
use crate::exhaust::ExhaustArgs;
use crate::torture::TortureArgs;

/// Proves what Lifeboat promises.
#[derive(Debug, Parser)]
#[command(name = "lifeboat-proof", bin_name = "cargo xtask", version, arg_required_else_help = true)]
struct Cli {
    /// The proof to run.
    #[command(subcommand)]
    command: Command,
}

/// The subcommands.
#[derive(Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Pull the device out at every single hardware access of every call
    Exhaust(ExhaustArgs),
    /// Let everything happen to many devices at once, and see that nothing breaks
    Torture(TortureArgs),
    /// Run the tests behind each promise that the project makes, and show which are kept
    Conformance(ConformanceArgs),
}

const CONFORMANCE_AFTER_HELP: &str = "\
The promises are those of docs/conformance.md that are proven in the hosted stack (H) or by the daemon's tests (agent); with --kernel also \
those that are proven in a guest (K, guest; docs/vm.md says what that takes). A test proves the promises that its name gives \
(CONTRIBUTING.md says how). --id CASE shows the acceptance cases of the daemon. The command runs in a checkout of Lifeboat and builds its tests first, which takes minutes if \
nothing is built yet. Each test executable runs once, with all tests that are asked for; a test that did not run has not passed.

--json prints one object: {\"rows\":[{\"id\",\"promise\",\"proof\",\"test\",\"result\",\"ms\",\"tests\":[{\"name\",\"target\",\"result\",\"ms\"}]}],\
\"summary\":{..}}. A result is pass, fail, missing, or untested where the table says that there is no test yet; test is the one that decides it, \
and ms what all tests of the promise took. With --kernel a row has the same of the guest's tests in \"guest\"; what is proven in one \
of the two alone has nothing in the other.

Exit codes: 0 every promise is kept, or has no test yet; 1 one is not, or has lost its tests, or a test fails, or the tests do not build; 2 an argument is not usable, or \
there is no checkout here; 130 interrupted.";

/// Arguments of `lifeboat conformance`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = CONFORMANCE_AFTER_HELP)]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct ConformanceArgs {
    /// Only this promise, or this group of them; may be given several times. Examples: GATE-4   LIFE
    #[arg(long, value_name = "ID")]
    pub id: Vec<Wanted>,

    /// Run every test of the workspace, not only those of promises; the exit code is 1 if any fails
    #[arg(long, conflicts_with_all = ["id", "list"])]
    pub all: bool,

    /// Show the promises and the names of their tests, and run none
    #[arg(long)]
    pub list: bool,

    /// Also run the tests in the guest, and show what is kept there (K, guest) beside what is kept in processes (H, agent)
    #[arg(long, conflicts_with = "all")]
    pub kernel: bool,

    /// With --kernel: boot the kernel with KASAN and lockdep, which alone shows what its checkers report
    #[arg(long, requires = "kernel")]
    pub debug_kernel: bool,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,

    /// How long a test executable may go without the end of a test before it is killed and its tests have failed, 1s to 1h
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = timeout)]
    pub timeout: Duration,

    /// Show no progress, neither here nor of cargo
    #[arg(long, short)]
    pub quiet: bool,
}

/// Reads the command line, program name first.
///
/// # Errors
/// Help and version, which were asked for, and everything that is not a valid command.
pub fn parse(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Command, Outcome> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let cli = Cli::try_parse_from(&args).map_err(|error| usage::outcome(&error, subcommand(&args)))?;
    Ok(cli.command)
}

/// The command whose help answers a question about these arguments.
fn subcommand(args: &[OsString]) -> &'static str {
    match args.get(1).and_then(|arg| arg.to_str()) {
        Some("conformance") => "cargo xtask conformance",
        Some("exhaust") => "cargo xtask exhaust",
        Some("torture") => "cargo xtask torture",
        _ => "cargo xtask",
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    const ADVICE: &str = "give a time from 1s to 1h, such as 2m";
    let timeout = humantime::parse_duration(text).map_err(|error| format!("{error}; {ADVICE}"))?;
    let allowed = Duration::from_secs(1)..=Duration::from_hours(1);
    if allowed.contains(&timeout) { Ok(timeout) } else { Err(ADVICE.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn wrong(args: &[&str]) -> String {
        match parse([&["lifeboat-proof"], args].concat()) {
            Err(Outcome::Wrong(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn each_error_says_what_to_do_and_points_to_its_help() {
        for (args, says, help) in [
            (&["conformance", "--id", "gate 4"][..], "give a promise, such as GATE-4, or a group", "conformance"),
            (&["conformance", "--timeout", "1ms"], "give a time from 1s to 1h", "conformance"),
            (&["exhaust", "--mode", "flood"], "[possible values: unplug", "exhaust"),
            (&["torture", "--cycles", "0"], "0 is not in 1..", "torture"),
        ] {
            let line = wrong(args);
            assert!(line.contains(says) && line.ends_with(&format!("; see `cargo xtask {help} --help`")), "{line}");
        }
    }

    #[test]
    fn help_is_that_of_the_chore() {
        let Err(Outcome::Help(text)) = parse(["lifeboat-proof", "exhaust", "--help"]) else { panic!() };
        assert!(text.contains("cargo xtask exhaust"), "{text}");
    }
}
