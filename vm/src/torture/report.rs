//! What came of a torture, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::faults::Kind;
use crate::faults::kind::Helped;
use crate::suite::report::{Outcome, TestReport};
use crate::torture::round::Round;

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct TortureReport {
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// The verdict.
    pub outcome: Outcome,
    /// Why it failed.
    pub failure: Option<String>,
    /// What was done.
    #[serde(flatten)]
    pub tally: Tally,
    /// How to do the same again.
    pub repeat: String,
}

/// What was done.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Cycles: a fault, and the full return of the device.
    pub cycles: u64,
    /// By kind of fault.
    pub kinds: BTreeMap<String, Cycles>,
    /// Steps by kind of client.
    pub steps: BTreeMap<String, u64>,
    /// Ends of jobs: 0, or the negative error.
    pub results: BTreeMap<i32, u64>,
    /// Calls of the client that calls everything.
    pub calls: u64,
}

/// Cycles of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cycles {
    /// How many.
    pub cycles: u64,
    /// In how many the device was lost.
    pub lost: u64,
    /// In how many of those it came back by itself.
    pub unaided: u64,
    /// Milliseconds from the fault until the device worked and its clients had ended, of each.
    pub recovery_ms: Vec<f64>,
}

impl Tally {
    pub(super) fn add(&mut self, kind: Kind, round: Round) {
        let Round { report, lost, helped, recovery } = round;
        self.cycles += 1;
        let of_kind = self.kinds.entry(kind.to_string()).or_default();
        of_kind.cycles += 1;
        of_kind.lost += u64::from(lost);
        of_kind.unaided += u64::from(lost && helped == Helped::No);
        of_kind.recovery_ms.push(recovery.as_secs_f64() * 1e3);
        report.steps.into_iter().for_each(|(name, steps)| *self.steps.entry(name).or_default() += steps);
        report.results.into_iter().for_each(|(result, count)| *self.results.entry(result).or_default() += count);
        self.calls += report.calls;
    }
}

impl TortureReport {
    pub(super) fn new(seed: u64, seconds: Duration, test: TestReport, tally: Tally, debug: bool) -> Self {
        let kernel = if debug { " --debug-kernel" } else { "" };
        let minutes = seconds.as_secs().div_ceil(60);
        let repeat = format!("cargo xtask vm torture --seed {seed} --minutes {minutes}{kernel}");
        Self { seed, outcome: test.outcome, failure: test.failure, tally, repeat }
    }

    /// Whether nothing was wrong.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }
}

impl fmt::Display for TortureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>6} {:>6} {:>8}  until it worked (ms): least, median, most",
            "fault", "cycles", "lost", "unaided"
        )?;
        for (kind, Cycles { cycles, lost, unaided, recovery_ms }) in &self.tally.kinds {
            let mut sorted = recovery_ms.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
            let [least, median, most] = [0, sorted.len() / 2, sorted.len().saturating_sub(1)].map(at);
            writeln!(f, "{kind:<20} {cycles:>6} {lost:>6} {unaided:>8}  {least:8.1} {median:8.1} {most:8.1}")?;
        }
        let Tally { cycles, steps, results, calls, .. } = &self.tally;
        writeln!(
            f,
            "{cycles} cycles; steps of clients {steps:?}; ends of jobs {results:?}; {calls} calls of all kinds"
        )?;
        match &self.failure {
            None => write!(f, "nothing was wrong; seed {}", self.seed),
            Some(failure) => write!(f, "FAILED: {failure}\nagain: {}", self.repeat),
        }
    }
}
