//! The closing report: what happened, in numbers.
//!
//! Serialised, it is the JSON object of `--report json`; its field names are an interface. Displayed, it is the text of
//! `--report text`. [`verdict`](RunReport::verdict) is the judgement, and the exit code follows from nothing else.

mod fate;
mod incidents;
mod text;
mod verdict;

pub use fate::{Fate, Place};
pub use incidents::{BindFailure, Incidents, LeftAlone, Wedging};
pub use verdict::{Reason, Verdict};

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::filter::Filter;
use super::reference::Mismatch;

/// What a run did, and what was done to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The input.
    pub picture: PictureSummary,
    /// What was computed.
    pub filter: Filter,
    /// How many clients shared the work.
    pub clients: u8,
    /// Side of a tile in pixels.
    pub tile: u16,
    /// How many times the picture was to be filtered.
    pub repeat: u32,
    /// The device that was given, by its place on the PCI bus; `None` for the built-in GPU.
    pub device: Option<String>,
    /// What became of each fault that was asked for.
    pub faults: Vec<Fate>,
    /// Whether a fault that never came is as good as one that did.
    pub allow_unfired: bool,
    /// What became of the jobs.
    pub jobs: Jobs,
    /// What became of the fences.
    pub fences: Fences,
    /// How many times the device was lost while the run was on.
    pub unplugs: u64,
    /// How many times a device came back after that.
    pub replugs: u64,
    /// How it was lost, and why a device could not be bound.
    #[serde(flatten)]
    pub incidents: Incidents,
    /// The files with dumps of the device, in their order, if they were wanted.
    pub dumps: Vec<String>,
    /// Events that did not arrive where they were wanted; `None` if they were not.
    pub events_lost: Option<u64>,
    /// The longest time anyone waited for a fence.
    pub longest_wait_us: u64,
    /// What is known only of the built-in GPU; without it these fields are not there.
    #[serde(flatten)]
    pub built_in: Option<BuiltIn>,
    /// What became of the tiles.
    pub tiles: Tiles,
    /// Whether every pixel of the output is what the CPU reference says. False also if it was not compared, because not all
    /// tiles are done.
    pub output_matches_reference: bool,
    /// Where the output was saved, if that was wanted and it is right.
    pub saved: Option<String>,
    /// Where the output was wanted and is not, because it is not known to be right: what was there is untouched.
    #[serde(skip)]
    pub not_saved: Option<String>,
    /// Where it is wrong, if it was compared and is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// Whether the user ended the run before its end.
    pub interrupted: bool,
    /// How long the run took.
    pub seconds: f64,
    /// How much of this there was no device.
    pub outage_seconds: f64,
    /// Throughput while there was a device, in millions of output pixels a second.
    pub mpixel_per_s: f64,
    /// The most memory the process had, the GPU's included; `None` if the system does not tell.
    pub peak_memory_bytes: Option<u64>,
}

/// What can be said of a GPU, a driver and a display that are part of this process, and of no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BuiltIn {
    /// Gives the same run again.
    pub seed: u64,
    /// How long the unplug path took, from the loss to the release of the binding.
    pub unplug_us: Spread,
    /// Handles that nobody had closed when all clients were done.
    pub handles_open_at_end: u64,
    /// What was not given back, by type; empty when nothing leaked.
    pub leaks: BTreeMap<String, u64>,
    /// What the GPU model saw the driver do wrong, in words.
    pub witness_violations: Vec<String>,
    /// How many times the compositor showed another picture.
    pub flips: u64,
    /// Whether the display showed, at the end, what it was last given; `None` if there was no device to show it.
    pub scanout_matches: Option<bool>,
}

/// The input of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PictureSummary {
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Where it comes from.
    pub source: String,
    /// What of the file is not in the pixels that were filtered, in words.
    pub notes: Vec<&'static str>,
}

/// What became of the tiles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tiles {
    /// Tiles of all rounds.
    pub all: u64,
    /// Those that are done.
    pub done: u64,
    /// Tiles of later rounds that came out otherwise than in the first.
    pub unequal: u64,
}

impl std::fmt::Display for Tiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} tiles are", self.done, self.all)
    }
}

/// What became of the jobs. Each submission ends in one of three ways: `submitted` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Jobs {
    /// Submissions that the framework accepted, repeated ones included.
    pub submitted: u64,
    /// Submissions whose fence was signalled without an error.
    pub completed: u64,
    /// Submissions that ended in an error, and whose work nobody submitted again.
    pub lost: u64,
    /// Submissions that ended in an error, and whose work was submitted again.
    pub resubmitted: u64,
}

/// What became of the fences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fences {
    /// Fences that were created.
    pub created: u64,
    /// Fences that were signalled, with an error or without.
    pub signalled: u64,
    /// Fences that were signalled with an error, by its name in `errno.h`.
    pub by_error: BTreeMap<String, u64>,
}

/// Median and maximum of some durations, in microseconds; 0 if there was none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the later of the two.
    pub median: u64,
    /// The longest.
    pub max: u64,
}

impl Spread {
    /// The spread of some durations.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<u64> = durations.into_iter().map(microseconds).collect();
        sorted.sort_unstable();
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0);
        Self { median: at(sorted.len() / 2), max: at(sorted.len().saturating_sub(1)) }
    }
}

/// A duration as a report states it.
pub fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
