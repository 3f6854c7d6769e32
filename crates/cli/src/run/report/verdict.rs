//! Was every promise kept?

use std::fmt;

use super::{RunReport, Tiles};
use crate::exit::Exit;

/// The judgement on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was lost, leaked or violated, and the output is right.
    Kept,
    /// The same, but so many faults that were asked for never came.
    NotAsAsked(usize),
    /// The user ended the run; until then nothing was leaked or violated.
    Interrupted,
    /// Something was lost, leaked or violated: all of these.
    Broken(Vec<Reason>),
}

/// One promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This many jobs ended in an error and were never done.
    JobsLost(u64),
    /// This many submissions are not accounted for: the numbers do not add up.
    JobsUnaccounted(u64),
    /// This many fences were never signalled, or, as much against the rules, signalled twice.
    FencesUnbalanced(u64),
    /// This many handles were still open.
    HandlesOpen(u64),
    /// Something of these types was not given back.
    Leaked(Vec<String>),
    /// The GPU model saw the driver break this many rules.
    Violations(usize),
    /// Not all tiles are done, so there is no output to judge.
    Unfinished(Tiles),
    /// The output is not what the reference says.
    WrongOutput,
    /// The display did not show what it was given.
    WrongScanout,
}

impl RunReport {
    /// Judges the run.
    pub fn verdict(&self) -> Verdict {
        let mut reasons = Vec::new();
        let mut require = |kept: bool, reason: Reason| {
            if !kept {
                reasons.push(reason);
            }
        };
        // An interrupted run leaves work undone, and there is no complete output to judge.
        if !self.interrupted {
            let jobs = self.jobs;
            let ended = jobs.completed.saturating_add(jobs.lost).saturating_add(jobs.resubmitted);
            require(jobs.lost == 0, Reason::JobsLost(jobs.lost));
            require(jobs.submitted == ended, Reason::JobsUnaccounted(jobs.submitted.abs_diff(ended)));
            if self.tiles.done < self.tiles.all {
                require(false, Reason::Unfinished(self.tiles));
            } else {
                require(self.output_matches_reference, Reason::WrongOutput);
            }
        }
        let unbalanced = self.fences.created.abs_diff(self.fences.signalled);
        require(unbalanced == 0, Reason::FencesUnbalanced(unbalanced));
        if let Some(inside) = &self.built_in {
            require(inside.scanout_matches != Some(false), Reason::WrongScanout);
            require(inside.handles_open_at_end == 0, Reason::HandlesOpen(inside.handles_open_at_end));
            let leaked = inside.leaks.iter().filter(|&(_, &count)| count > 0).map(|(name, _)| name.clone());
            let leaked: Vec<_> = leaked.collect();
            require(leaked.is_empty(), Reason::Leaked(leaked));
            require(inside.witness_violations.is_empty(), Reason::Violations(inside.witness_violations.len()));
        }
        match reasons.is_empty() {
            false => Verdict::Broken(reasons),
            true if self.interrupted => Verdict::Interrupted,
            true => match self.faults.iter().filter(|fate| !fate.fired).count() {
                unfired @ 1.. if !self.allow_unfired => Verdict::NotAsAsked(unfired),
                _ => Verdict::Kept,
            },
        }
    }
}

impl Verdict {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Kept => Exit::Success,
            Self::NotAsAsked(_) => Exit::NotAsAsked,
            Self::Interrupted => Exit::Interrupted,
            Self::Broken(_) => Exit::Failed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("OK: nothing was lost, leaked or violated."),
            Self::NotAsAsked(unfired) => write!(
                f,
                "NOT AS ASKED: nothing was lost, leaked or violated, but {} never came; give another time, or \
                 --allow-unfired.",
                if *unfired == 1 { "1 fault".to_owned() } else { format!("{unfired} faults") }
            ),
            Self::Interrupted => {
                f.write_str("INTERRUPTED: the work is not complete; until then nothing was leaked or violated.")
            }
            Self::Broken(reasons) => {
                f.write_str("FAILED: ")?;
                for (n, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if n == 0 { "" } else { "; " })?;
                }
                f.write_str(".")
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JobsLost(n) => write!(f, "jobs lost: {n}"),
            Self::JobsUnaccounted(n) => write!(f, "jobs not accounted for: {n}"),
            Self::FencesUnbalanced(n) => write!(f, "fences not signalled exactly once: {n}"),
            Self::HandlesOpen(n) => write!(f, "handles left open: {n}"),
            Self::Leaked(types) => write!(f, "leaked: {}", types.join(", ")),
            Self::Violations(n) => write!(f, "rules broken by the driver: {n}"),
            Self::Unfinished(tiles) => write!(f, "the picture is not whole: {tiles} done"),
            Self::WrongOutput => f.write_str("the output does not match the reference"),
            Self::WrongScanout => f.write_str("the display does not show the result"),
        }
    }
}
