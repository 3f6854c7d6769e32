//! Order to a process that carries a plan out, and the lines that the process reports.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::confine::{Confined, Wish};
use crate::actor::execute::Progress;
use crate::actor::plan::Plan;

/// Last byte of an order: an order without it is not whole.
pub(super) const END: u8 = b'\n';

/// Order: what to do, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Absolute path of the directory that stands for `/sys`.
    pub sys: PathBuf,
    /// The plan.
    pub plan: Plan,
    /// Firmness of the process's confinement.
    pub wish: Wish,
}

/// Line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The process has confined itself.
    Confined(Confined),
    /// The process refuses the order, and nothing was done.
    Refused(String),
    /// Progress of the plan.
    Progress(Progress),
}
