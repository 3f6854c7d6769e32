//! What has been done so far, by all lanes together.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat::Visit;
use lifeboat::core::lifecycle::LifecycleState;
use parking_lot::Mutex;

use super::coverage::{Coverage, Met};
use super::kind::Kind;
use super::statistics::Durations;

/// Failures after which there is no sense in going on.
const ENOUGH: usize = 10;

/// See the [module documentation](self).
#[derive(Default)]
pub(super) struct Tally(Mutex<Counts>);

#[derive(Default, Clone)]
pub(super) struct Counts {
    pub(super) cycles: u64,
    pub(super) faults: BTreeMap<Kind, Met>,
    /// Steps of clients.
    pub(super) clients: BTreeMap<&'static str, u64>,
    pub(super) unplugs: Durations,
    pub(super) recoveries: Durations,
    /// Which events slots have met in which states.
    pub(super) coverage: Coverage,
    /// Devices that had failed for good.
    pub(super) wedged: u64,
    /// Dumps of devices.
    pub(super) dumps: u64,
    /// What was wrong, and in which cycle.
    pub(super) failures: Vec<(u64, String)>,
}

impl Tally {
    pub(super) fn worked(&self, client: &'static str, steps: u64) {
        *self.0.lock().clients.entry(client).or_default() += steps;
    }

    pub(super) fn unplugged(&self, took: Duration) {
        self.0.lock().unplugs.add(took);
    }

    /// A fault of this kind happens now, to what is in a slot in this state.
    pub(super) fn met(&self, kind: Kind, state: LifecycleState) {
        let mut counts = self.0.lock();
        *counts.faults.entry(kind).or_default().states.entry(state.to_string()).or_default() += 1;
    }

    pub(super) fn visited(&self, visits: &[Visit]) {
        self.0.lock().coverage.add(visits);
    }

    pub(super) fn dumped(&self) {
        self.0.lock().dumps += 1;
    }

    pub(super) fn wedged(&self) {
        self.0.lock().wedged += 1;
    }

    /// A cycle is over, and this was wrong in it.
    pub(super) fn cycle(
        &self,
        cycle: u64,
        kind: Kind,
        happened: bool,
        recovered: Option<Duration>,
        wrongs: Vec<String>,
    ) {
        let mut counts = self.0.lock();
        counts.cycles += 1;
        let met = counts.faults.entry(kind).or_default();
        met.planned += 1;
        met.happened += u64::from(happened);
        if let Some(took) = recovered {
            counts.recoveries.add(took);
        }
        counts.failures.extend(wrongs.into_iter().map(|wrong| (cycle, format!("{kind}: {wrong}"))));
    }

    /// Something was wrong that cannot be counted as a cycle.
    pub(super) fn failed(&self, cycle: u64, what: String) {
        self.0.lock().failures.push((cycle, what));
    }

    /// Whether so much is wrong that nothing more can be learned.
    pub(super) fn is_enough(&self) -> bool {
        self.0.lock().failures.len() >= ENOUGH
    }

    pub(super) fn cycles(&self) -> u64 {
        self.0.lock().cycles
    }

    pub(super) fn counts(&self) -> Counts {
        self.0.lock().clone()
    }
}
