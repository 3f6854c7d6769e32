//! What a process holds between requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::node::Nodes;
use crate::process::Processes;
use crate::uevents::Uevents;
use crate::wire::Request;

/// What requests have left behind for later requests.
#[derive(Debug, Default)]
pub struct Session {
    /// Open nodes, and what belongs to them.
    pub nodes: Nodes,
    /// Processes that were spawned.
    pub processes: Processes,
    /// The kernel's events, once somebody listens.
    pub uevents: Uevents,
    /// Requests that others may ask for by their number.
    kept: Mutex<BTreeMap<u32, Arc<[Request]>>>,
}

impl Session {
    /// Keeps requests under a number.
    pub fn keep(&self, number: u32, requests: Vec<Request>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(number, requests.into());
    }

    /// The requests that were kept under a number.
    pub fn kept(&self, number: u32) -> Option<Arc<[Request]>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }
}
