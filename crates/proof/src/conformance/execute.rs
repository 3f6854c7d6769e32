//! Runs tests, each suite of them in one process: a suite that hangs or aborts takes no other with it.

use std::io;
use std::time::Duration;

use lifeboat_cli::interrupt::Interrupt;

use super::checkout::Checkout;
use super::discover::{Suite, Test};
use super::guest;
use super::outcome::{Outcome, Run, TestResult};
use super::process::{self, Stderr};
use super::progress::Progress;

/// The tests to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Everything in a suite of which a test is given.
    Whole,
    /// The given tests alone.
    Given,
}

/// Runs `tests`, suite after suite, as cargo does, and gives the results in their order. A suite in which no test ends for `limit`
/// is killed. When the user wants to stop, the rest is not run and fails.
///
/// # Errors
/// The system refuses a process or a file.
pub(super) fn execute(
    checkout: &Checkout,
    tests: &[&Test],
    choice: Choice,
    limit: Duration,
    progress: &Progress,
    interrupt: &Interrupt,
) -> io::Result<Vec<TestResult>> {
    progress.begin("running tests", tests.len());
    let mut results: Vec<(usize, TestResult)> = Vec::new();
    for suite in suites(tests) {
        let of_suite = || tests.iter().enumerate().filter(|(_, test)| test.suite == *suite);
        let given: Vec<_> = of_suite().map(|(_, test)| *test).collect();
        progress.now(given.first().map_or("", |test| &test.target));
        let chosen = (choice == Choice::Given).then_some(given.as_slice());
        if let Suite::Guest(_) = suite {
            let ran = guest::execute(suite.command(checkout, chosen), &given, interrupt)?;
            results.extend(of_suite().map(|(at, _)| at).zip(ran));
            progress.done(given.len());
            continue;
        }
        let finished = process::run(&mut suite.command(checkout, chosen), Stderr::Kept, limit, interrupt)?;
        let run = Run::new(&finished, limit);
        results.extend(of_suite().map(|(at, test)| (at, result(&run, test))));
        progress.done(given.len());
    }
    progress.clear();
    results.sort_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The suites of these tests, each once, in the order of their first tests.
fn suites<'a>(tests: &[&'a Test]) -> Vec<&'a Suite> {
    let mut suites: Vec<&Suite> = Vec::new();
    for test in tests {
        if !suites.contains(&&test.suite) {
            suites.push(&test.suite);
        }
    }
    suites
}

fn result(run: &Run, test: &Test) -> TestResult {
    let outcome = run.outcome(&test.parts);
    let output = match outcome {
        Outcome::Passed => String::new(),
        Outcome::Failed(_) => run.output(&test.parts),
    };
    TestResult { outcome, took: run.took(&test.parts), output }
}
