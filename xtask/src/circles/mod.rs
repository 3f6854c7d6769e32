//! `cargo xtask circles`: files of a crate that need each other in a circle.
//!
//! A crate whose files need only what is below them can be read from the bottom, and each file without those above it. A
//! file needs another if its code names an item of the other from the crate's root: by `use crate::…`, or by `crate::…` in
//! a type, an expression or a macro's arguments; a `super::` that climbs to the root is the same. A re-export is followed to
//! the file that has the item. Not counted: code for tests only, documentation, and paths by which a module and its parts
//! name each other and make one thing of several files: `self::`, other `super::`, the name of a nested module.

mod error;
mod graph;
mod known;
mod packages;
mod path;
mod references;
mod report;
mod resolve;
mod tests_left_out;
mod tree;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::root;
use error::CirclesError;
use graph::Graph;
use known::{KNOWN, Verdict};
use packages::Crate;
use report::{CircleReport, CrateReport};
use tree::Tree;

/// Options of `cargo xtask circles`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this crate (`kernel`: the kernel module), and all its circles of more than two files, also known ones
    #[arg(long = "crate", value_name = "NAME")]
    only: Option<String>,
    /// Print rows `{crate, files, circles: [{files, edges: [{from, to, lines: [{line, code}]}]}], error}` as JSON; `error` is
    /// there if the crate fails
    #[arg(long)]
    json: bool,
}

/// Shows the circles. Fails if one has more than two files and is not known.
pub(crate) fn run(args: &Args) -> ExitCode {
    let reports = match examine(args.only.as_deref()) {
        Ok(reports) => reports,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if args.json {
        // Reports are numbers and text, which JSON can always say.
        println!("{}", serde_json::json!(reports));
    } else {
        show(&reports, args.only.is_some());
    }
    if reports.iter().any(|report| report.error.is_some()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Does what `cargo xtask circles` does without options.
///
/// # Errors
/// A circle is too large, or nothing could be counted; in words.
pub(crate) fn check() -> Result<(), String> {
    let reports = examine(None).map_err(|error| error.to_string())?;
    show(&reports, false);
    let errors: Vec<_> = reports.into_iter().filter_map(|report| report.error).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

/// Prints circles that fail, and also known ones for `all`.
fn show(reports: &[CrateReport], all: bool) {
    for report in reports {
        if all || report.verdict == Verdict::Grown {
            print!("{report}");
        }
        if let Some(error) = &report.error {
            println!("{error}");
        }
    }
    let files: usize = reports.iter().map(|report| report.files).sum();
    let known = reports.iter().filter(|report| report.verdict == Verdict::Known).count();
    println!("{files} files of {} crates; {known} crates have a known circle", reports.len());
}

fn examine(only: Option<&str>) -> Result<Vec<CrateReport>, CirclesError> {
    let mut crates = packages::all(root())?;
    if let Some(name) = only {
        let names: Vec<_> = crates.iter().map(|found| found.name.clone()).collect();
        crates.retain(|found| found.name == name);
        if crates.is_empty() {
            return Err(CirclesError::NoSuchCrate { name: name.to_owned(), known: names.join(", ") });
        }
    } else if let Some((name, _)) = KNOWN.iter().find(|(name, _)| !crates.iter().any(|found| found.name == *name)) {
        let known = "the list of known circles names it".to_owned();
        return Err(CirclesError::NoSuchCrate { name: (*name).to_owned(), known });
    }
    crates.iter().map(|found| examine_crate(found, root())).collect()
}

fn examine_crate(found: &Crate, root: &Path) -> Result<CrateReport, CirclesError> {
    let mut tree = Tree::default();
    for file in &found.roots {
        tree.add(file, &|path| fs::read_to_string(path))?;
    }
    let graph = Graph::of(&tree);
    let circles = CircleReport::all(&tree, &graph, root);
    let sizes: Vec<_> = circles.iter().map(|circle| circle.files.len()).collect();
    let known = known::sizes_of(&found.name);
    let verdict = known::judge(&sizes, known);
    let error = verdict.error(&found.name, &sizes, known);
    Ok(CrateReport { name: found.name.clone(), files: tree.files().len(), circles, verdict, error })
}
