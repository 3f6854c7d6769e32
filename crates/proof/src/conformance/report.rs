//! Report on the promises, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::discover::Test;
use super::execute::TestResult;
use super::outcome::Outcome;
use super::table::Promise;
use lifeboat_cli::exit::Exit;

/// Results of all promises that were selected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ConformanceReport {
    /// An entry for each promise, in the table's order.
    pub rows: Vec<Row>,
    /// All of it in numbers.
    pub summary: Summary,
    #[serde(skip)]
    failures: Vec<Failure>,
}

/// The result of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// The identifier.
    pub id: String,
    /// The text of the promise.
    pub promise: String,
    /// The test that decides: one that fails if there is any, else the first; `None` if there is no test.
    pub test: Option<String>,
    /// Whether it is kept.
    pub result: Verdict,
    /// The sum of the times of its tests.
    pub ms: u64,
    /// All its tests.
    pub tests: Vec<TestRow>,
}

/// The result of a test of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TestRow {
    /// Its name, with its modules.
    pub name: String,
    /// Where it is.
    pub target: String,
    /// Whether it passed.
    pub result: Verdict,
    /// The time it took.
    pub ms: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a promise is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// All its tests pass.
    Pass,
    /// A test does not pass.
    Fail,
    /// There is no test.
    Missing,
}

/// All in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Promises that were asked for.
    pub promises: usize,
    /// Promises that are kept.
    pub pass: usize,
    /// Promises that are not kept.
    pub fail: usize,
    /// Promises without a test.
    pub missing: usize,
    /// Tests that ran, each once however many promises it proves.
    pub tests: usize,
    /// The time for all tests, several at a time.
    pub ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    test: String,
    target: String,
    reason: String,
    output: String,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Missing => "missing",
        }
    }
}

impl ConformanceReport {
    /// Puts together what the tests say about the promises. `took` is how long the tests took.
    pub(super) fn new(promises: &[&Promise], ran: &[(&Test, TestResult)], took: Duration) -> Self {
        let rows: Vec<_> = promises.iter().map(|promise| Row::new(promise, ran)).collect();
        let count = |verdict| rows.iter().filter(|row| row.result == verdict).count();
        let summary = Summary {
            promises: rows.len(),
            pass: count(Verdict::Pass),
            fail: count(Verdict::Fail),
            missing: count(Verdict::Missing),
            tests: ran.len(),
            ms: millis(took),
        };
        let failures = ran.iter().filter_map(|(test, result)| match &result.outcome {
            Outcome::Passed => None,
            Outcome::Failed(reason) => Some(Failure {
                test: test.name.clone(),
                target: test.target.clone(),
                reason: reason.clone(),
                output: result.output.clone(),
            }),
        });
        Self { failures: failures.collect(), rows, summary }
    }

    /// The code to exit with.
    pub(super) fn exit(&self) -> Exit {
        // Also a test that proves no promise must not fail.
        let kept = self.rows.iter().all(|row| row.result == Verdict::Pass);
        if kept && self.failures.is_empty() { Exit::Success } else { Exit::Failed }
    }

    /// A line for each promise, and the numbers.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // A string takes any text.
        let _ = writeln!(text, "{:<9}{:<9}{:>9}  {:<PROMISE$}  test", "ID", "result", "time", "promise");
        for row in &self.rows {
            let time = if row.result == Verdict::Missing { String::new() } else { seconds(row.ms) };
            let promise = shortened(&row.promise);
            let line = format!("{:<9}{:<9}{time:>9}  {promise:<PROMISE$}  {}", row.id, row.result.word(), row.named());
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let Summary { promises, pass, fail, missing, tests, ms } = self.summary;
        let _ = writeln!(
            text,
            "{promises} promises: {pass} pass, {fail} fail, {missing} have no test. {tests} tests took {}.",
            seconds(ms)
        );
        text
    }

    /// The output of failing tests; empty if there is none.
    pub(super) fn failures(&self) -> String {
        let mut text = String::new();
        for Failure { test, target, reason, output } in &self.failures {
            let _ = writeln!(text, "\n── {target} {test} {reason}\n{}", output.trim());
        }
        text
    }
}

impl Row {
    fn new(promise: &Promise, ran: &[(&Test, TestResult)]) -> Self {
        let of_promise = ran.iter().filter(|(test, _)| test.ids.contains(&promise.id));
        let tests: Vec<_> = of_promise.map(|(test, result)| TestRow::new(test, result)).collect();
        let failing = tests.iter().find(|test| test.result != Verdict::Pass);
        let result = match (tests.is_empty(), failing) {
            (true, _) => Verdict::Missing,
            (_, Some(_)) => Verdict::Fail,
            (_, None) => Verdict::Pass,
        };
        Self {
            id: promise.id.to_string(),
            promise: promise.text.clone(),
            test: failing.or(tests.first()).map(|test| test.name.clone()),
            result,
            ms: tests.iter().map(|test| test.ms).sum(),
            tests,
        }
    }

    /// The deciding test, and how many others there are.
    fn named(&self) -> String {
        let Some(name) = &self.test else { return String::new() };
        let target = self.tests.iter().find(|test| test.name == *name).map_or("", |test| test.target.as_str());
        match self.tests.len() {
            0 | 1 => format!("{target} {name}"),
            several => format!("{target} {name} (+{})", several - 1),
        }
    }
}

impl TestRow {
    fn new(test: &Test, result: &TestResult) -> Self {
        let (verdict, reason) = match &result.outcome {
            Outcome::Passed => (Verdict::Pass, None),
            Outcome::Failed(reason) => (Verdict::Fail, Some(reason.clone())),
        };
        let ms = millis(result.took);
        Self { name: test.name.clone(), target: test.target.clone(), result: verdict, ms, reason }
    }
}

/// The part of a promise that fits into its line, in characters.
const PROMISE: usize = 56;

fn shortened(promise: &str) -> String {
    if promise.chars().count() <= PROMISE {
        return promise.to_owned();
    }
    let start: String = promise.chars().take(PROMISE - 1).collect();
    start.trim_end().to_owned() + "…"
}

fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
