//! Reports: the output of every sensor.

use lifeboat_recovery_policy::sign::{Sign, SignKind, Witness};
use lifeboat_recovery_policy::time::Timestamp;

use crate::address::Address;

/// Observation of a sensor, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Time of the observation. For a line of the kernel's log, the time at which the kernel wrote the line: a line that was
    /// written before the daemon started is older than the daemon.
    pub said: Timestamp,
    /// Number of the line in the kernel's log of this boot. Together with the boot's identity, the number tells a line that was
    /// dealt with before a restart from a new line.
    pub line: Option<u64>,
    /// Number of sightings that the report stands for, at least 1. `said` and `line` are those of the newest sighting.
    pub times: u32,
    /// Observation.
    pub observed: Observed,
}

impl Report {
    /// Creates the report of a single sighting at `said`.
    pub fn new(said: Timestamp, observed: Observed) -> Self {
        Self { said, line: None, times: 1, observed }
    }
}

/// Observation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Observed {
    /// A sign that something is wrong with the device at an address.
    Sign {
        /// Address of the device.
        address: Address,
        /// The sign.
        sign: Sign,
    },
    /// A PCI function came, went, or changed its driver.
    Function {
        /// Address of the function.
        address: Address,
        /// The change.
        change: FunctionChange,
        /// Witness of the change.
        witness: Witness,
    },
    /// A node below a PCI function came or went.
    Node {
        /// Address of the function.
        address: Address,
        /// The node.
        node: Node,
        /// Whether the node is there now.
        present: bool,
        /// Witness of the change.
        witness: Witness,
    },
    /// Events were lost: the state of all devices must be read again.
    Lost {
        /// Name of the sensor that lost events.
        sensor: &'static str,
    },
}

impl Observed {
    /// Creates a sign of the device at `address`.
    pub fn sign(address: Address, kind: SignKind, witness: Witness) -> Self {
        Self::Sign { address, sign: Sign { kind, witness } }
    }
}

/// Change of a PCI function.
///
/// Sensors report changes, and [`Coalescer`](super::coalesce::Coalescer) keeps the last of each kind: a function that is added
/// although it was known has been away in the meantime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionChange {
    /// The function came.
    Added,
    /// The function went.
    Removed,
    /// A driver was bound to the function.
    Bound,
    /// The driver was unbound.
    Unbound,
}

/// Node of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Name below `/dev`, such as `dri/card1`.
    pub name: String,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}
