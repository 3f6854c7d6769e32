//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exhaust::{Choice, Mode, Search};
use crate::pace::Flavour;

/// A Debian guest whose GPU can really be unplugged, and tests of the driver in it.
///
/// Everything is kept in the folder target/vm, or the one that the variable `LIFEBOAT_VM_DIR` names. Takes root, `mmdebstrap`,
/// and a network for the first time.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask vm", bin_name = "cargo xtask vm")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make all that a guest needs, as far as it is missing
    Setup(SetupArgs),
    /// Set up, build, and run tests
    Test(TestArgs),
    /// Set up, build, and measure in one guest, beside what its kernel has: ratios and no verdicts
    Bench(BenchArgs),
    /// Set up, build, and lose the device at every hardware access of every call, in one guest
    Exhaust(ExhaustArgs),
    /// A prompt in a guest with the GPU in its slot; Ctrl-A X ends it, Ctrl-A C is QEMU's monitor
    Shell(KernelArgs),
    /// Remove the folder, and nothing outside it
    Clean,
}

/// Which kernel the guest runs.
#[derive(Debug, Clone, Copy, Args)]
pub struct KernelArgs {
    /// Run a kernel with KASAN, lockdep and RCU checking; building it takes a quarter of an hour, once
    #[arg(long)]
    debug_kernel: bool,
}

impl KernelArgs {
    /// The kernel chosen.
    pub fn flavour(self) -> Flavour {
        if self.debug_kernel { Flavour::Debug } else { Flavour::Stock }
    }
}

/// What to set up.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Which kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// First lock the newest kernel that Debian offers completely, in vm/kernel.lock
    #[arg(long)]
    pub newest: bool,
}

/// Which tests, and how.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The tests to run; all if none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Which kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Also write the report into this file; with --list, the list
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// List the tests, what they show and which promises they prove
    #[arg(long)]
    pub list: bool,
    /// How many guests run at a time
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub jobs: usize,
    /// Keep logs and traces of tests that pass as well
    #[arg(long)]
    pub keep: bool,
}

/// Which points.
#[derive(Debug, Args)]
#[command(after_help = EXHAUST_HELP)]
pub struct ExhaustArgs {
    /// Which kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// How many points to run, chosen from every call, mode and position of the race switch in turn
    #[arg(long, value_name = "K", default_value_t = 200, conflicts_with = "all")]
    pub points: usize,
    /// What decides which points are chosen [default: a new one, shown in the report]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Run every point
    #[arg(long)]
    pub all: bool,
    /// Whether calls run past their entry check
    #[arg(long, value_enum, default_value_t = Race::Both)]
    pub race: Race,
    /// Only what happens to the device in this way; may be given several times
    #[arg(long, value_enum)]
    pub mode: Vec<Mode>,
    /// Only this call, or `bind` or `unbind`
    #[arg(long, value_name = "NAME")]
    pub call: Option<String>,
    /// Only at this access of the call, counted from 1
    #[arg(long, value_name = "N", requires = "call", conflicts_with_all = ["points", "all"], value_parser = clap::value_parser!(u64).range(1..))]
    pub at: Option<u64>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

const EXHAUST_HELP: &str = "\
Each failure is printed with the arguments that repeat it.

Exit codes: 0 every point was as it must be; 1 one was not, or the search was interrupted; 2 there is no such call, or it has no such access.";

/// The module's switch that lets calls run past the check that the device is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Race {
    /// Calls are checked, as they are in use
    Off,
    /// They are not
    On,
    /// Once so and once so
    Both,
}

impl ExhaustArgs {
    /// What is to be searched.
    pub fn search(&self) -> Search {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
        Search {
            call: self.call.clone(),
            at: self.at,
            modes: if self.mode.is_empty() { Mode::ALL.to_vec() } else { self.mode.clone() },
            races: match self.race {
                Race::Off => vec![false],
                Race::On => vec![true],
                Race::Both => vec![false, true],
            },
            choice: if self.all || self.at.is_some() {
                Choice::All
            } else {
                Choice::Some { points: self.points, seed }
            },
        }
    }
}

/// What to measure, and where to put it.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Which kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Rounds of calls and of jobs
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Losses of an idle device, and as many of a busy one
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub losses: u32,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
