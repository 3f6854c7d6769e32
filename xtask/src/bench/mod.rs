//! Benchmarks with named peers in the same run, as ratios: `cargo xtask bench sync`, `cargo xtask
//! bench sched`. And what one item costs among few and among many: `cargo xtask bench growth`, of
//! the module `growth`.
//!
//! Criterion measures (`cargo bench`); this reads what it left, and makes a table, a picture or JSON of it. Figures of
//! two runs or two machines are not to be compared; ratios of one run are.

mod chart;
mod growth;
mod measured;
mod table;

use std::path::Path;
use std::process::{Command, ExitCode};

use measured::Measured;

use crate::CARGO;

/// A crate's benchmarks, and what of them is ours.
struct Suite {
    name: &'static str,
    package: &'static str,
    /// The crate's benchmarks that criterion measures.
    benches: &'static [&'static str],
    /// The crate's folder, with a README that has the markers of [`table`].
    folder: &'static str,
    /// Groups of criterion's, with what they are called in the table.
    groups: &'static [Group],
}

/// Benchmarks that are compared with one another.
struct Group {
    id: &'static str,
    title: &'static str,
    /// What its benchmarks are run with different numbers of, if they are.
    counts: &'static str,
    /// What is ours, by criterion's names. All others are peers, the floor among them.
    ours: &'static [&'static str],
    /// What the ratios in the table are to.
    beside: &'static [&'static str],
}

const SYNC: Suite = Suite {
    name: "sync",
    package: "lifeboat-sync",
    benches: &["sections", "revoke"],
    folder: "crates/sync",
    groups: &[
        Group {
            id: "sections",
            title: "To begin and end a section",
            counts: "threads",
            ours: &[
                "Revocable::try_access_with",
                "Revocable::try_access_by",
                "Revocable::try_access",
                "Revocable::access",
                "Gate::run",
                "Gate::enter",
                "lint::Mutex, lint off",
            ],
            beside: &["floor", "crossbeam-epoch pin", "std RwLock read"],
        },
        Group {
            id: "revoke",
            title: "To take away",
            counts: "threads",
            ours: &["no reader", "1,000 idle readers", "after the last section"],
            beside: &["membarrier"],
        },
    ],
};

const SCHED: Suite = Suite {
    name: "sched",
    package: "lifeboat",
    benches: &["sched_core", "sched_shell"],
    folder: "crates/lifeboat",
    groups: &[
        Group {
            id: "sched_round_trip",
            title: "One job there and back: submitted, run, its waiter woken",
            counts: "threads",
            ours: &["submit and wait"],
            beside: &["crossbeam-channel ping-pong", "crossbeam-channel to workers", "rayon spawn", "tokio spawn"],
        },
        Group {
            id: "sched_throughput",
            title: "A job of a batch of 1,000",
            counts: "threads",
            ours: &[
                "submit each, wait for the last",
                "submit_all, wait for the last",
                "submit_all, three batches ahead",
            ],
            beside: &["crossbeam-channel one way", "crossbeam-channel to workers", "rayon spawn", "tokio spawn"],
        },
        Group {
            id: "sched_overhead",
            title: "A job of a thousand that take the ring a millisecond each",
            counts: "threads",
            ours: &["one queue", "ping-pong"],
            beside: &["ideal", "crossbeam-channel to a worker, one by one"],
        },
        Group {
            id: "sched_core",
            title: "The core alone: a job's whole life, with others pending",
            counts: "pending",
            ours: &[
                "submit to release, 1 queue, 1 ring",
                "submit to release, 64 queues, 1 ring",
                "submit to release, 64 queues, 8 rings",
                "submit to release, 1024 queues, 8 rings",
            ],
            beside: &["VecDeque push and pop", "crossbeam-channel send and receive"],
        },
        Group {
            id: "sched_retire",
            title: "The core alone: a loss, for each job that was pending",
            counts: "pending",
            ours: &["retire, 1 queue, 1 ring", "retire, 1024 queues, 8 rings"],
            beside: &["VecDeque drained"],
        },
    ],
};

const SUITES: &[Suite] = &[SYNC, SCHED];
/// The suite that has no peers.
const GROWTH: &str = "growth";

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which benchmarks. `sync` and `sched` stand beside named peers; `growth` shows what one item
    /// costs among n, 2n, 4n and 8n, for everything that users can make more of.
    #[arg(value_parser = SUITES.iter().map(|suite| suite.name).chain([GROWTH]).collect::<Vec<_>>())]
    suite: String,
    /// Print rows `{name, threads, ns, peer_ratio: {peer: x}}` as JSON; x is the cost as a part of the peer's. What is
    /// counted is `threads` or `pending`. Of `growth`, rows `{name, items, ns, growth, left}`:
    /// nanoseconds an item for each number of items, the last of these divided by the first, and
    /// bytes an item that stayed.
    #[arg(long)]
    json: bool,
    /// Put the table into the crate's README and draw its picture. Not with `growth`.
    #[arg(long)]
    write: bool,
    /// Do not measure; use what the last run left. Not with `growth`.
    #[arg(long)]
    again: bool,
}

/// Measures and shows.
pub(crate) fn run(args: &Args) -> ExitCode {
    let result = match SUITES.iter().find(|suite| suite.name == args.suite) {
        Some(suite) => suite.run(args),
        None if args.write || args.again => Err("`growth` leaves nothing to be written or shown again".to_owned()),
        None => growth::run(args.json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Suite {
    fn run(&self, args: &Args) -> Result<(), String> {
        if !args.again {
            self.measure()?;
        }
        let groups = self.groups.iter().map(|group| Ok((group, measured::read(group.id)?)));
        let groups = groups.collect::<Result<Vec<_>, String>>()?;
        if args.write {
            let folder = Path::new(self.folder);
            table::write(&folder.join("README.md"), &groups)?;
            let sections = groups.first().ok_or("a suite without groups")?;
            chart::write(&folder.join("cost.svg"), sections.0, &sections.1)?;
        }
        if args.json {
            println!("{}", table::json(&groups));
        } else {
            println!("{}", table::markdown(&groups));
        }
        Ok(())
    }

    /// Criterion shows its progress on standard output, which is the result's here.
    fn measure(&self) -> Result<(), String> {
        // What an older version measured is no peer.
        for group in self.groups {
            measured::forget(group.id)?;
        }
        let mut command = Command::new(CARGO);
        command.args(["bench", "--locked", "--package", self.package]).stdout(std::io::stderr());
        for bench in self.benches {
            command.args(["--bench", bench]);
        }
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the benchmarks failed: {status}")),
            Err(error) => Err(format!("cannot start cargo: {error}")),
        }
    }
}

impl Group {
    /// All that is not ours.
    fn peers<'a>(&self, all: &'a [Measured]) -> impl Iterator<Item = &'a Measured> {
        let ours = self.ours;
        all.iter().filter(move |row| !ours.contains(&row.name.as_str()))
    }
}
