//! The project's chores. `cargo xtask ci` is what CI runs and what README calls the tests.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod circles;
mod proof;
mod vm;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use proof::Proof;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Benchmarks, as ratios: beside named peers, or of many items to few.
    Bench(bench::Args),
    /// Run every check, as CI does.
    Ci(ci::Args),
    /// Find files that need each other in a circle.
    Circles(circles::Args),
    /// Run the tests behind each promise that the project makes, and show which are kept.
    Conformance(proof::Args),
    /// Pull the device out at every single hardware access of every call.
    Exhaust(proof::Args),
    /// Let everything happen to many devices at once, and see that nothing breaks.
    Torture(proof::Args),
    /// A Debian guest with our GPU on its PCI bus: set up, shell, tests.
    Vm(vm::Args),
}

/// The cargo that runs this, else the one on the path.
const CARGO: &str = match option_env!("CARGO") {
    Some(cargo) => cargo,
    None => "cargo",
};

/// The checkout that this was built from; the working directory may be any folder of it.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn main() -> ExitCode {
    match Args::parse().chore {
        Chore::Bench(args) => bench::run(&args),
        Chore::Ci(args) => ci::run(&args),
        Chore::Circles(args) => circles::run(&args),
        Chore::Conformance(args) => Proof::Conformance.run(&args),
        Chore::Exhaust(args) => Proof::Exhaust.run(&args),
        Chore::Torture(args) => Proof::Torture.run(&args),
        Chore::Vm(args) => vm::run(&args),
    }
}
