//! Coalescer: the bounded queue between the sensors and the policy.
//!
//! A log that keeps the last record of each key. Two reports have the same key if they say the same of the same device: the same
//! sign, the same change, the same node. A repeated report moves to the end of the queue and counts the sightings, so the order of
//! *last* sightings is kept: a device that is wedged again after it was bound again is reported wedged after it is reported bound.
//! A consumer that follows states loses nothing.
//!
//! Memory is bounded by the number of keys. A report that would need one key too many is dropped, and the queue says that
//! reports were lost.

use std::collections::{BTreeMap, HashMap};

use lifeboat_recovery_policy::sign::{Sign, SignKind};

use super::report::{Observed, Report};

/// Largest number of reports that wait: far more than the devices of a machine times the signs of one device.
pub const CAPACITY: usize = 4096;

/// Name under which the queue reports its own losses.
const NAME: &str = "queue";

/// Bounded queue of reports.
#[derive(Debug)]
pub struct Coalescer {
    capacity: usize,
    /// Reports in the order of their last sightings.
    queue: BTreeMap<u64, Report>,
    /// Place of each key in the queue.
    places: HashMap<Observed, u64>,
    /// Next place.
    next: u64,
    dropped: u64,
    /// Newest dropped report: its time is the time of the loss.
    last_dropped: Option<Report>,
}

impl Default for Coalescer {
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

impl Coalescer {
    /// Creates an empty queue of at most `capacity` reports.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, queue: BTreeMap::new(), places: HashMap::new(), next: 0, dropped: 0, last_dropped: None }
    }

    /// Adds a report.
    pub fn push(&mut self, mut report: Report) {
        let key = key(&report.observed);
        if let Some(place) = self.places.get_mut(&key) {
            if let Some(older) = self.queue.remove(place) {
                report.times = report.times.saturating_add(older.times);
            }
            *place = self.next;
        } else if self.places.len() < self.capacity {
            self.places.insert(key, self.next);
        } else {
            self.dropped += 1;
            self.last_dropped = Some(report);
            return;
        }
        self.queue.insert(self.next, report);
        self.next += 1;
    }

    /// Returns the number of reports that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Tells whether nothing waits, not even the news of a loss.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.last_dropped.is_none()
    }

    /// Returns the number of reports that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Empties the queue. If reports were dropped, the last report says so.
    pub fn drain(&mut self) -> Vec<Report> {
        self.places.clear();
        let mut reports: Vec<Report> = std::mem::take(&mut self.queue).into_values().collect();
        if let Some(dropped) = self.last_dropped.take() {
            reports.push(Report::new(dropped.said, Observed::Lost { sensor: NAME }));
        }
        reports
    }
}

/// Returns the observation without what may differ between two sightings of one condition: the process that a driver blames.
fn key(observed: &Observed) -> Observed {
    let mut key = observed.clone();
    if let Observed::Sign { sign: Sign { kind: SignKind::Wedged { task, .. }, .. }, .. } = &mut key {
        *task = None;
    }
    key
}

#[cfg(test)]
mod tests;
