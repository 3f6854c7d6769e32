//! Rule for a device: the policy that the state machine follows, and what only the shell needs.

use std::path::PathBuf;

use lifeboat_recovery_policy::policy::Policy;

use super::glob::Glob;
use super::matcher::Matcher;
use super::problem::Place;

/// Rule for devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Place of the rule, for `explain`.
    pub place: Place,
    /// Devices that the rule is for.
    pub matcher: Matcher,
    /// Rules for the state machine.
    pub policy: Policy,
    /// Patterns of processes and units that are never ended.
    pub never: Vec<Glob>,
    /// Extras of each step, in the order of the policy's steps.
    pub extras: Vec<StepExtras>,
    /// Proof that the device works again.
    pub verify: Verify,
}

/// Part of a step that only the one who carries it out needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepExtras {
    /// Classes of other functions that the step may affect, as patterns of six hexadecimal digits. The functions must
    /// be free all the same.
    pub with: Vec<Glob>,
}

/// Proof that a device works again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// Whether the device's node must be there and open.
    pub node: bool,
    /// Program that must say so.
    pub probe: Option<PathBuf>,
}

impl Default for Verify {
    fn default() -> Self {
        Self { node: true, probe: None }
    }
}
