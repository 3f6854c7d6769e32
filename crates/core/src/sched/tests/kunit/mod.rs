//! The cases that `drm_sched` tests with `KUnit`, by their names, on a ring that takes time and a clock that is told.
//!
//! Where the kernel asserts that the last job ends, these assert how every job ends, when and in which order, that no
//! turn is unfair and no ring idle while a queue is ready ([`mock`] watches that in all of them), and that nothing is
//! left.

mod basic;
mod clients;
mod concurrent;
mod mock;
mod placement;
mod timeout;

use super::*;
use mock::{job, Mock};

/// As many as the kernel's mock has: jobs reach the ring as soon as they are ready.
const UNLIMITED: u32 = u32::MAX;

const fn micros(us: u64) -> Timestamp {
    Timestamp::new(Duration::from_micros(us))
}

/// The order in which jobs were given to rings.
fn starts(mock: &Mock) -> Vec<usize> {
    mock.started.iter().map(|(job, _)| *job).collect()
}
