//! What `cargo xtask exhaust` reports.

use std::fmt;
use std::num::NonZero;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::mode::Mode;
use super::point::Point;
use lifeboat_cli::exit::Exit;

/// Modes side by side in a table.
const COLUMNS: usize = 6;

/// What was done, and what was wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExhaustReport {
    /// The driver that was put to the proof.
    pub driver: &'static str,
    /// Points that were run.
    pub points: usize,
    /// Calls, and what else was put to the test.
    pub calls: usize,
    /// Points that were not as they must be, and reports of the lint.
    pub failures: usize,
    /// Whether the user ended it before all points were run.
    pub interrupted: bool,
    /// How long it took.
    pub seconds: f64,
    /// Each call, in each mode.
    pub table: Vec<Line>,
    /// What failed.
    pub failed: Vec<Failure>,
    /// What the lint has seen, at whatever point.
    pub lint: Vec<String>,
    /// Which points were chosen, unless it was all.
    pub sample: Option<Sample>,
}

/// A choice of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// One of so many.
    pub every: NonZero<usize>,
    /// What decides with which it begins.
    pub seed: u64,
}

/// One call in one mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its name.
    pub call: &'static str,
    /// What happened to the device.
    pub mode: Mode,
    /// Its hardware accesses when nothing happens.
    pub accesses: u64,
    /// How often it was run.
    pub points: usize,
    /// Of these, how often the device was lost, or hung, at the access. What touches no hardware has none to be lost at, and
    /// an interrupt may report two things at once: then the device was lost after the last access.
    pub reached: usize,
}

impl Line {
    /// These points of all were not run.
    pub(super) fn leave_out(&mut self, points: &[Point]) {
        let left_out = points.iter().filter(|point| (point.deed.name(), point.mode) == (self.call, self.mode)).count();
        self.points = self.points.saturating_sub(left_out);
        self.reached = self.reached.saturating_sub(left_out);
    }

    /// The same, if these points had no access.
    pub(super) fn without(self, missed: &[Point]) -> Self {
        let missed = missed.iter().filter(|point| (point.deed.name(), point.mode) == (self.call, self.mode));
        Self { reached: self.reached.saturating_sub(missed.count()), ..self }
    }
}

/// A point that was not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What was under way.
    pub call: &'static str,
    /// What happened.
    pub mode: Mode,
    /// At which access.
    pub at: u64,
    /// What was wrong.
    pub wrong: Vec<String>,
    /// Arguments that repeat it.
    pub repeat: String,
}

impl Failure {
    pub(super) fn new(driver: &str, point: &Point, wrong: Vec<String>) -> Self {
        let Point { deed, mode, at } = *point;
        Self { call: deed.name(), mode, at: at.unwrap_or(0), wrong, repeat: format!("--driver {driver} {point}") }
    }
}

impl ExhaustReport {
    pub(super) fn new(
        driver: &'static str,
        table: Vec<Line>,
        failed: Vec<Failure>,
        lint: Vec<String>,
        took: Duration,
        interrupted: bool,
    ) -> Self {
        let mut names: Vec<_> = table.iter().map(|line| line.call).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            driver,
            points: table.iter().map(|line| line.points).sum(),
            calls: names.len(),
            failures: failed.len() + lint.len(),
            interrupted,
            seconds: took.as_secs_f64(),
            table,
            failed,
            lint,
            sample: None,
        }
    }

    /// What to tell the shell.
    pub fn exit(&self) -> Exit {
        match (self.failures, self.interrupted) {
            (0, false) => Exit::Success,
            (0, true) => Exit::Interrupted,
            (1.., _) => Exit::Failed,
        }
    }
}

impl ExhaustReport {
    /// Those that were run, in order.
    fn modes(&self) -> Vec<Mode> {
        let was_run = |mode: &Mode| self.table.iter().any(|line| line.mode == *mode);
        Mode::value_variants().iter().copied().filter(was_run).collect()
    }

    /// How many points each call had, for some modes.
    fn write_table(&self, modes: &[Mode], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:20}", "points")?;
        for mode in modes {
            let name = mode.to_possible_value();
            write!(f, "{:>16}", name.as_ref().map_or("", |name| name.get_name()))?;
        }
        writeln!(f)?;
        let mut names: Vec<&str> = Vec::new();
        for line in self.table.iter().filter(|line| modes.contains(&line.mode)) {
            if !names.contains(&line.call) {
                names.push(line.call);
            }
        }
        for name in names {
            write!(f, "{name:20}")?;
            for mode in modes {
                let line = self.table.iter().find(|line| line.call == name && line.mode == *mode);
                write!(f, "{:>16}", line.map_or_else(|| "-".to_owned(), |line| line.points.to_string()))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo xtask exhaust {}", self.repeat)?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "\n    {wrong}"))
    }
}

impl fmt::Display for ExhaustReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for modes in self.modes().chunks(COLUMNS) {
            self.write_table(modes, f)?;
            writeln!(f)?;
        }
        for failure in &self.failed {
            writeln!(f, "\n{failure}")?;
        }
        for report in &self.lint {
            writeln!(f, "\nthe lint has seen: {report}")?;
        }
        if let Some(Sample { every, seed }) = self.sample {
            writeln!(f, "a sample: every point of {every}, seed {seed}")?;
        }
        let Self { driver, points, calls, failures, seconds, .. } = self;
        let reached: usize = self.table.iter().map(|line| line.reached).sum();
        write!(
            f,
            "\n{points} points of {calls} calls of {driver} in {seconds:.1} s, {reached} of them at an access: "
        )?;
        match failures {
            0 if self.interrupted => writeln!(f, "INTERRUPTED; until then every one was as it must be."),
            0 => writeln!(f, "OK, every one as it must be."),
            1 => writeln!(f, "1 FAILED."),
            _ => writeln!(f, "{failures} FAILED."),
        }
    }
}
