//! Discovery of tests, and of the promises that each proves by its name. Nothing else is written down.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cargo_metadata::{Artifact, Message, Package};

use super::checkout::{Checkout, folder};
use super::error::ConformanceError;
use super::name;
use super::outcome::{self, proofs};
use super::process::{self, NoAnswer, Stderr};
use super::progress::Progress;
use super::table::{Id, Table};
use lifeboat_cli::interrupt::Interrupt;

/// More than all tests take to build on a slow machine with nothing there.
const BUILD_LIMIT: Duration = Duration::from_hours(2);
/// Limit for an executable to list its tests.
const LIST_LIMIT: Duration = Duration::from_mins(1);

/// A test that proves something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    /// Its name, with its modules.
    pub name: String,
    /// Where it is: `lifeboat-core` for a library's own tests, `lifeboat::loss` for those in `tests/loss.rs`,
    /// `lifeboat-core::doc` for those in the documentation.
    pub target: String,
    /// The promises that it proves.
    pub ids: Vec<Id>,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    Executable { path: PathBuf, package: String, folder: PathBuf },
    Documentation { item: String, examples: usize },
}

impl Test {
    /// A test as its executable lists it, for tests of what is made of it.
    #[cfg(test)]
    pub(super) fn listed(name: &str, target: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            target: target.to_owned(),
            ids: name::ids_in_test(name, groups),
            how: How::Documentation { item: name.to_owned(), examples: 1 },
        }
    }

    /// The command that runs this test alone.
    pub(super) fn command(&self, checkout: &Checkout) -> Command {
        match &self.how {
            How::Executable { path, package, folder } => {
                let mut command = Command::new(path);
                command.args(["--exact", &self.name]);
                // The working directory that cargo uses.
                command.current_dir(folder).env("CARGO_MANIFEST_DIR", folder).env("CARGO_PKG_NAME", package);
                command
            }
            How::Documentation { item, .. } => {
                let mut command = checkout.cargo();
                // Of the whole workspace: cargo would build a package alone once more, with the features that it alone wants. Without
                // `--exact`: rustdoc takes a name with spaces for several.
                command.args(["test", "--quiet", "--workspace", "--doc", "--", item]);
                command
            }
        }
    }

    /// The number of libtest's tests: an item of the documentation has one for each example.
    pub(super) fn parts(&self) -> usize {
        match self.how {
            How::Executable { .. } => 1,
            How::Documentation { examples, .. } => examples,
        }
    }
}

/// Builds all tests of the checkout, and finds those that prove a promise.
///
/// Everything is built, so that cargo makes of each crate what it makes for `cargo test --workspace`, and nothing twice.
///
/// # Errors
/// The tests do not build or cannot be listed; one names a promise that `table` does not have.
pub(super) fn discover(
    checkout: &Checkout,
    table: &Table,
    progress: &Progress,
    quiet: bool,
    interrupt: &Interrupt,
) -> Result<Vec<Test>, ConformanceError> {
    let groups = table.groups();
    let artifacts = build(checkout, quiet, interrupt)?;
    progress.begin("listing tests", artifacts.len());
    let mut tests = Vec::new();
    for artifact in &artifacts {
        let (Some(package), Some(path)) = (checkout.package(&artifact.package_id), &artifact.executable) else {
            continue;
        };
        let target = target(package, artifact);
        let how = How::Executable { path: path.into(), package: package.name.to_string(), folder: folder(package) };
        let list = |more: &[&str]| {
            let mut command = Command::new(path);
            command.args(["--list", "--format", "terse"]).args(more).current_dir(folder(package));
            list(&mut command, &target, interrupt)
        };
        for name in proofs(&list(&[])?, &list(&["--ignored"])?) {
            let ids = name::ids_in_test(name, &groups);
            tests.push(Test { name: name.to_owned(), target: target.clone(), ids, how: how.clone() });
        }
        progress.done();
    }
    progress.clear();
    tests.extend(documentation(checkout, &groups, quiet, interrupt)?);
    tests.retain(|test| !test.ids.is_empty());
    // cargo names what it has built as it comes.
    tests.sort_by(|one, other| (&one.target, &one.name).cmp(&(&other.target, &other.name)));
    check(&tests, table)?;
    Ok(tests)
}

/// Builds the tests; what cargo shows of its progress goes to the user.
fn build(checkout: &Checkout, quiet: bool, interrupt: &Interrupt) -> Result<Vec<Artifact>, ConformanceError> {
    let mut command = checkout.cargo();
    command.args(["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"]);
    let what = "cargo test --workspace --no-run";
    let answer = cargo(command.args(quiet.then_some("--quiet")), what, interrupt)?;
    let mut artifacts = Vec::new();
    for message in Message::parse_stream(answer.as_bytes()) {
        match message? {
            Message::CompilerArtifact(artifact) if artifact.profile.test && artifact.executable.is_some() => {
                artifacts.push(artifact);
            }
            _ => {}
        }
    }
    Ok(artifacts)
}

/// The proofs in the documentation: those that do not compile show what types forbid.
fn documentation(
    checkout: &Checkout,
    groups: &[&str],
    quiet: bool,
    interrupt: &Interrupt,
) -> Result<Vec<Test>, ConformanceError> {
    let mut command = checkout.cargo();
    command.args(["test", "--workspace", "--doc"]).args(quiet.then_some("--quiet"));
    command.args(["--", "--list", "--format", "terse"]);
    let answer = cargo(&mut command, "cargo test --workspace --doc", interrupt)?;
    let listed = outcome::listed(&answer).filter_map(|name| {
        let (file, _) = name.split_once(" - ")?;
        Some((checkout.package_of(file)?.name.as_str(), name))
    });
    Ok(proofs_in_documentation(&listed.collect::<Vec<_>>(), groups))
}

/// Of examples, by package and name, those that prove something: one test for each item, whose examples say one thing together.
fn proofs_in_documentation(listed: &[(&str, &str)], groups: &[&str]) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for (package, name) in listed {
        let Some((file, item)) = name::documented(name) else { continue };
        let test = Test {
            name: format!("{file} - {item}"),
            target: format!("{package}::doc"),
            ids: name::ids_in_item(item, groups),
            how: How::Documentation {
                item: item.to_owned(),
                // rustdoc runs all that has the item in its name.
                examples: listed.iter().filter(|(_, name)| name.contains(item)).count(),
            },
        };
        if !test.ids.is_empty() && !tests.contains(&test) {
            tests.push(test);
        }
    }
    tests
}

/// Runs cargo, which says itself what it cannot do.
fn cargo(command: &mut Command, what: &str, interrupt: &Interrupt) -> Result<String, ConformanceError> {
    process::run(command, Stderr::Shown, BUILD_LIMIT, interrupt)?.answer().map_err(|reason| match reason {
        NoAnswer::Interrupted => ConformanceError::Interrupted,
        NoAnswer::Failed(how) => ConformanceError::Cargo { what: what.to_owned(), how },
    })
}

/// Asks a test executable.
fn list(command: &mut Command, target: &str, interrupt: &Interrupt) -> Result<String, ConformanceError> {
    process::run(command, Stderr::Kept, LIST_LIMIT, interrupt)?.answer().map_err(|reason| match reason {
        NoAnswer::Interrupted => ConformanceError::Interrupted,
        NoAnswer::Failed(why) => ConformanceError::List { target: target.to_owned(), why },
    })
}

/// Names as nextest gives them: short where nothing else has the name.
fn target(package: &Package, artifact: &Artifact) -> String {
    let (package, target) = (&package.name, &artifact.target);
    if target.is_test() {
        format!("{package}::{}", target.name)
    } else if target.is_bin() {
        format!("{package}::bin/{}", target.name)
    } else if target.is_example() {
        format!("{package}::example/{}", target.name)
    } else if target.is_bench() {
        format!("{package}::bench/{}", target.name)
    } else {
        package.to_string()
    }
}

/// A name with a typing error would prove nothing, and nobody would notice.
fn check(tests: &[Test], table: &Table) -> Result<(), ConformanceError> {
    for test in tests {
        if let Some(id) = test.ids.iter().find(|id| table.get(id).is_none()) {
            let (test, target) = (test.name.clone(), test.target.clone());
            return Err(ConformanceError::NoSuchPromise { test, target, id: id.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str) -> Test {
        Test::listed(name, "some::tests", &["GATE"])
    }

    #[test]
    fn the_examples_of_an_item_are_one_test() {
        let listed = [
            ("core", "crates/core/src/unplug.rs - unplug (line 3)"),
            ("core", "crates/core/src/unplug.rs - unplug::life_6_in_order (line 24)"),
            ("core", "crates/core/src/unplug.rs - unplug::life_6_in_order (line 33)"),
            ("core", "crates/core/src/unplug.rs - unplug::life_6_in_order_and_once (line 40)"),
            ("other", "crates/other/src/unplug.rs - unplug::life_6_in_order (line 1)"),
        ];
        let tests = proofs_in_documentation(&listed, &["LIFE"]);
        let seen: Vec<_> = tests.iter().map(|test| (test.name.as_str(), test.target.as_str(), test.parts())).collect();
        assert_eq!(
            seen,
            [
                ("crates/core/src/unplug.rs - unplug::life_6_in_order", "core::doc", 4),
                ("crates/core/src/unplug.rs - unplug::life_6_in_order_and_once", "core::doc", 1),
                ("crates/other/src/unplug.rs - unplug::life_6_in_order", "other::doc", 4),
            ]
        );
    }

    #[test]
    fn a_name_with_a_promise_that_nobody_made_is_an_error() {
        let table: Table =
            "| ID | promise | proof |\n|---|---|---|\n| GATE-1 | a | H |\n| GATE-2 | b | K |\n".parse().unwrap();
        // A promise that is proven elsewhere may be named here.
        assert!(check(&[test("gate_1_a"), test("gate_2_b")], &table).is_ok());
        let error = check(&[test("gate_1_a"), test("gate_1_and_12_b")], &table).unwrap_err();
        assert!(error.to_string().contains("gate_1_and_12_b of some::tests names GATE-12"), "{error}");
    }
}
