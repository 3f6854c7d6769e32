//! Which events have come in which states of a slot's lifecycle, and how often: what a test of the whole has really seen.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lifeboat_core::lifecycle::{Kind, State};

/// A pair that can come to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Where a slot was.
    pub state: State,
    /// What happened then.
    pub event: Kind,
    /// How often, in all slots of the bus.
    pub count: u64,
}

pub(super) struct Visits([[AtomicU64; Kind::ALL.len()]; State::COUNT]);

impl Default for Visits {
    fn default() -> Self {
        Self([const { [const { AtomicU64::new(0) }; Kind::ALL.len()] }; State::COUNT])
    }
}

impl Visits {
    pub(super) fn count(&self, state: State, event: Kind) {
        self.0[state.index()][event as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn list(&self) -> Vec<Visit> {
        let counts = |(state, row): (State, &[AtomicU64; Kind::ALL.len()])| {
            Kind::ALL.map(|event| Visit { state, event, count: row[event as usize].load(Relaxed) })
        };
        let possible = |visit: &Visit| visit.state.expects(visit.event);
        State::all().zip(&self.0).flat_map(counts).filter(possible).collect()
    }
}
