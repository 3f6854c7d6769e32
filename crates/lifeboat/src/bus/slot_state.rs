//! Where a slot is in its lifecycle, for whoever asks from outside of its watcher.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lifeboat_core::lifecycle::LifecycleState;

/// Tells where a slot is in its lifecycle. Clones tell of the same slot. It may be asked anywhere, also inside an access of a
/// driver: it takes no lock. The answer may be old as soon as it is given.
#[derive(Debug, Clone)]
pub struct SlotState(Arc<AtomicUsize>);

impl SlotState {
    pub(super) fn new(state: LifecycleState) -> Self {
        Self(Arc::new(AtomicUsize::new(state.index())))
    }

    pub(super) fn set(&self, state: LifecycleState) {
        self.0.store(state.index(), Relaxed);
    }

    /// The state that the slot is in.
    pub fn get(&self) -> LifecycleState {
        // Only indices of states are stored.
        LifecycleState::all().nth(self.0.load(Relaxed)).unwrap_or(LifecycleState::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_told_as_it_is() {
        let told = SlotState::new(LifecycleState::Empty);
        for state in LifecycleState::all() {
            told.set(state);
            assert_eq!(told.clone().get(), state);
        }
    }
}
