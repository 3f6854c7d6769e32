//! `lifeboatd`: brings dead devices back.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lifeboat_agent::actor::child::act;
use lifeboat_agent::command::{self, Common, Error, check, once};
use lifeboat_agent::config;
use lifeboat_agent::daemon::{Daemon, Places};
use lifeboat_agent::survey::apart;
use lifeboat_agent::verify;
use lifeboat_recovery_policy::policy::Mode;

/// Watches devices, and brings dead ones back
///
/// Without a command the daemon stays, and writes what happens to standard output, a JSON object a line. It goes on where its journal ends, so
/// it may be ended at any moment.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Look at all devices once, and end
    #[arg(long)]
    once: bool,
    /// Write nothing, whatever the policy says
    #[arg(long)]
    observe: bool,
    /// Folder of journal and evidence
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/lifeboatd")]
    state: PathBuf,
    /// Folder of the reports of this boot
    #[arg(long, value_name = "FOLDER", default_value = "/run/lifeboatd")]
    run: PathBuf,
    /// Socket that takes events of programs, in the form of `lifeboat run --events`
    #[arg(long, value_name = "PATH")]
    inject: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the policies, and say what is wrong with them
    Check {
        #[command(flatten)]
        common: Common,
    },
    /// Take a survey, for this program itself
    #[command(name = apart::COMMAND, hide = true)]
    Survey { question: String },
    /// Verify a device, for this program itself
    #[command(name = verify::COMMAND, hide = true)]
    Verify { question: String },
}

fn main() -> ExitCode {
    // Before anything else: the process must have one thread.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "act") {
        return act::main();
    }
    let arguments = Arguments::parse();
    command::end(match arguments.command {
        Some(Command::Check { common }) => check::run(&common),
        Some(Command::Survey { question }) => serde_json::to_writer(io::stdout(), &apart::answer(&question))
            .map_err(|error| io::Error::from(error).into()),
        Some(Command::Verify { question }) => serde_json::to_writer(io::stdout(), &verify::answer(&question))
            .map_err(|error| io::Error::from(error).into()),
        None if arguments.once => once::run(&arguments.common),
        None => stay(arguments),
    })
}

fn stay(arguments: Arguments) -> Result<(), Error> {
    let Arguments { observe, state, run, inject, common, .. } = arguments;
    let mut config = config::load(&common.policies)?;
    if observe {
        config.host.mode = Mode::Observe;
    }
    let places = Places { root: common.root, state, run, inject, program: std::env::current_exe()? };
    Ok(Daemon::start(places, config).and_then(Daemon::run)?)
}
