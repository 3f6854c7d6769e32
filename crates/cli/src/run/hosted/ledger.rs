//! What became of each fault: whether the device met it, and where.
//!
//! The card itself says when a fault happens, on whatever thread and possibly inside an access of the driver; here it is written
//! down at once, so that a fault at the last moment of a run is known too. A fault that comes due on a card that was pulled
//! out has hit nothing: it did not fire.

use std::sync::{Arc, Weak};

use lifeboat_gpu::{Card, Counters};
use parking_lot::Mutex;

use crate::run::fault_spec::{FaultSpec, Trigger};
use crate::run::report::{Fate, Place};

/// What is known of each fault, by its number.
#[derive(Clone)]
pub(super) struct Ledger {
    faults: Arc<[FaultSpec]>,
    fired: Arc<Mutex<Vec<Option<Place>>>>,
}

impl Ledger {
    /// None of these has happened.
    pub(super) fn new(faults: Vec<FaultSpec>) -> Self {
        let fired = Arc::new(Mutex::new(vec![None; faults.len()]));
        Self { faults: faults.into(), fired }
    }

    /// All faults, in the order in which they were given.
    pub(super) fn faults(&self) -> &[FaultSpec] {
        &self.faults
    }

    /// Whether this one has happened.
    pub(super) fn has_fired(&self, fault: usize) -> bool {
        self.fired.lock()[fault].is_some()
    }

    /// Takes down that a fault happens now to the `number`-th device; `false` if that device is gone, or it has happened before.
    pub(super) fn fires(&self, fault: usize, number: u32, card: &Weak<Card>) -> bool {
        let Some(card) = card.upgrade().filter(|card| card.is_present()) else { return false };
        let Counters { accesses, jobs, resets, .. } = card.counters();
        let mut fired = self.fired.lock();
        let first = fired[fault].is_none();
        if first {
            fired[fault] = Some(Place { device: number, access: accesses, job: jobs, reset: resets });
        }
        first
    }

    /// What became of all. `most` is what the busiest devices counted.
    pub(super) fn conclude(&self, most: Counters) -> Vec<Fate> {
        let fired = self.fired.lock();
        let fate = |(spec, place): (&FaultSpec, &Option<Place>)| Fate {
            fault: spec.to_string(),
            fired: place.is_some(),
            at: *place,
            counts: match spec.at {
                Trigger::Progress(_) => None,
                Trigger::Access(_) => Some(("access", "accesses", most.accesses)),
                Trigger::Job(_) => Some(("job", "jobs", most.jobs)),
                Trigger::Reset(_) => Some(("reset", "resets", most.resets)),
            },
        };
        self.faults.iter().zip(&*fired).map(fate).collect()
    }
}
