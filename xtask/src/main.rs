//! The project's chores. `cargo xtask ci` is what CI runs and what README calls the tests.
#![forbid(unsafe_code)]

mod ci;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every check, as CI does.
    Ci(ci::Args),
}

fn main() -> ExitCode {
    match Args::parse().chore {
        Chore::Ci(args) => ci::run(&args),
    }
}
