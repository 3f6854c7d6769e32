//! Signs that something is wrong with a device: what a sensor reports, and who vouches for it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Method of recovery that a driver's "wedged" event names (chapter "Device Wedging" of the kernel's
/// drm-uapi document). The order is by side effects, from the least to the most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// No recovery is expected. The device may be healthy or not.
    None,
    /// Unbind the driver and bind it again.
    Rebind,
    /// Unbind the driver, reset the bus, and bind the driver again.
    BusReset,
    /// Follow the documentation of the driver.
    VendorSpecific,
    /// A name that this version does not know.
    Other(String),
}

impl Method {
    /// Returns the method with that name in the event. The name `unknown` is no method.
    pub fn from_name(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "rebind" => Self::Rebind,
            "bus-reset" => Self::BusReset,
            "vendor-specific" => Self::VendorSpecific,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the name of the method in the event.
    pub fn name(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Rebind => "rebind",
            Self::BusReset => "bus-reset",
            Self::VendorSpecific => "vendor-specific",
            Self::Other(name) => name,
        }
    }
}

/// Process that a driver holds responsible.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Task {
    /// Number of the process in the kernel's first PID namespace.
    pub pid: u32,
    /// Name of the process.
    pub name: String,
}

/// Witness that vouches for a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// An event that carries the kernel's credentials.
    KernelEvent,
    /// A line of the kernel's own log.
    KernelLog,
    /// A read of the device's configuration space or of its node.
    Probe,
    /// A file of sysfs or an answer of the kernel that states how the device is.
    State,
    /// A process that uses the device: the form of `lifeboat run --events`.
    Program,
}

/// Part of a recovery that the kernel makes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelRecovery {
    /// The recovery has begun: nothing else may touch the device.
    Began,
    /// The recovery is over and the kernel says that the device works.
    Succeeded,
    /// The recovery is over and the kernel has given the device up.
    Failed,
}

/// Fault that a line of the kernel's log names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogFault {
    /// Family of messages, such as `xid` or `amdgpu`.
    pub family: String,
    /// Code within the family, such as `79` or `reset-failed`.
    pub code: String,
}

/// Kind of a sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignKind {
    /// The driver has declared the device wedged.
    Wedged {
        /// Methods that the driver names. Empty if it says `unknown`.
        methods: Vec<Method>,
        /// Process that the driver holds responsible.
        task: Option<Task>,
    },
    /// The kernel recovers the device after an error of the bus.
    Pci(KernelRecovery),
    /// Configuration space reads all-ones.
    AllOnes,
    /// A line of the kernel's log.
    Log(LogFault),
    /// The driver states a condition that is not health, such as `nvme` in state `dead`.
    State {
        /// Source of the state, such as `nvme`, `devlink` or `xe`.
        source: String,
        /// The state in the words of its source.
        state: String,
    },
}

/// Sign that something is wrong with a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sign {
    /// Observation.
    pub kind: SignKind,
    /// Witness that vouches for it.
    pub witness: Witness,
}

/// Advice about the steps of an incident, as its signs give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// Any step may help.
    #[default]
    Any,
    /// No step is needed if the device turns out to work.
    Nothing,
    /// Steps with fewer side effects than a bus reset do not help.
    BusReset,
    /// Only the vendor's procedure helps.
    Vendor,
    /// The driver does not know, or names only methods that this version does not know.
    Unknown,
}

impl SignKind {
    /// Returns the advice that the sign gives. Only a wedged event gives any.
    pub fn advice(&self) -> Advice {
        let Self::Wedged { methods, .. } = self else { return Advice::Any };
        let has = |method| methods.contains(&method);
        if has(Method::Rebind) {
            Advice::Any
        } else if has(Method::BusReset) {
            Advice::BusReset
        } else if has(Method::VendorSpecific) {
            Advice::Vendor
        } else if has(Method::None) && methods.len() == 1 {
            Advice::Nothing
        } else {
            Advice::Unknown
        }
    }
}
