//! Report on the promises, for people and for programs.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::claim::{Claim, Kind};
use super::discover::Test;
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
    /// The run was about proof in guests, too.
    #[serde(skip)]
    in_both: bool,
}

/// The result of a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// The identifier.
    pub id: String,
    /// The text of the promise.
    pub promise: String,
    /// The proof in processes of this machine, if it has such.
    #[serde(flatten)]
    pub in_process: Option<Proof>,
    /// The proof in guests, if it has such and the run is about it.
    #[serde(rename = "guest", skip_serializing_if = "Option::is_none")]
    pub in_guest: Option<Proof>,
    #[serde(skip)]
    is_case: bool,
}

/// Verdict of the tests on a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    /// `H`, `K`, `agent` or `guest`.
    #[serde(rename = "proof", serialize_with = "as_word")]
    pub kind: Kind,
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
    /// There is no test, and the document claims that there is.
    Missing,
    /// There is no test, and the document says so.
    Untested,
}

/// All in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// The promises and the cases of each kind of proof, where there are any.
    pub counts: Vec<Count>,
    /// Tests that ran, each once however many promises it proves.
    pub tests: usize,
    /// The time for all tests, several at a time.
    pub ms: u64,
}

/// Promises of a kind of proof in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Count {
    /// `H`, `K`, `agent` or `guest`.
    #[serde(rename = "proof", serialize_with = "as_word")]
    pub kind: Kind,
    /// `promises` or `cases`.
    pub of: &'static str,
    /// Number of promises that were asked for.
    pub all: usize,
    /// Number of kept promises.
    pub pass: usize,
    /// Number of broken promises.
    pub fail: usize,
    /// Number of promises that have lost their tests.
    pub missing: usize,
    /// Number of promises whose first test is still to be written.
    pub untested: usize,
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
            Self::Untested => "untested",
        }
    }
}

impl ConformanceReport {
    /// Puts together what the tests say about the promises. `took` is how long the tests took.
    pub(super) fn new(promises: &[&Promise], columns: Columns, ran: &[(&Test, TestResult)], took: Duration) -> Self {
        let rows: Vec<_> = promises.iter().map(|promise| Row::new(promise, columns, ran)).collect();
        let summary = Summary {
            counts: Kind::ALL
                .into_iter()
                .flat_map(|kind| [false, true].map(|cases| Count::of(&rows, kind, cases)))
                .flatten()
                .collect(),
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
        let in_both = columns == Columns::InProcessAndGuest;
        Self { failures: failures.collect(), rows, summary, in_both }
    }

    /// The code to exit with.
    pub(super) fn exit(&self) -> Exit {
        // Also a test that proves no promise must not fail.
        let mut proofs = self.rows.iter().flat_map(Row::proofs);
        let kept = proofs.all(|proof| matches!(proof.result, Verdict::Pass | Verdict::Untested));
        if kept && self.failures.is_empty() { Exit::Success } else { Exit::Failed }
    }

    /// A line for each promise, and the numbers.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // A string takes any text.
        let _ = if self.in_both {
            writeln!(text, "{:<9}{:<9}{:<9}{:<PROMISE$}  test", "ID", "process", "guest", "promise")
        } else {
            writeln!(text, "{:<9}{:<9}{:>9}  {:<PROMISE$}  test", "ID", "result", "time", "promise")
        };
        for row in &self.rows {
            let line = if self.in_both { row.in_both() } else { row.in_one() };
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let Summary { counts, tests, ms } = &self.summary;
        for count in counts {
            let _ = writeln!(text, "{count}.");
        }
        let _ = writeln!(text, "{tests} tests took {}.", seconds(*ms));
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
    /// Counts the promises of this kind, or the cases; `None` if there is none.
    fn of(rows: &[Row], kind: Kind, cases: bool) -> Option<Self> {
        let of = if cases { "cases" } else { "promises" };
        let mut count = Self { kind, of, all: 0, pass: 0, fail: 0, missing: 0, untested: 0 };
        for proof in
            rows.iter().filter(|row| row.is_case == cases).flat_map(Row::proofs).filter(|proof| proof.kind == kind)
        {
            count.all += 1;
            match proof.result {
                Verdict::Pass => count.pass += 1,
                Verdict::Fail => count.fail += 1,
                Verdict::Missing => count.missing += 1,
                Verdict::Untested => count.untested += 1,
            }
        }
        (count.all > 0).then_some(count)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, of, all, pass, fail, missing, untested } = self;
        write!(f, "{}: {all} {of}: {pass} pass, {fail} fail, {missing} have no test", kind.word())?;
        if *untested > 0 { write!(f, ", {untested} have none yet") } else { Ok(()) }
    }
}

impl Row {
    fn new(promise: &Promise, columns: Columns, ran: &[(&Test, TestResult)]) -> Self {
        let proof = |claim| Proof::new(promise, claim, ran);
        Self {
            id: promise.id.to_string(),
            promise: promise.text.clone(),
            in_process: promise.in_process().map(proof),
            in_guest: promise.in_guest(columns).map(proof),
            is_case: promise.is_case,
        }
    }

    fn proofs(&self) -> impl Iterator<Item = &Proof> {
        [&self.in_process, &self.in_guest].into_iter().flatten()
    }

    /// Line in a table of one result each.
    fn in_one(&self) -> String {
        let Some(proof) = self.proofs().next() else { return String::new() };
        let time = if proof.test.is_some() { seconds(proof.ms) } else { String::new() };
        let promise = shortened(&self.promise);
        format!("{:<9}{:<9}{time:>9}  {promise:<PROMISE$}  {}", self.id, proof.result.word(), proof.named())
    }

    /// Line in a table of the results in processes and in guests.
    fn in_both(&self) -> String {
        let word = |proof: &Option<Proof>| proof.as_ref().map_or("", |proof| proof.result.word());
        let (in_process, in_guest) = (word(&self.in_process), word(&self.in_guest));
        // The one that is worse, and of two that are kept the one in the guest, which is further away.
        let shown = self.proofs().find(|proof| proof.result == Verdict::Fail).or(self.proofs().last());
        let promise = shortened(&self.promise);
        let named = shown.map(Proof::named).unwrap_or_default();
        format!("{:<9}{in_process:<9}{in_guest:<9}{promise:<PROMISE$}  {named}", self.id)
    }
}

/// Serializes the word that the document has for a kind.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes fields so
fn as_word<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.word())
}

impl Proof {
    fn new(promise: &Promise, claim: Claim, ran: &[(&Test, TestResult)]) -> Self {
        let proving = ran.iter().filter(|(test, _)| test.proves(promise, claim.kind));
        let tests: Vec<_> = proving.map(|(test, result)| TestRow::new(test, result)).collect();
        let failing = tests.iter().find(|test| test.result != Verdict::Pass);
        let result = match (tests.is_empty(), failing) {
            (true, _) if claim.untested => Verdict::Untested,
            (true, _) => Verdict::Missing,
            (_, Some(_)) => Verdict::Fail,
            (_, None) => Verdict::Pass,
        };
        Self {
            kind: claim.kind,
            test: failing.or(tests.first()).map(|test| test.name.clone()),
            result,
            ms: tests.iter().map(|test| test.ms).sum(),
            tests,
        }
    }

    /// The deciding test, and how many others there are.
    fn named(&self) -> String {
        let Some(name) = &self.test else {
            return if self.result == Verdict::Untested { "no test yet".to_owned() } else { String::new() };
        };
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
