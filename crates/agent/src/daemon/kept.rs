//! Kept: what the daemon writes to its journal, and the state that follows from it.

use std::collections::BTreeMap;

use lifeboat_recovery_policy::host::Checkpoint;
use lifeboat_recovery_policy::record::{DeviceId, Entry};
use lifeboat_recovery_policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::child::ChildMark;
use crate::actor::targets::Target;
use crate::config::Subject;
use crate::journal;

/// Version of the form of [`Kept`].
pub const SCHEMA: u32 = 1;

/// Record of the daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Record of the policy.
    Policy(Entry),
    /// Process that is about to be given its order. It is found again by its mark.
    Child {
        /// Device of the step.
        device: DeviceId,
        /// Number of the flight.
        flight: u64,
        /// Identity of the process.
        mark: ChildMark,
    },
    /// Device and its surroundings as they were when the incident began: steps leave them like that.
    Before {
        /// Device.
        device: DeviceId,
        /// Properties that its rule was chosen by.
        subject: Subject,
        /// Device and its surroundings.
        target: Box<Target>,
    },
    /// Sum of everything before.
    Sum(Box<Sum>),
}

/// State that follows from a journal.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Memory of the policy.
    pub checkpoint: Checkpoint,
    /// Process of the last step of each device, with the number of its flight.
    #[serde(with = "pairs")]
    pub children: BTreeMap<DeviceId, (u64, ChildMark)>,
    /// Surroundings of each device with an open incident.
    #[serde(with = "pairs")]
    pub before: BTreeMap<DeviceId, (Subject, Target)>,
    /// Time of the newest record.
    pub newest: Timestamp,
    /// Boot in which the newest record was written.
    pub boot: String,
}

impl Sum {
    /// Sums the entries of a journal up, from the last checkpoint on.
    pub(super) fn of(entries: impl IntoIterator<Item = journal::Entry<Kept>>) -> Self {
        let mut sum = Self::default();
        let mut boot = String::new();
        for entry in entries {
            match entry {
                journal::Entry::Start(start) => boot = start.boot,
                journal::Entry::Record(kept) | journal::Entry::Checkpoint(kept) => sum.apply(kept, &boot),
            }
        }
        sum
    }

    /// Takes a record in.
    pub(super) fn apply(&mut self, kept: Kept, boot: &str) {
        match kept {
            Kept::Policy(entry) => {
                self.newest = self.newest.max(entry.at);
                boot.clone_into(&mut self.boot);
                self.checkpoint.apply(&entry);
                let over = |device: &DeviceId| {
                    self.checkpoint.memories.get(device).is_none_or(|memory| memory.incident.is_none())
                };
                if let Some(device) = entry.device.filter(over) {
                    self.before.remove(&device);
                }
            }
            Kept::Child { device, flight, mark } => {
                self.children.insert(device, (flight, mark));
            }
            Kept::Before { device, subject, target } => {
                self.before.insert(device, (subject, *target));
            }
            Kept::Sum(sum) => *self = *sum,
        }
    }
}

/// Maps as lists of pairs: JSON has no keys but texts.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}
