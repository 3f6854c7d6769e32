//! `lifeboatctl`: asks about devices and their recovery.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use lifeboat_agent::command::{self, Common, explain, history, simulate};

/// Asks about devices and their recovery
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the rule of a device, and what speaks for and against each of its steps
    Explain {
        /// Address of the function, such as 0000:03:00.0
        device: String,
        #[command(flatten)]
        common: Common,
    },
    /// Show what has happened, from the daemon's journal
    History {
        /// Show one device alone: its address, such as 0000:03:00.0
        device: Option<String>,
        /// Folder of the daemon's state
        #[arg(long, value_name = "FOLDER", default_value = "/var/lib/lifeboatd")]
        state: PathBuf,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Show everything that the daemon would do about a sign, without a write
    Simulate {
        /// Address of the function, such as 0000:03:00.0
        device: String,
        /// Sign, such as wedged=rebind,bus-reset, all-ones, pci-failed, xid=79 or state=nvme/dead
        #[arg(long, value_name = "SIGN")]
        signal: String,
        /// Rehearse a daemon that may act, whatever the policy's mode is
        #[arg(long)]
        act: bool,
        #[command(flatten)]
        common: Common,
    },
}

fn main() -> ExitCode {
    command::end(match Arguments::parse().command {
        Command::Explain { device, common } => explain::run(&common, &device),
        Command::History { device, state, json } => history::run(&state, device.as_deref(), json),
        Command::Simulate { device, signal, act, common } => simulate::run(&common, &device, &signal, act),
    })
}
