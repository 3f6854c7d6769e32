//! Report on the promises, for people and for programs.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::discover::{Suite, Test};
use super::outcome::{Outcome, TestResult};
use super::table::{Columns, Promise};
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
    /// Column H; `None` if the promise is not in it.
    #[serde(flatten)]
    pub hosted: Option<Proof>,
    /// Column K; `None` if the promise is not in it, or the run is not about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Proof>,
}

/// Verdict of the tests on a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
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
    /// Column H.
    #[serde(flatten)]
    pub hosted: Count,
    /// Column K, if the run is about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Count>,
    /// Tests that ran, each once however many promises it proves.
    pub tests: usize,
    /// The time for all tests, several at a time.
    pub ms: u64,
}

/// A column in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    /// Promises that were asked for.
    pub promises: usize,
    /// Promises that are kept.
    pub pass: usize,
    /// Promises that are not kept.
    pub fail: usize,
    /// Promises without a test.
    pub missing: usize,
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
    pub(super) fn new(promises: &[&Promise], columns: Columns, ran: &[(&Test, TestResult)], took: Duration) -> Self {
        let rows: Vec<_> = promises.iter().map(|promise| Row::new(promise, columns, ran)).collect();
        let summary = Summary {
            hosted: Count::of(rows.iter().filter_map(|row| row.hosted.as_ref())),
            kernel: (columns == Columns::HostedAndKernel)
                .then(|| Count::of(rows.iter().filter_map(|row| row.kernel.as_ref()))),
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
        let proofs = || self.rows.iter().flat_map(|row| [&row.hosted, &row.kernel]).flatten();
        let kept = proofs().all(|proof| proof.result == Verdict::Pass);
        if kept && self.failures.is_empty() { Exit::Success } else { Exit::Failed }
    }

    /// A line for each promise, and the numbers.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let Summary { hosted, kernel, tests, ms } = self.summary;
        // A string takes any text.
        let _ = match kernel {
            None => writeln!(text, "{:<9}{:<9}{:>9}  {:<PROMISE$}  test", "ID", "result", "time", "promise"),
            Some(_) => writeln!(text, "{:<9}{:<9}{:<9}{:<PROMISE$}  test", "ID", "H", "K", "promise"),
        };
        for row in &self.rows {
            let line = if kernel.is_some() { row.in_both() } else { row.in_one() };
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let _ = match kernel {
            None => writeln!(text, "{hosted}. {tests} tests took {}.", seconds(ms)),
            Some(kernel) => {
                writeln!(text, "H: {hosted}.\nK: {kernel}.\n{tests} tests took {}.", seconds(ms))
            }
        };
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

impl Count {
    fn of<'a>(proofs: impl Iterator<Item = &'a Proof>) -> Self {
        let mut count = Self { promises: 0, pass: 0, fail: 0, missing: 0 };
        for proof in proofs {
            count.promises += 1;
            match proof.result {
                Verdict::Pass => count.pass += 1,
                Verdict::Fail => count.fail += 1,
                Verdict::Missing => count.missing += 1,
            }
        }
        count
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { promises, pass, fail, missing } = self;
        write!(f, "{promises} promises: {pass} pass, {fail} fail, {missing} have no test")
    }
}

impl Row {
    fn new(promise: &Promise, columns: Columns, ran: &[(&Test, TestResult)]) -> Self {
        let proof = |in_guest| Proof::new(promise, ran.iter().filter(move |(test, _)| is_in_guest(test) == in_guest));
        Self {
            id: promise.id.to_string(),
            promise: promise.text.clone(),
            hosted: promise.hosted.then(|| proof(false)),
            kernel: (promise.kernel && columns == Columns::HostedAndKernel).then(|| proof(true)),
        }
    }

    /// Its line in a table of column H alone.
    fn in_one(&self) -> String {
        let Some(proof) = &self.hosted else { return String::new() };
        let time = if proof.result == Verdict::Missing { String::new() } else { seconds(proof.ms) };
        let promise = shortened(&self.promise);
        format!("{:<9}{:<9}{time:>9}  {promise:<PROMISE$}  {}", self.id, proof.result.word(), proof.named())
    }

    /// Its line in a table of both columns.
    fn in_both(&self) -> String {
        let word = |proof: &Option<Proof>| proof.as_ref().map_or("", |proof| proof.result.word());
        let (hosted, kernel) = (word(&self.hosted), word(&self.kernel));
        let proofs = || [&self.hosted, &self.kernel].into_iter().flatten();
        // The one that is worse, and of two that are kept the one in the kernel, which is further away.
        let shown = proofs().find(|proof| proof.result == Verdict::Fail).or(proofs().last());
        let promise = shortened(&self.promise);
        let named = shown.map(Proof::named).unwrap_or_default();
        format!("{:<9}{hosted:<9}{kernel:<9}{promise:<PROMISE$}  {named}", self.id)
    }
}

fn is_in_guest(test: &Test) -> bool {
    matches!(test.suite, Suite::Guest(_))
}

impl Proof {
    fn new<'a>(promise: &Promise, ran: impl Iterator<Item = &'a (&'a Test, TestResult)>) -> Self {
        let of_promise = ran.filter(|(test, _)| test.ids.contains(&promise.id));
        let tests: Vec<_> = of_promise.map(|(test, result)| TestRow::new(test, result)).collect();
        let failing = tests.iter().find(|test| test.result != Verdict::Pass);
        let result = match (tests.is_empty(), failing) {
            (true, _) => Verdict::Missing,
            (_, Some(_)) => Verdict::Fail,
            (_, None) => Verdict::Pass,
        };
        Self {
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
