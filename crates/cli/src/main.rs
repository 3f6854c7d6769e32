//! The `lifeboat` command.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use lifeboat_cli::args::{Command, ConformanceArgs, ReportFormat, RunArgs};
use lifeboat_cli::dump::{DumpCommand, ShowArgs};
use lifeboat_cli::exhaust::ExhaustArgs;
use lifeboat_cli::exit::Exit;
use lifeboat_cli::gpu::args::{CtlArgs, GpuCommand, ServeArgs};
use lifeboat_cli::interrupt::Interrupt;
use lifeboat_cli::torture::TortureArgs;
use lifeboat_cli::usage::Outcome;
use lifeboat_cli::{calls, conformance, dump, exhaust, gpu, run, torture, usage};
use serde::Serialize;

fn main() -> ExitCode {
    // Before anything else: from here on each signal is heard, and the first one is enough.
    let interrupt = match interruptible() {
        Ok(interrupt) => interrupt,
        Err(error) => return complain(&error, Exit::Failed).into(),
    };
    let exit = match usage::parse(std::env::args_os()) {
        Ok(Command::Run(args)) => run_and_report(&args, &interrupt),
        Ok(Command::Conformance(args)) => check_promises(&args, &interrupt),
        Ok(Command::Exhaust(args)) => pull_everywhere(&args, &interrupt),
        Ok(Command::Torture(args)) => torture_devices(&args, &interrupt),
        Ok(Command::Gpu(GpuCommand::Serve(args))) => serve(&args, &interrupt),
        other => {
            // These only read and print: there is nothing to put in order.
            interrupt.on_request(|| std::process::exit(i32::from(Exit::Interrupted as u8)));
            match other {
                Ok(Command::Calls(args)) => show_calls(args.json),
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

/// Gives what was asked for, or says what is wrong.
fn tell(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Help(text) => match print(text) {
            Ok(()) => Exit::Success,
            Err(error) => complain(&format!("the help could not be written to standard output: {error}"), Exit::Failed),
        },
        Outcome::Wrong(line) => complain(line, Exit::BadInput),
    }
}

fn show_calls(json: bool) -> Exit {
    match calls::text(json).map_err(io::Error::from).and_then(|text| print(&text)) {
        Ok(()) => Exit::Success,
        Err(error) => complain(&format!("the table could not be written to standard output: {error}"), Exit::Failed),
    }
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

/// As one JSON object, or for people.
fn print_report(report: &(impl Serialize + Display), json: bool) -> io::Result<()> {
    if json {
        let text = serde_json::to_string_pretty(report).map_err(io::Error::from)?;
        print(&(text + "\n"))
    } else {
        print(&report.to_string())
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

/// Makes Ctrl-C and termination a request.
fn interruptible() -> Result<Interrupt, String> {
    let interrupt = Interrupt::default();
    let on_signal = interrupt.clone();
    let handled = ctrlc::set_handler(move || {
        // The first asks for all that can be asked for; later ones change nothing, so that the end is as clean.
        on_signal.request();
    });
    handled.map(|()| interrupt).map_err(|error| format!("Ctrl-C cannot be handled: {error}"))
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

/// Prints to standard output. A reader that has left, as in `lifeboat | head`, is not an error.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn complain(error: &impl ToString, exit: Exit) -> Exit {
    usage::error_line(&error.to_string());
    exit
}
