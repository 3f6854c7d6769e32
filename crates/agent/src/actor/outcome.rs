//! Outcome: how a step ended, and what it left behind.

use serde::{Deserialize, Serialize};

/// Outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every operation did what it was to do.
    Succeeded,
    /// An operation failed after something had been changed.
    Failed(String),
    /// Nothing was changed, and why.
    Refused(String),
    /// Nobody can tell how far the step came: the device must be looked at before anything else is done.
    Ambiguous(String),
}

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
