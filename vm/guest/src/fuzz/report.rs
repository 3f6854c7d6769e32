//! What came of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fuzz::calls;

/// Findings that are kept; more say nothing new.
const MOST: usize = 20;
/// Characters of a finding: all of them have room in what the test runner reads.
const LENGTH: usize = 2000;

/// What a run is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Decides the sequence of each thread.
    pub seed: u64,
    /// How long, in milliseconds.
    pub run_ms: u64,
    /// Threads.
    pub threads: u32,
    /// How long a call may take, in milliseconds.
    pub limit_ms: u64,
    /// Sizes and limits of the device.
    pub info: lifeboat_uapi::Info,
    /// What it can be told.
    pub commands: Commands,
}

/// Commands of the device, as it reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Those that need no memory.
    pub idle: Vec<Vec<u8>>,
    /// Those that write one page at the address of each slot.
    pub writes: Vec<Vec<u8>>,
    /// Those that do not end.
    pub hangs: Vec<Vec<u8>>,
    /// Bytes from the first address on to that of the next slot.
    pub slot_bytes: u64,
}

/// How often each operation ended how: by its name, and by errno; 0 is success.
pub type Counts = BTreeMap<String, BTreeMap<i32, u64>>;

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Operations.
    pub operations: u64,
    /// How they ended.
    pub counts: Counts,
    /// The longest call, in microseconds, and its name.
    pub longest: (u64, String),
    /// What must not be, the first ones.
    pub findings: Vec<String>,
}

impl Report {
    /// Counts an operation.
    pub fn count(&mut self, name: &str, errno: i32) {
        self.operations += 1;
        if let Some(counts) = self.counts.get_mut(name) {
            *counts.entry(errno).or_default() += 1;
        } else {
            self.counts.insert(name.to_owned(), BTreeMap::from([(errno, 1)]));
        }
    }

    /// Notes a finding.
    pub fn find(&mut self, mut finding: String) {
        if self.findings.len() < MOST {
            finding.truncate(finding.floor_char_boundary(LENGTH));
            self.findings.push(finding);
        }
    }

    /// Adds another thread's.
    pub fn add(&mut self, other: Self) {
        self.operations += other.operations;
        for (name, errnos) in other.counts {
            let counts = self.counts.entry(name).or_default();
            for (errno, count) in errnos {
                *counts.entry(errno).or_default() += count;
            }
        }
        self.longest = std::mem::take(&mut self.longest).max(other.longest);
        for finding in other.findings {
            self.find(finding);
        }
    }

    /// Calls of the driver's own that never succeeded, or never failed: the run has shown little of them.
    pub fn poor(&self) -> Vec<String> {
        let own = calls::all().filter(|shape| shape.is_own()).map(|shape| shape.name);
        own.flat_map(|name| {
            let counts = self.counts.get(name);
            let succeeded = counts.is_some_and(|counts| counts.contains_key(&0));
            let failed = counts.is_some_and(|counts| counts.keys().any(|errno| *errno != 0));
            let succeeded = (!succeeded).then(|| format!("{name} never succeeded"));
            succeeded.into_iter().chain((!failed).then(|| format!("{name} never failed")))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_met_is_said() {
        let mut report = Report::default();
        for shape in calls::all() {
            report.count(shape.name, 22);
            report.count(shape.name, 0);
        }
        assert_eq!(report.poor(), [""; 0]);
        report.counts.get_mut("MAP").map(|counts| counts.remove(&0));
        report.counts.get_mut("INFO").map(|counts| counts.remove(&22));
        assert_eq!(report.poor(), ["INFO never failed", "MAP never succeeded"]);
    }

    #[test]
    fn threads_are_added_up() {
        let mut one = Report { longest: (5, "WAIT".into()), ..Report::default() };
        one.count("MAP", 0);
        let mut sum = Report { longest: (3, "MAP".into()), ..Report::default() };
        sum.count("MAP", 0);
        sum.count("MAP", 2);
        sum.add(one);
        assert_eq!(sum.operations, 3);
        assert_eq!(sum.counts["MAP"], BTreeMap::from([(0, 2), (2, 1)]));
        assert_eq!(sum.longest, (5, "WAIT".into()));
    }
}
