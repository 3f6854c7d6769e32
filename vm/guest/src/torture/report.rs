//! What a round is given, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fuzz::report::Commands;

/// What a round is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Decides what each client does.
    pub seed: u64,
    /// How long anything may take, in milliseconds.
    pub limit_ms: u64,
    /// The node.
    pub node: String,
    /// Sizes and limits of the device.
    pub info: lifeboat_uapi::Info,
    /// What clients' jobs do.
    pub work: Vec<Work>,
    /// Errors that a job may end with although the device is not lost.
    pub results: Vec<i32>,
    /// Whether what is written to video memory may be lost although the device is not.
    pub loses_writes: bool,
    /// For the client that calls everything.
    pub commands: Commands,
}

/// A job: it fills one buffer with a word, and copies that to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Its commands.
    pub commands: Vec<u8>,
    /// Where the two buffers must be, in bytes.
    pub addresses: [u64; 2],
    /// Their size in bytes.
    pub bytes: u64,
    /// The word.
    pub word: u32,
}

/// What came of a round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What each kind of client has done: steps.
    pub steps: BTreeMap<String, u64>,
    /// How jobs ended: 0, or the negative error.
    pub results: BTreeMap<i32, u64>,
    /// Clients that have seen the device lost.
    pub lost: u64,
    /// Clients, but for those that call everything: these go on.
    pub clients: u64,
    /// Calls of the client that calls everything.
    pub calls: u64,
    /// What must not be.
    pub findings: Vec<String>,
}

impl Report {
    /// Adds another client's.
    pub fn add(&mut self, other: Self) {
        other.steps.into_iter().for_each(|(name, steps)| *self.steps.entry(name).or_default() += steps);
        other.results.into_iter().for_each(|(result, count)| *self.results.entry(result).or_default() += count);
        self.lost += other.lost;
        self.clients += other.clients;
        self.calls += other.calls;
        self.findings.extend(other.findings);
    }
}
