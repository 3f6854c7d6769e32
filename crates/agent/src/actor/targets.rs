//! Target of a step: the functions that a plan may touch, with the settings that it must put back.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::system::Root;

mod read;

/// Files whose text is put back, besides those that have fields of their own in [`Function`].
pub const KEPT: [&str; 3] = ["power/control", "d3cold_allowed", "msi_bus"];

/// Function of PCI, with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Address of the function.
    pub address: Address,
    /// Bridges above the function, from the root bus down. Empty on a root bus.
    pub parents: Vec<Address>,
    /// Whether the function is a bridge.
    pub bridge: bool,
    /// Physical function, if this one is virtual.
    pub physical: Option<Address>,
    /// Driver that the function is bound to.
    pub driver: Option<String>,
    /// Driver that the function accepts alone.
    pub driver_override: Option<String>,
    /// Reset methods in the order in which the kernel tries them.
    pub reset_methods: Vec<String>,
    /// Virtual functions, if the function can have any.
    pub virtual_functions: Option<VirtualFunctions>,
    /// Text of the files of [`KEPT`] that the function has.
    pub settings: BTreeMap<String, String>,
}

/// Settings of the virtual functions of a physical one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualFunctions {
    /// Number of virtual functions that are enabled.
    pub count: u16,
    /// Whether drivers probe virtual functions when they appear.
    pub autoprobe: bool,
}

/// Bridge right above a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Address of the bridge.
    pub address: Address,
    /// Whether the kernel can reset the bus below (`reset_subordinate`).
    pub resets: bool,
}

/// Ability of a slot to cut power.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotPower {
    /// The slot has a power controller (bit PCP of Slot Capabilities).
    Switched,
    /// The slot has none: its `power` file only removes and adds the device.
    Fixed,
    /// Nobody can tell, and why.
    Unknown(String),
}

/// Hot-plug slot that the device is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Name of the slot in sysfs.
    pub name: String,
    /// Port that the slot belongs to. Everything below the port loses power.
    pub port: Address,
    /// Ability of the slot to cut power.
    pub power: SlotPower,
}

/// Target of a step: the device and every function that a step for it may touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Address of the device.
    pub device: Address,
    /// The device itself, everything below its bridge and its slot, and its virtual functions, in ascending order.
    /// Without the device itself: the device is not on the bus.
    pub functions: Vec<Function>,
    /// Bridge right above the device. `None` on a root bus, or if the device is gone.
    pub bridge: Option<Bridge>,
    /// Slot that the device is in, if any.
    pub slot: Option<Slot>,
}

/// Error of reading a target.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read: {error}")]
pub struct TargetError {
    /// Path below `/sys`.
    pub path: String,
    /// Error of the system.
    pub error: io::Error,
}

impl Target {
    /// Reads the device at `device` and everything that a plan for it needs.
    ///
    /// The kernel may hold a lock of a sick function for ever, and `sriov_numvfs` waits for this lock: call this in
    /// a process that may be lost. Configuration space is read of the slot's port only, and only if the port does not
    /// sleep. A device that is not on the bus gives an empty target.
    ///
    /// # Errors
    /// A file that is there and cannot be read. A target that is read in part is never returned.
    pub fn read(sys: &Root, device: Address) -> Result<Self, TargetError> {
        read::target(sys, device)
    }

    /// Returns the function at `address`, if it is part of the target.
    pub fn function(&self, address: Address) -> Option<&Function> {
        self.functions.iter().find(|function| function.address == address)
    }
}

#[cfg(test)]
mod tests;
