//! Benchmarks with named peers in the same run, as ratios: `cargo xtask bench sync`.
//!
//! Criterion measures (`cargo bench`); this reads what it left, and makes a table, a picture or JSON of it. Figures of
//! two runs or two machines are not to be compared; ratios of one run are.

mod chart;
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
    /// The crate's folder, with a README that has the markers of [`table`].
    folder: &'static str,
    /// Groups of criterion's, with what they are called in the table.
    groups: &'static [Group],
}

/// Benchmarks that are compared with one another.
struct Group {
    id: &'static str,
    title: &'static str,
    /// What is ours, by criterion's names. All others are peers, the floor among them.
    ours: &'static [&'static str],
    /// What the ratios in the table are to.
    beside: &'static [&'static str],
}

const SUITES: &[Suite] = &[Suite {
    name: "sync",
    package: "lifeboat-sync",
    folder: "crates/sync",
    groups: &[
        Group {
            id: "sections",
            title: "To begin and end a section",
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
            ours: &["no reader", "1,000 idle readers", "after the last section"],
            beside: &["membarrier"],
        },
    ],
}];

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which benchmarks.
    #[arg(value_parser = SUITES.iter().map(|suite| suite.name).collect::<Vec<_>>())]
    suite: String,
    /// Print rows `{name, threads, ns, peer_ratio: {peer: x}}` as JSON; x is the cost as a part of the peer's.
    #[arg(long)]
    json: bool,
    /// Put the table into the crate's README and draw its picture.
    #[arg(long)]
    write: bool,
    /// Do not measure; use what the last run left.
    #[arg(long)]
    again: bool,
}

/// Measures and shows.
pub(crate) fn run(args: &Args) -> ExitCode {
    let Some(suite) = SUITES.iter().find(|suite| suite.name == args.suite) else { return ExitCode::FAILURE };
    match suite.run(args) {
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
