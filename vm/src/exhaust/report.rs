//! What a search reports.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::mode::Mode;
use super::plan::Line;
use super::point::{Point, Ran};
use crate::pace::Flavour;

/// What was done, and what was wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Which kind of kernel.
    pub flavour: Flavour,
    /// Points that were run.
    pub points: usize,
    /// Of these, how many had such an access.
    pub reached: usize,
    /// Whether the search ended before all chosen points were run.
    pub interrupted: bool,
    /// Without the boot.
    pub seconds: f64,
    /// What decided which points were run; `null` if all were.
    pub seed: Option<u64>,
    /// Each call.
    pub calls: Vec<CallReport>,
    /// Points that were not as they must be.
    pub failed: Vec<FailedPoint>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallReport {
    /// Its name.
    pub name: &'static str,
    /// Its class; `null` for what is no call of a program.
    pub class: Option<String>,
    /// Its hardware accesses when nothing happens.
    pub accesses: u64,
    /// Points that were run, by mode; without the race switch, and with it.
    pub points: Vec<(Mode, usize, usize)>,
}

/// A point that was not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPoint {
    /// Arguments that repeat it.
    pub repeat: String,
    /// Everything that was wrong.
    pub wrongs: Vec<String>,
}

impl Report {
    pub(super) fn new(
        flavour: Flavour,
        seed: Option<u64>,
        lines: &[Line],
        ran: &[(Point, Ran)],
        took: Duration,
    ) -> Self {
        let mut calls: Vec<CallReport> = Vec::new();
        for line in lines {
            let of = |race| {
                let is_of =
                    |point: &Point| (point.deed.name(), point.mode, point.race) == (line.deed.name(), line.mode, race);
                ran.iter().filter(|(point, _)| is_of(point)).count()
            };
            let name = line.deed.name();
            let index = calls.iter().position(|call| call.name == name).unwrap_or_else(|| {
                let class = line.deed.class().map(|class| format!("{class:?}"));
                calls.push(CallReport { name, class, accesses: line.accesses, points: Vec::new() });
                calls.len() - 1
            });
            if calls[index].points.iter().all(|(mode, ..)| *mode != line.mode) {
                calls[index].points.push((line.mode, of(false), of(true)));
            }
        }
        let failed = ran.iter().filter(|(_, ran)| !ran.wrongs.is_empty());
        let failed = failed.map(|(point, ran)| FailedPoint { repeat: point.to_string(), wrongs: ran.wrongs.clone() });
        Self {
            flavour,
            points: ran.len(),
            reached: ran.iter().filter(|(_, ran)| ran.reached).count(),
            interrupted: false,
            seconds: took.as_secs_f64(),
            seed,
            calls,
            failed: failed.collect(),
        }
    }

    /// Whether every point was as it must be. A search without points has shown nothing.
    pub fn passed(&self) -> bool {
        self.points > 0 && self.failed.is_empty() && !self.interrupted
    }
}

impl fmt::Display for FailedPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cargo xtask vm exhaust {}", self.repeat)?;
        self.wrongs.iter().try_for_each(|wrong| write!(f, "\n    {wrong}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modes: Vec<_> = Mode::ALL
            .into_iter()
            .filter(|mode| self.calls.iter().any(|call| call.points.iter().any(|(of, ..)| of == mode)))
            .collect();
        write!(f, "{:20}{:8}{:>8}", "points", "class", "accesses")?;
        for mode in &modes {
            write!(f, "{:>10}{:>6}", mode.name(), "race")?;
        }
        writeln!(f)?;
        for call in &self.calls {
            write!(f, "{:20}{:8}{:>8}", call.name, call.class.as_deref().unwrap_or("-"), call.accesses)?;
            for mode in &modes {
                match call.points.iter().find(|(of, ..)| of == mode) {
                    Some((_, off, on)) => write!(f, "{off:>10}{on:>6}")?,
                    None => write!(f, "{:>10}{:>6}", "-", "-")?,
                }
            }
            writeln!(f)?;
        }
        for failed in &self.failed {
            writeln!(f, "\n{failed}")?;
        }
        if let Some(seed) = self.seed {
            writeln!(f, "\na sample, seed {seed}")?;
        }
        let Self { points, reached, seconds, .. } = self;
        let each = if *points > 0 { seconds / f64::from(u32::try_from(*points).unwrap_or(u32::MAX)) } else { 0.0 };
        write!(f, "{points} points in {seconds:.1} s ({each:.2} s each), {reached} of them at an access: ")?;
        match self.failed.len() {
            0 if self.interrupted => write!(f, "INTERRUPTED; until then every one was as it must be."),
            0 => write!(f, "every one as it must be."),
            failed => write!(f, "{failed} FAILED."),
        }
    }
}
