//! `lifeboatd`: brings dead devices back.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lifeboat_agent::actor::child::act;
use lifeboat_agent::command::{self, Common, Error, check, once};
use lifeboat_agent::survey::apart;

/// Watches devices, and brings dead ones back
///
/// This version looks once (`--once`), and writes nothing: the daemon that stays is being built.
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
        None if arguments.once => once::run(&arguments.common),
        None => Err(Error::Request("this version looks once: give --once (and see --help)".into())),
    })
}
