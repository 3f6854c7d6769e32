//! What a process holds between requests.

use crate::node::Nodes;
use crate::process::Processes;
use crate::uevents::Uevents;

/// What requests have left behind for later requests.
#[derive(Debug, Default)]
pub struct Session {
    /// Open nodes, and what belongs to them.
    pub nodes: Nodes,
    /// Processes that were spawned.
    pub processes: Processes,
    /// The kernel's events, once somebody listens.
    pub uevents: Uevents,
}
