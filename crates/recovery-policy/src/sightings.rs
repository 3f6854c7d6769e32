//! Sightings: signs that do not count yet, because the policy asks for several.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::policy::Threshold;
use crate::sign::SignKind;
use crate::time::Timestamp;

/// Times at which signs were seen, by their kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Sightings(BTreeMap<u8, Vec<Timestamp>>);

/// Returns the number of the sign's kind.
const fn kind(sign: &SignKind) -> u8 {
    match sign {
        SignKind::Wedged { .. } => 0,
        SignKind::Pci(_) => 1,
        SignKind::AllOnes => 2,
        SignKind::Log(_) => 3,
        SignKind::State { .. } => 4,
    }
}

impl Sightings {
    /// Takes a sighting in, and tells whether the threshold of its kind is reached. Then the sightings of all kinds are
    /// forgotten, because an incident begins.
    pub(crate) fn saw(&mut self, sign: &SignKind, threshold: Threshold, now: Timestamp) -> bool {
        if threshold.times == 0 {
            return false;
        }
        let seen = self.0.entry(kind(sign)).or_default();
        seen.retain(|at| now.since(*at) <= threshold.within);
        seen.push(now);
        // The threshold's number of sightings ends in an incident, so the list never grows beyond that.
        let reached = seen.len() >= threshold.times as usize;
        if reached {
            self.0.clear();
        }
        reached
    }
}
