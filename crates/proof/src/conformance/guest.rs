//! The tests in the guest: real kernels, whose device is really pulled out. `lifeboat-vm` runs them, and says what came of each.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lifeboat_cli::interrupt::Interrupt;
use serde::Deserialize;

use super::checkout::Checkout;
use super::discover::{self, GuestKernel, Suite, Test};
use super::error::ConformanceError;
use super::outcome::{Outcome, TestResult};
use super::process::{self, Ended, NoAnswer, Stderr};
use super::table::Table;

/// How the report names where these tests are.
pub(super) const TARGET: &str = "guest";

/// How long the runner may say nothing: longer than it takes to make the image and to build a kernel.
const LIMIT: Duration = Duration::from_hours(2);

/// An entry of the runner's list.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    proves: Vec<String>,
    only: Option<Kernel>,
}

/// The runner's word for a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kernel {
    Stock,
    Debug,
}

/// The runner's report.
#[derive(Debug, Deserialize)]
struct Report {
    tests: Vec<Ran>,
}

#[derive(Debug, Deserialize)]
struct Ran {
    name: String,
    outcome: String,
    seconds: f64,
    #[serde(default)]
    failure: Option<String>,
}

impl From<GuestKernel> for Kernel {
    fn from(kernel: GuestKernel) -> Self {
        match kernel {
            GuestKernel::Stock => Self::Stock,
            GuestKernel::Debug => Self::Debug,
        }
    }
}

/// The tests that are for this kernel.
///
/// # Errors
/// The runner does not build or cannot list them; one names a promise that `table` does not have.
pub(super) fn list(
    checkout: &Checkout,
    table: &Table,
    kernel: GuestKernel,
    interrupt: &Interrupt,
) -> Result<Vec<Test>, ConformanceError> {
    let file = tempfile::NamedTempFile::new()?;
    let mut command = checkout.guest_runner();
    command.arg("--list").arg("--json").arg(file.path());
    process::run(&mut command, Stderr::Shown, LIMIT, interrupt)?.answer().map_err(|reason| match reason {
        NoAnswer::Interrupted => ConformanceError::Interrupted,
        NoAnswer::Failed(how) => ConformanceError::Cargo { what: "cargo xtask vm test --list".to_owned(), how },
    })?;
    let tests = tests(&std::fs::read_to_string(file.path())?, kernel)?;
    discover::check(&tests, table)?;
    Ok(tests)
}

fn tests(list: &str, kernel: GuestKernel) -> Result<Vec<Test>, ConformanceError> {
    let mut tests = Vec::new();
    for Entry { name, proves, only } in serde_json::from_str::<Vec<Entry>>(list)? {
        if only.is_some_and(|only| only != kernel.into()) {
            continue;
        }
        let ids = proves
            .iter()
            .map(|id| id.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| ConformanceError::List { target: TARGET.to_owned(), why: format!("{name}: {error}") })?;
        let (target, suite) = (TARGET.to_owned(), Suite::Guest(kernel));
        tests.push(Test { parts: vec![name.clone()], name, target, ids, suite });
    }
    Ok(tests)
}

/// Runs tests of the guest, and gives their results in their order.
///
/// # Errors
/// The system refuses a process or a file.
pub(super) fn execute(mut command: Command, tests: &[&Test], interrupt: &Interrupt) -> io::Result<Vec<TestResult>> {
    let file = tempfile::NamedTempFile::new()?;
    command.arg("--json").arg(file.path());
    let finished = process::run(&mut command, Stderr::Shown, LIMIT, interrupt)?;
    let why = match &finished.ended {
        Ended::Exited(status) => format!("is no proof: `cargo xtask vm test` ended with {status}"),
        Ended::TimedOut => "is no proof: `cargo xtask vm test` said nothing any more".to_owned(),
        Ended::Interrupted => "is no proof: the run was interrupted".to_owned(),
    };
    Ok(results(file.path(), tests, &why))
}

/// A test has passed only if the report says so; `otherwise` is why one has failed of which it says nothing.
fn results(report: &Path, tests: &[&Test], otherwise: &str) -> Vec<TestResult> {
    let text = std::fs::read_to_string(report).unwrap_or_default();
    let ran = serde_json::from_str(&text).map_or_else(|_| Vec::new(), |report: Report| report.tests);
    let result = |test: &&Test| {
        let Some(ran) = ran.iter().find(|ran| ran.name == test.name) else {
            let outcome = Outcome::Failed(otherwise.to_owned());
            return TestResult { outcome, took: Duration::ZERO, output: String::new() };
        };
        let passed = ran.outcome == "passed";
        TestResult {
            outcome: if passed { Outcome::Passed } else { Outcome::Failed(ran.outcome.clone()) },
            took: Duration::try_from_secs_f64(ran.seconds).unwrap_or_default(),
            output: ran.failure.clone().unwrap_or_default(),
        }
    };
    tests.iter().map(result).collect()
}

#[cfg(test)]
mod tests_of_the_guest {
    use super::*;

    const LIST: &str = r#"[
        {"name": "boot", "shows": "a", "proves": [], "only": null},
        {"name": "pull", "shows": "b", "proves": ["LIFE-5", "GATE-9"], "only": null},
        {"name": "lint", "shows": "c", "proves": ["GATE-5"], "only": "debug"}
    ]"#;

    fn names(kernel: GuestKernel) -> Vec<String> {
        tests(LIST, kernel).unwrap().into_iter().map(|test| test.name).collect()
    }

    #[test]
    fn a_kernel_has_the_tests_that_are_for_it() {
        assert_eq!(names(GuestKernel::Stock), ["boot", "pull"]);
        assert_eq!(names(GuestKernel::Debug), ["boot", "pull", "lint"]);
        let tests = tests(LIST, GuestKernel::Stock).unwrap();
        assert_eq!(tests[1].ids.iter().map(ToString::to_string).collect::<Vec<_>>(), ["LIFE-5", "GATE-9"]);
        assert_eq!(tests[1].target, TARGET);
    }

    #[test]
    fn a_list_that_cannot_be_read_is_an_error() {
        assert!(tests("", GuestKernel::Stock).is_err());
        assert!(tests(&LIST.replace("LIFE-5", "LIFE5"), GuestKernel::Stock).is_err());
    }

    #[test]
    fn a_test_has_passed_only_if_the_report_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let listed = tests(LIST, GuestKernel::Debug).unwrap();
        let listed: Vec<_> = listed.iter().collect();
        let outcomes = |report: &str| {
            std::fs::write(file.path(), report).unwrap();
            let results = results(file.path(), &listed, "why");
            results.into_iter().map(|result| result.outcome == Outcome::Passed).collect::<Vec<_>>()
        };
        let report = r#"{"flavour": "stock", "seconds": 1.5, "tests": [
            {"name": "boot", "outcome": "passed", "seconds": 1.0, "remove_us": []},
            {"name": "pull", "outcome": "failed", "seconds": 0.5, "remove_us": [], "failure": "no"}
        ]}"#;
        assert_eq!(outcomes(report), [true, false, false]);
        assert_eq!(outcomes(""), [false; 3]);
        assert_eq!(outcomes(&report.replace("\"passed\"", "\"interrupted\"")), [false; 3]);
    }
}
