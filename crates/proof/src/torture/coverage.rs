//! Which events, and which faults, have met the lifecycle of a slot in which states: what of [`lifeboat::core::lifecycle`] was
//! really run through.

use std::collections::BTreeMap;

use lifeboat::Visit;
use serde::Serialize;

/// All pairs that can come to pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Pairs that have been.
    pub seen: usize,
    /// Pairs there are.
    pub of: usize,
    /// Each of them.
    pub pairs: Vec<Pair>,
}

/// An event in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Where a slot was.
    pub state: String,
    /// What happened then.
    pub event: &'static str,
    /// How often.
    pub count: u64,
}

/// Cycles in which a kind of fault must have been planned before it is wrong that it never happened: one of them may be lost in
/// some other way first, but not so many.
const ENOUGH: u64 = 20;

/// How often a kind of fault was planned, and what has come of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Met {
    /// Cycles that were to have it.
    pub planned: u64,
    /// Of these, those in which all of it has happened.
    pub happened: u64,
    /// How often a part of it has happened while the slot was in which state.
    pub states: BTreeMap<String, u64>,
}

impl Met {
    /// Whether it was planned so often that it should have happened, and never did.
    pub fn never_happened(&self) -> bool {
        self.planned >= ENOUGH && self.happened == 0
    }
}

impl Coverage {
    /// What one bus has seen. All of them have the same pairs.
    pub(super) fn add(&mut self, visits: &[Visit]) {
        for visit in visits {
            let (state, event) = (visit.state.to_string(), visit.event.name());
            match self.pairs.iter_mut().find(|pair| pair.event == event && pair.state == state) {
                Some(pair) => pair.count += visit.count,
                None => self.pairs.push(Pair { state, event, count: visit.count }),
            }
        }
        self.of = self.pairs.len();
        self.seen = self.pairs.iter().filter(|pair| pair.count > 0).count();
    }

    /// What has not been, by states.
    pub(super) fn missing(&self) -> Vec<(&str, Vec<&'static str>)> {
        let mut missing: Vec<(&str, Vec<_>)> = Vec::new();
        for pair in self.pairs.iter().filter(|pair| pair.count == 0) {
            match missing.last_mut() {
                Some((state, events)) if *state == pair.state => events.push(pair.event),
                _ => missing.push((&pair.state, vec![pair.event])),
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use lifeboat::core::lifecycle::{EventKind, LifecycleState};

    use super::*;

    #[test]
    fn what_two_buses_have_seen_adds_up() {
        let visit = |state, event, count| Visit { state, event, count };
        let mut coverage = Coverage::default();
        coverage.add(&[
            visit(LifecycleState::Empty, EventKind::Inserted, 2),
            visit(LifecycleState::Bound, EventKind::Removed, 0),
        ]);
        coverage.add(&[
            visit(LifecycleState::Empty, EventKind::Inserted, 3),
            visit(LifecycleState::Bound, EventKind::Removed, 0),
        ]);
        assert_eq!((coverage.seen, coverage.of), (1, 2));
        assert_eq!(coverage.pairs[0], Pair { state: "empty".into(), event: "inserted", count: 5 });
        assert_eq!(coverage.missing(), [("bound", vec!["removed"])]);
    }

    #[test]
    fn what_is_planned_often_and_never_happens_is_wrong() {
        let met = |planned, happened| Met { planned, happened, ..Met::default() };
        assert!(!met(ENOUGH - 1, 0).never_happened(), "too few to be sure");
        assert!(met(ENOUGH, 0).never_happened());
        assert!(!met(1000, 1).never_happened());
    }
}
