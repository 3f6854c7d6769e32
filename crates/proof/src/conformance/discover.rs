//! Discovery of tests, and of the promises that each proves by its name. Nothing else is written down.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cargo_metadata::{Artifact, Message, Package};

use super::checkout::{Checkout, folder};
use super::claim::Kind;
use super::error::ConformanceError;
use super::name;
use super::outcome::proofs;
use super::process::{self, NoAnswer, Stderr};
use super::progress::Progress;
use super::table::{Id, Promise, Table};
use lifeboat_cli::interrupt::Interrupt;

/// More than all tests take to build on a slow machine with nothing there.
const BUILD_LIMIT: Duration = Duration::from_hours(2);
/// Limit for an executable to list its tests.
const LIST_LIMIT: Duration = Duration::from_mins(1);

/// Packages whose tests prove what the daemon promises.
const DAEMON: [&str; 2] = ["lifeboat-agent", "lifeboat-recovery-policy"];

/// A test: a function, or all examples of an item of the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    /// The name, with its modules.
    pub name: String,
    /// `lifeboat-core` for a library's own tests, `lifeboat::loss` for those in `tests/loss.rs`, `lifeboat-core::doc` for
    /// those in the documentation.
    pub target: String,
    /// The promises that the test proves; empty if it proves none.
    pub ids: Vec<Id>,
    /// Names that libtest gives: an item of the documentation has one for each example.
    pub parts: Vec<String>,
    /// The program that runs the test.
    pub suite: Suite,
}

/// A program that runs several tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suite {
    /// A test executable of a package, run in the package's folder.
    Executable { path: PathBuf, package: String, folder: PathBuf },
    /// The examples in the documentation of all packages, run by rustdoc.
    Documentation,
    /// Guests that boot this kernel, run by `lifeboat-vm`.
    Guest(GuestKernel),
}

/// The kernel of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GuestKernel {
    /// Debian's.
    Stock,
    /// One with KASAN, lockdep and RCU checking.
    Debug,
}

impl Test {
    /// Whether it is a proof of this promise, of this kind.
    pub(super) fn proves(&self, promise: &Promise, kind: Kind) -> bool {
        self.ids.contains(&promise.id) && self.is_of(kind)
    }

    fn is_of(&self, kind: Kind) -> bool {
        let in_guest = matches!(self.suite, Suite::Guest(_));
        let package = self.target.split_once("::").map_or(self.target.as_str(), |(package, _)| package);
        match kind {
            Kind::Hosted => !in_guest,
            Kind::Agent => !in_guest && DAEMON.contains(&package),
            Kind::Kernel | Kind::Guest => in_guest,
        }
    }

    /// A test as its executable lists it, for tests of what is made of it.
    #[cfg(test)]
    pub(super) fn listed(name: &str, target: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            target: target.to_owned(),
            ids: name::ids_in_test(name, groups),
            parts: vec![name.to_owned()],
            suite: Suite::Documentation,
        }
    }
}

impl Suite {
    /// The command that runs these tests of the suite; with `None` all of them.
    pub(super) fn command(&self, checkout: &Checkout, tests: Option<&[&Test]>) -> Command {
        // Stable executables give times only if they are told to be the compiler's own. rustdoc is told by its wrapper: cargo
        // would build everything again.
        const TIMES: [&str; 3] = ["-Z", "unstable-options", "--report-time"];
        let mut command = match self {
            Self::Executable { path, package, folder } => {
                let mut command = Command::new(path);
                // The working directory that cargo uses.
                command.current_dir(folder).env("CARGO_MANIFEST_DIR", folder).env("CARGO_PKG_NAME", package);
                command.env("RUSTC_BOOTSTRAP", "1").args(TIMES);
                if let Some(tests) = tests {
                    command.arg("--exact").args(tests.iter().map(|test| &test.name));
                }
                return command;
            }
            Self::Documentation => checkout.cargo(),
            Self::Guest(kernel) => {
                let mut command = checkout.guest_runner();
                command.args((*kernel == GuestKernel::Debug).then_some("--debug-kernel"));
                command.args(tests.into_iter().flatten().map(|test| &test.name));
                return command;
            }
        };
        // Not quiet, which makes dots of the tests. Of the whole workspace: cargo would build a package alone once more, with the
        // features that it alone wants.
        command.args(["test", "--workspace", "--doc", "--no-fail-fast", "--"]).args(TIMES);
        // Without `--exact`: rustdoc takes a name with spaces for several.
        let items = tests.into_iter().flatten().filter_map(|test| test.name.split(" - ").nth(1));
        command.args(items);
        command
    }
}

/// Builds all tests of the checkout, and lists those that are not ignored.
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
        let suite = Suite::Executable { path: path.into(), package: package.name.to_string(), folder: folder(package) };
        let list = |more: &[&str]| {
            let mut command = Command::new(path);
            command.args(["--list", "--format", "terse"]).args(more).current_dir(folder(package));
            list(&mut command, &target, interrupt)
        };
        for name in proofs(&list(&[])?, &list(&["--ignored"])?) {
            let ids = name::ids_in_test(name, &groups);
            let (name, target, suite) = (name.to_owned(), target.clone(), suite.clone());
            tests.push(Test { parts: vec![name.clone()], name, target, ids, suite });
        }
        progress.done(1);
    }
    progress.clear();
    tests.extend(documentation(checkout, &groups, quiet, interrupt)?);
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

/// The tests in the documentation: those that do not compile show what types forbid.
fn documentation(
    checkout: &Checkout,
    groups: &[&str],
    quiet: bool,
    interrupt: &Interrupt,
) -> Result<Vec<Test>, ConformanceError> {
    let command = || {
        let mut command = checkout.cargo();
        command.args(["test", "--workspace", "--doc"]).args(quiet.then_some("--quiet"));
        command
    };
    let list = |command: &mut Command, more: &[&str]| {
        command.args(["--", "--list", "--format", "terse"]).args(more);
        cargo(command, "cargo test --workspace --doc", interrupt)
    };
    let all = list(&mut command(), &[])?;
    let ignored = list(&mut command(), &["--ignored"])?;
    let listed = proofs(&all, &ignored).into_iter().filter_map(|name| {
        let (file, _) = name.split_once(" - ")?;
        Some((checkout.package_of(file)?.name.as_str(), name))
    });
    Ok(tests_in_documentation(&listed.collect::<Vec<_>>(), groups))
}

/// One test for each item, whose examples say one thing together, and for each example on a crate or a file. The examples are given
/// by package and name.
fn tests_in_documentation(listed: &[(&str, &str)], groups: &[&str]) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for (package, part) in listed {
        let (name, ids) = match name::documented(part) {
            Some((file, item)) => (format!("{file} - {item}"), name::ids_in_item(item, groups)),
            None => ((*part).to_owned(), Vec::new()),
        };
        match tests.iter_mut().find(|test| test.name == name) {
            Some(test) => test.parts.push((*part).to_owned()),
            None => tests.push(Test {
                name,
                target: format!("{package}::doc"),
                ids,
                parts: vec![(*part).to_owned()],
                suite: Suite::Documentation,
            }),
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

/// Holds the tests' names and the table to each other: a name with a typing error would prove nothing, and a promise that has its
/// first test could lose it again, and nobody would notice.
pub(super) fn check(tests: &[Test], table: &Table) -> Result<(), ConformanceError> {
    for test in tests {
        let named = || (test.name.clone(), test.target.clone());
        for id in &test.ids {
            let Some(promise) = table.get(id) else {
                let (test, target) = named();
                return Err(ConformanceError::NoSuchPromise { test, target, id: id.clone() });
            };
            if promise.claims.iter().any(|claim| claim.untested && test.proves(promise, claim.kind)) {
                let (test, target) = named();
                return Err(ConformanceError::TestedByNow { test, target, id: id.clone() });
            }
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
        let tests = tests_in_documentation(&listed, &["LIFE"]);
        let seen: Vec<_> =
            tests.iter().map(|test| (test.name.as_str(), test.target.as_str(), test.parts.len())).collect();
        assert_eq!(
            seen,
            [
                ("crates/core/src/unplug.rs - unplug", "core::doc", 1),
                ("crates/core/src/unplug.rs - unplug::life_6_in_order", "core::doc", 2),
                ("crates/core/src/unplug.rs - unplug::life_6_in_order_and_once", "core::doc", 1),
                ("crates/other/src/unplug.rs - unplug::life_6_in_order", "other::doc", 1),
            ]
        );
        assert!(tests[0].ids.is_empty() && tests[1..].iter().all(|test| !test.ids.is_empty()));
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

    #[test]
    fn the_first_test_of_a_promise_ends_its_time_without() {
        let table: Table = "| ID | promise | proof |\n|---|---|---|\n\
             | GATE-1 | a | agent (no test yet) |\n| GATE-2 | b | H guest (no test yet) |\n"
            .parse()
            .unwrap();
        // Tests of another kind change nothing.
        assert!(check(&[test("gate_1_a"), test("gate_2_b")], &table).is_ok());
        let of_daemon = Test::listed("gate_1_a", "lifeboat-agent::tests", &["GATE"]);
        let error = check(&[test("gate_2_b"), of_daemon], &table).unwrap_err();
        assert!(error.to_string().contains("gate_1_a of lifeboat-agent::tests proves GATE-1"), "{error}");
        assert_eq!(error.exit(), lifeboat_cli::exit::Exit::Failed);
        let in_guest = Test { suite: Suite::Guest(GuestKernel::Stock), ..test("gate_2_b") };
        assert!(check(&[in_guest], &table).is_err());
    }

    #[test]
    fn the_daemons_promises_are_proven_by_its_own_tests() {
        let of = |target| Test::listed("gate_1_x", target, &["GATE"]);
        let kinds = |test: &Test| [Kind::Hosted, Kind::Agent, Kind::Kernel, Kind::Guest].map(|kind| test.is_of(kind));
        assert_eq!(kinds(&of("lifeboat-agent")), [true, true, false, false]);
        assert_eq!(kinds(&of("lifeboat-recovery-policy::machine")), [true, true, false, false]);
        assert_eq!(kinds(&of("lifeboat-agent-of-others")), [true, false, false, false]);
        assert_eq!(kinds(&of("lifeboat-core::doc")), [true, false, false, false]);
        let in_guest = Test { suite: Suite::Guest(GuestKernel::Stock), ..of("lifeboat-agent") };
        assert_eq!(kinds(&in_guest), [false, false, true, true]);
    }
}
