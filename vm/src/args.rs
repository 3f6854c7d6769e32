//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exhaust::{Choice, Mode, Search};
use crate::faults::Kind;
use crate::faults::kind::ALL;
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
    /// Set up, build, and make random calls in one guest, most of them good, while its device is lost now and then
    Fuzz(FuzzArgs),
    /// Set up, build, and have clients of every kind use one guest's device, while faults of all kinds happen to it
    Torture(TortureArgs),
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

Exit codes: 0 every point was as it must be; 1 one was not, or the search was interrupted; 2 there is no such call.";

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

const AFTER_FUZZ: &str = "\
Threads of one program share files, buffers, contexts, fences and maps, and make calls with them: all of the driver's own, and those of \
the kernel's that meet it. Three of four calls are as they should be; of the others one thing is wrong: a size, a flag, an address, a \
number, a bit. In the last two thirds of the time the device is unbound, removed, or falls off the bus, and returns.

A call that must be refused and is not, an errno that a call does not have, a call that does not end, a signal that ends the program, a \
word of complaint in the kernel's log, memory or holders that are left at the end: each is a failure. What each thread does is decided by \
the seed and its number; not when, nor what the device does meanwhile. With --threads 1 --no-losses the same calls come in the same order.

Exit codes: 0 nothing was wrong; 1 something was.";

/// How to make random calls.
#[derive(Debug, Args)]
#[command(after_help = AFTER_FUZZ)]
pub struct FuzzArgs {
    /// Which kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Seed of everything that is left to chance [default: a new one, shown in the report]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long, in seconds
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Threads that make calls
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub threads: u32,
    /// Leave the device where it is
    #[arg(long)]
    pub no_losses: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

const AFTER_TORTURE: &str = "\
A cycle is one fault and the full return of the device. Clients submit jobs and check each word of the results, wait in every way \
there is, map, open, share, and call everything; they go on until they have seen the device lost, or until it has survived the fault. \
Then every fence has ended, nothing refers to a device any more, the GPU has witnessed no mistake, the kernel's log has no complaint, \
and the device that returns works. The seed decides in which order faults happen, when, and what clients do; not when threads run.

Exit codes: 0 everything was right; 1 something was not.";

/// How to torture.
#[derive(Debug, Args)]
#[command(after_help = AFTER_TORTURE)]
pub struct TortureArgs {
    /// Which kernel.
    #[command(flatten)]
    pub kernel: KernelArgs,
    /// Seed of everything that is left to chance [default: a new one, shown in the report]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long, in minutes
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub minutes: u64,
    /// Only faults of this kind; may be given several times
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub fault: Vec<Kind>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    let found = ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
    found.ok_or_else(|| format!("the kinds are {}", ALL.map(|(_, name)| name).join(", ")))
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
