//! The command that `cargo xtask torture`, `exhaust` and `conformance` run.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use lifeboat_cli::exit::Exit;
use lifeboat_cli::interrupt::Interrupt;
use lifeboat_cli::output::{complain, print, print_report, tell};
use lifeboat_proof::args::{self, Command, ConformanceArgs};
use lifeboat_proof::exhaust::ExhaustArgs;
use lifeboat_proof::torture::TortureArgs;
use lifeboat_proof::{conformance, exhaust, torture};

fn main() -> ExitCode {
    // Before anything else: from here on each signal is heard, and the first one is enough.
    let interrupt = match Interrupt::by_signals() {
        Ok(interrupt) => interrupt,
        Err(error) => return complain(&error, Exit::Failed).into(),
    };
    let exit = match args::parse(std::env::args_os()) {
        Ok(Command::Conformance(args)) => check_promises(&args, &interrupt),
        Ok(Command::Exhaust(args)) => pull_everywhere(&args, &interrupt),
        Ok(Command::Torture(args)) => torture_devices(&args, &interrupt),
        Err(outcome) => tell(&outcome),
    };
    exit.into()
}

fn check_promises(args: &ConformanceArgs, interrupt: &Interrupt) -> Exit {
    match conformance::conformance(args, interrupt) {
        Ok(answer) => match print(&answer.text) {
            Ok(()) => {
                // Nobody can be told that standard error is closed.
                let _ = io::stderr().lock().write_all(answer.remarks.as_bytes());
                answer.exit
            }
            Err(error) => {
                complain(&format!("the table could not be written to standard output: {error}"), Exit::Failed)
            }
        },
        Err(error) => complain(&error, error.exit()),
    }
}

fn pull_everywhere(args: &ExhaustArgs, interrupt: &Interrupt) -> Exit {
    let report = match exhaust::exhaust(args, interrupt) {
        Ok(report) => report,
        Err(error) => return complain(&error, error.exit()),
    };
    match print_report(&report, args.json) {
        Ok(()) => report.exit(),
        Err(error) => complain(&format!("the report could not be written to standard output: {error}"), Exit::Failed),
    }
}

fn torture_devices(args: &TortureArgs, interrupt: &Interrupt) -> Exit {
    let report = match torture::torture(args, interrupt) {
        Ok(report) => report,
        Err(error) => return complain(&error, error.exit()),
    };
    match print_report(&report, args.json) {
        Ok(()) => report.exit(),
        Err(error) => complain(&format!("the report could not be written to standard output: {error}"), Exit::Failed),
    }
}
