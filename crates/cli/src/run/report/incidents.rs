//! How the device was lost, if it was, and why none could be bound: in the words of who wants it back.

use std::collections::BTreeMap;

use serde::Serialize;

use super::RunReport;
use super::text::{counted, times};

/// What happened to the device while the run was on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Incidents {
    /// How often it was lost, by the way it was lost in.
    pub losses: BTreeMap<String, u64>,
    /// Each time a device was declared wedged.
    pub wedged: Vec<Wedging>,
    /// Each time what was in the slot could not be bound.
    pub bind_failures: Vec<BindFailure>,
    /// Each time it was said that a device is left alone.
    pub left_alone: Vec<LeftAlone>,
}

/// A device for which nothing more is tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftAlone {
    /// Seconds after the start.
    pub at_seconds: f64,
    /// Why.
    pub why: String,
    /// What would help.
    pub helps: Vec<String>,
}

/// A device that was given up and kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wedging {
    /// Seconds after the start.
    pub at_seconds: f64,
    /// What failed.
    pub failure: String,
    /// What would help, as the kernel's event names it.
    pub helps: Vec<String>,
    /// Whether a device worked again afterwards.
    pub over: bool,
}

/// A device that could not be bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BindFailure {
    /// Seconds after the start.
    pub at_seconds: f64,
    /// Why.
    pub why: String,
}

/// The losses in which the device itself failed and was bound again.
const FAILED: [&str; 2] = ["crashed", "hung"];
const WEDGED: &str = "wedged";

impl RunReport {
    /// What happened to the device, in sentences.
    pub(super) fn device_story(&self) -> Vec<String> {
        let Incidents { losses, wedged, bind_failures, left_alone } = &self.incidents;
        let of = |name: &str| losses.get(name).copied().unwrap_or(0);
        let failed: u64 = FAILED.into_iter().map(of).sum();
        let vanished = self.unplugs.saturating_sub(failed + of(WEDGED));
        let ways: Vec<_> = [("vanished", vanished), ("failed", failed), ("was wedged", of(WEDGED))]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(way, count)| format!("{way} {}", times(count)))
            .collect();
        let mut story = vec![match (self.unplugs, self.replugs) {
            (0, _) if self.jobs.submitted == 0 && !bind_failures.is_empty() => {
                "There was no GPU to work with.".to_owned()
            }
            (0, _) => "The GPU stayed in its slot.".to_owned(),
            (_, 0) => format!("The GPU {} while it worked and did not come back.", ways.join(", ")),
            (_, back) => format!("The GPU {} while it worked and came back {}.", ways.join(", "), times(back)),
        }];
        for Wedging { at_seconds, failure, helps, over } in wedged {
            let helps = if helps.is_empty() { "unknown".to_owned() } else { helps.join(", ") };
            story.push(if *over {
                format!("One was wedged {at_seconds:.2} s after the start ({failure}); another came in its place.")
            } else {
                format!(
                    "It is wedged since {at_seconds:.2} s after the start: {failure}. What helps: {helps}, or another GPU in its \
                     place (`,replug:DURATION`); --recoveries lets the driver try more often."
                )
            });
        }
        let mut reasons: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
        for BindFailure { at_seconds, why } in bind_failures {
            reasons.entry(why).or_insert((0, *at_seconds)).0 += 1;
        }
        for (why, (count, first)) in reasons {
            let often = if count == 1 { "once".to_owned() } else { counted(count, "time") };
            story.push(format!("A GPU could not be bound, {often}, first {first:.2} s after the start: {why}."));
        }
        for LeftAlone { at_seconds, why, helps } in left_alone {
            let helps = helps.join(", ");
            story.push(format!(
                "Nothing more was tried with it from {at_seconds:.2} s after the start on: {why}. What helps: {helps}."
            ));
        }
        story
    }

    /// What is known of the picture that came out.
    pub(super) fn output_story(&self) -> String {
        match (self.output_matches_reference, &self.mismatch) {
            (true, _) => "The picture that came out equals the one computed on the CPU, bit for bit.".to_owned(),
            (false, Some(mismatch)) => format!("The picture that came out is wrong: {mismatch}."),
            (false, None) if self.tiles.done < self.tiles.all && self.interrupted => {
                "You ended the run early, so there is no whole picture to check.".to_owned()
            }
            (false, None) if self.tiles.done < self.tiles.all => {
                format!("There is no whole picture to check: {} done.", self.tiles)
            }
            (false, None) => format!(
                "The picture did not come out the same each time: {} of later rounds differed.",
                counted(self.tiles.unequal, "tile")
            ),
        }
    }
}
