//! The `lifeboat` command.
#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use lifeboat_cli::args::{Command, ReportFormat, RunArgs};
use lifeboat_cli::dump::{DumpCommand, ShowArgs};
use lifeboat_cli::exit::Exit;
use lifeboat_cli::gpu::args::{CtlArgs, GpuCommand, ServeArgs};
use lifeboat_cli::interrupt::Interrupt;
use lifeboat_cli::output::{complain, print, print_report, tell};
use lifeboat_cli::{calls, dump, forward, gpu, run, usage};

fn main() -> ExitCode {
    // Before anything else: from here on each signal is heard, and the first one is enough.
    let interrupt = match Interrupt::by_signals() {
        Ok(interrupt) => interrupt,
        Err(error) => return complain(&error, Exit::Failed).into(),
    };
    let exit = match usage::parse(std::env::args_os()) {
        Ok(Command::Run(args)) => run_and_report(&args, &interrupt),
        Ok(Command::Gpu(GpuCommand::Serve(args))) => serve(&args, &interrupt),
        other => {
            // These only read and print: there is nothing to put in order.
            interrupt.on_request(|| std::process::exit(i32::from(Exit::Interrupted as u8)));
            match other {
                Ok(Command::Calls(args)) => show_calls(args.json),
                Ok(Command::Torture(args)) => proof("torture", &args),
                Ok(Command::Exhaust(args)) => proof("exhaust", &args),
                Ok(Command::Conformance(args)) => proof("conformance", &args),
                Ok(Command::Dump(DumpCommand::Show(args))) => show_dump(&args),
                Ok(Command::Gpu(GpuCommand::Ctl(args))) => control(&args),
                Err(outcome) => tell(&outcome),
                // The subcommands that the arms above handle.
                Ok(_) => Exit::Failed,
            }
        }
    };
    exit.into()
}

fn show_calls(json: bool) -> Exit {
    match calls::text(json).map_err(io::Error::from).and_then(|text| print(&text)) {
        Ok(()) => Exit::Success,
        Err(error) => complain(&format!("the table could not be written to standard output: {error}"), Exit::Failed),
    }
}

/// Hands over to the developers' command of this name.
fn proof(name: &str, args: &forward::ForwardArgs) -> Exit {
    // Returns only if nothing was started.
    let error = forward::to_checkout(name, args);
    complain(&error, error.exit())
}

fn show_dump(args: &ShowArgs) -> Exit {
    match dump::show(args) {
        Ok(text) => match print(&text) {
            Ok(()) => Exit::Success,
            Err(error) => complain(&format!("the dump could not be written to standard output: {error}"), Exit::Failed),
        },
        Err(error) => complain(&error, Exit::BadInput),
    }
}

fn serve(args: &ServeArgs, interrupt: &Interrupt) -> Exit {
    match gpu::serve::serve(args, interrupt, print) {
        Ok(()) => Exit::Success,
        Err(error) => complain(&error, error.exit()),
    }
}

fn control(args: &CtlArgs) -> Exit {
    match gpu::ctl::ask(args) {
        Ok(answer) => match print(&answer.text) {
            Ok(()) => answer.exit,
            Err(error) => {
                complain(&format!("the answer could not be written to standard output: {error}"), Exit::Failed)
            }
        },
        Err(error) => complain(&error, Exit::Failed),
    }
}

fn run_and_report(args: &RunArgs, interrupt: &Interrupt) -> Exit {
    let report = match run::run(args, interrupt) {
        Ok(report) => report,
        Err(error) => return complain(&error, error.exit()),
    };
    match print_report(&report, args.report == ReportFormat::Json) {
        Ok(()) => report.verdict().exit(),
        Err(error) => complain(&format!("the report could not be written to standard output: {error}"), Exit::Failed),
    }
}
