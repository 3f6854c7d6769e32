//! The `lifeboat-vm` command, called by `cargo xtask vm`.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lifeboat_vm::args::{BenchArgs, Cli, Command, ExhaustArgs, FuzzArgs, KernelArgs, SetupArgs, TestArgs, TortureArgs};
use lifeboat_vm::exhaust;
use lifeboat_vm::fuzz;
use lifeboat_vm::host::process::Processes;
use lifeboat_vm::host::progress::ProgressLine;
use lifeboat_vm::pace::Flavour;
use lifeboat_vm::setup::{self, Environment, Folder};
use lifeboat_vm::shell;
use lifeboat_vm::speed;
use lifeboat_vm::suite::failure::Failure;
use lifeboat_vm::suite::registry::{self, NotSelected};
use lifeboat_vm::suite::report::{TestEntry, TestReport};
use lifeboat_vm::suite::runner::{self, Options};
use lifeboat_vm::torture;
use serde::Serialize;
use thiserror::Error;

/// Why there was nothing to run.
#[derive(Debug, Error)]
enum Complaint {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    NotSelected(#[from] NotSelected),
    #[error("Ctrl-C cannot be handled: {0}")]
    Interrupts(#[from] ctrlc::Error),
    #[error(transparent)]
    Guest(#[from] Failure),
    #[error(transparent)]
    Search(#[from] exhaust::Error),
    #[error("the figures cannot be written as JSON: {0}")]
    Json(serde_json::Error),
    #[error("{path}: {error}", path = path.display())]
    Report { path: PathBuf, error: io::Error },
}

impl Complaint {
    fn exit_code(&self) -> ExitCode {
        match self {
            // sysexits' EX_UNAVAILABLE; CI tells a skipped stage by it.
            Self::Setup(error) if error.is_unavailable() => ExitCode::from(69),
            Self::NotSelected(_)
            | Self::Search(exhaust::Error::NoSuchCall { .. } | exhaust::Error::NoSuchAccess { .. }) => {
                ExitCode::from(2)
            }
            _ => ExitCode::FAILURE,
        }
    }
}

fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(complaint) => {
            eprintln!("error: {complaint}");
            complaint.exit_code()
        }
    }
}

/// `false` if a test failed.
fn perform(command: Command) -> Result<bool, Complaint> {
    match command {
        Command::Setup(args) => set_up(&args)?,
        Command::Test(args) if args.list => list(&args)?,
        Command::Test(args) => return test(&args),
        Command::Bench(args) => bench(&args)?,
        Command::Exhaust(args) => return search(&args),
        Command::Fuzz(args) => return fuzz(&args),
        Command::Torture(args) => return torture(&args),
        Command::Shell(args) => open_shell(args)?,
        Command::Clean => clean()?,
    }
    Ok(true)
}

fn folder() -> Result<Folder, setup::Error> {
    setup::check_host()?;
    Folder::open(&Folder::default_path())
}

fn set_up(args: &SetupArgs) -> Result<(), Complaint> {
    let folder = folder()?;
    if args.newest {
        setup::lock_newest(&folder)?;
    }
    setup::prepare(&folder, args.kernel.flavour())?;
    eprintln!("ready: {}", folder.join("").display());
    Ok(())
}

fn clean() -> Result<(), Complaint> {
    let path = Folder::default_path();
    if path.exists() {
        Folder::open(&path)?.clean()?;
    }
    Ok(())
}

fn list(args: &TestArgs) -> Result<(), Complaint> {
    let tests = registry::all();
    for test in &tests {
        println!("{:<28} {} [{}]", test.name, test.shows, test.proves.join(" "));
    }
    let listed: Vec<_> = tests.iter().map(TestEntry::new).collect();
    args.json.as_deref().map_or(Ok(()), |path| write_json(path, &listed))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Complaint> {
    let json = serde_json::to_string_pretty(value).map_err(io::Error::from);
    let written = json.and_then(|json| fs::write(path, json + "\n"));
    written.map_err(|error| Complaint::Report { path: path.to_owned(), error })
}

fn test(args: &TestArgs) -> Result<bool, Complaint> {
    let flavour = args.kernel.flavour();
    let tests = registry::select(&args.names, flavour)?;
    let Ready { environment, processes, .. } = &ready(flavour)?;
    let options = Options { jobs: args.jobs, keep: args.keep };
    let report = runner::run(&tests, environment, options, processes, &|test: &TestReport| println!("{test}"));
    println!("{report}");
    args.json.as_deref().map_or(Ok(()), |path| write_json(path, &report))?;
    Ok(report.passed())
}

fn bench(args: &BenchArgs) -> Result<(), Complaint> {
    let Ready { environment, processes, .. } = &ready(args.kernel.flavour())?;
    let report = speed::run(environment, speed::Rounds { calls: args.rounds, losses: args.losses }, processes)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).map_err(Complaint::Json)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

/// `false` if something was wrong.
fn search(args: &ExhaustArgs) -> Result<bool, Complaint> {
    let Ready { environment, processes, .. } = &ready(args.kernel.flavour())?;
    let report = exhaust::run(environment, &args.search(), processes)?;
    print(args.json, &report)?;
    Ok(report.passed())
}

/// `false` if something was wrong.
fn fuzz(args: &FuzzArgs) -> Result<bool, Complaint> {
    let Ready { environment, processes, .. } = &ready(args.kernel.flavour())?;
    let options = fuzz::Options {
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
        seconds: args.seconds,
        threads: args.threads,
        losses: !args.no_losses,
    };
    let told = ProgressLine::begin();
    let report = fuzz::run(options, environment, processes, &|line| told.tell(line));
    drop(told);
    print(args.json, &report)?;
    Ok(report.passed())
}

/// `false` if something was wrong.
fn torture(args: &TortureArgs) -> Result<bool, Complaint> {
    let Ready { environment, processes, .. } = &ready(args.kernel.flavour())?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut options = torture::Options::new(seed, Duration::from_mins(args.minutes));
    if !args.fault.is_empty() {
        options.kinds.clone_from(&args.fault);
    }
    let told = ProgressLine::begin();
    let report = torture::run(&options, environment, processes, &|line| told.tell(line));
    drop(told);
    print(args.json, &report)?;
    Ok(report.passed())
}

fn open_shell(kernel: KernelArgs) -> Result<(), Complaint> {
    let folder = folder()?;
    setup::prepare(&folder, kernel.flavour())?;
    let environment = setup::environment(&folder, kernel.flavour())?;
    Ok(shell::run(&environment, &Processes::default())?)
}

/// The parts that every guest needs.
struct Ready {
    environment: Environment,
    processes: Processes,
    /// Nobody else uses the folder meanwhile.
    _folder: Folder,
}

/// Sets up and builds all that a guest needs; Ctrl-C ends the guests from here on.
fn ready(flavour: Flavour) -> Result<Ready, Complaint> {
    let folder = folder()?;
    setup::prepare(&folder, flavour)?;
    let environment = setup::environment(&folder, flavour)?;
    let processes = Processes::default();
    interruptible(&processes)?;
    Ok(Ready { environment, processes, _folder: folder })
}

/// Prints a report for people, or as JSON.
fn print(json: bool, report: &(impl Serialize + Display)) -> Result<(), Complaint> {
    if json {
        println!("{}", serde_json::to_string_pretty(report).map_err(Complaint::Json)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

/// Ctrl-C and termination end all guests; the tests see that and end, and their folders go with them.
fn interruptible(processes: &Processes) -> Result<(), Complaint> {
    let processes = processes.clone();
    Ok(ctrlc::set_handler(move || processes.interrupt())?)
}
