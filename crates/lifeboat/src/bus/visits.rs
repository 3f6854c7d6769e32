//! Which events have come in which states of a slot's lifecycle, and how often: what a test of the whole has really seen.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lifeboat_core::lifecycle::{EventKind, LifecycleState};

/// A pair that can come to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// Where a slot was.
    pub state: LifecycleState,
    /// What happened then.
    pub event: EventKind,
    /// How often, in all slots of the bus.
    pub count: u64,
}

pub(super) struct Visits([[AtomicU64; EventKind::ALL.len()]; LifecycleState::COUNT]);

impl Default for Visits {
    fn default() -> Self {
        Self([const { [const { AtomicU64::new(0) }; EventKind::ALL.len()] }; LifecycleState::COUNT])
    }
}

impl Visits {
    pub(super) fn count(&self, state: LifecycleState, event: EventKind) {
        self.0[state.index()][event as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn list(&self) -> Vec<Visit> {
        let counts = |(state, row): (LifecycleState, &[AtomicU64; EventKind::ALL.len()])| {
            EventKind::ALL.map(|event| Visit { state, event, count: row[event as usize].load(Relaxed) })
        };
        let possible = |visit: &Visit| visit.state.expects(visit.event);
        LifecycleState::all().zip(&self.0).flat_map(counts).filter(possible).collect()
    }
}
