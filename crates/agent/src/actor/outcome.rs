//! End of a step: its outcome, and what it left behind.

pub use lifeboat_recovery_policy::record::Outcome;
use serde::{Deserialize, Serialize};

/// End of a step: its outcome, and the settings that are not as they were before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Outcome of the step.
    pub outcome: Outcome,
    /// Settings that are not as they were, in words. Empty if all are, and unknown if the outcome is ambiguous.
    pub unrestored: Vec<String>,
}

impl Ending {
    /// Creates the end of a step of which nobody knows how far it came.
    pub fn ambiguous(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Ambiguous(reason.into()), unrestored: Vec::new() }
    }

    /// Creates the end of a step that changed nothing.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Refused(reason.into()), unrestored: Vec::new() }
    }
}
