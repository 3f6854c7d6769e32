//! Survey: the state of a device and of everything around it, as read right before a decision.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Health of a device, as a look at it or a verification finds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Everything that was looked at works.
    Works,
    /// The device does not work, and why that is believed.
    Sick(String),
    /// The health cannot be told, and why: a file that cannot be read, a device that sleeps.
    Unreadable(String),
}

/// Reason for which a process must not be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spared {
    /// The process is essential to the machine: process 1, logind, udevd, the bus, a compositor of an active seat.
    Essential,
    /// The policy names the process.
    Policy,
    /// The holder is no process: a kernel module, or the kernel itself.
    Kernel,
    /// The process gives the device to a virtual machine.
    Vfio,
}

/// Holder of a device: something that uses its nodes, its maps or its driver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// Process number; `None` for a holder in the kernel.
    pub pid: Option<u32>,
    /// Start of the process in clock ticks since boot: the same number and start is the same process.
    pub start: u64,
    /// Name of the process or of the kernel module.
    pub name: String,
    /// Unit or container that the process belongs to, if it can be told.
    pub unit: Option<String>,
    /// Places where the holder was seen, such as `fd 7` or `map`.
    pub places: Vec<String>,
    /// Whether something forbids ending the holder.
    pub spared: Option<Spared>,
}

/// Everything that holds a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Holders {
    /// Holders that were found.
    pub found: Vec<Holder>,
    /// Kinds of holders that cannot be seen, in words. Shown, and never a reason to wait.
    pub unknowable: Vec<String>,
    /// Reason for which the list is not complete although it should be.
    pub unreadable: Option<String>,
}

/// Duty of a device that forbids to touch it, unless the policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The device shows the console, or the firmware booted with it.
    Console,
    /// A session of a seat is active on the device.
    Session,
    /// The device is bound to a VFIO driver, or a process holds it by VFIO.
    Vfio,
    /// A file system of any mount namespace is on the device.
    Mounted,
    /// Swap is on the device.
    Swap,
    /// The default route leads through the device.
    DefaultRoute,
    /// The daemon is controlled through the device.
    ControlPath,
}

impl Protection {
    /// All protections.
    pub const ALL: [Self; 7] =
        [Self::Console, Self::Session, Self::Vfio, Self::Mounted, Self::Swap, Self::DefaultRoute, Self::ControlPath];

    /// Returns the name in policies and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Session => "session",
            Self::Vfio => "vfio",
            Self::Mounted => "mounted",
            Self::Swap => "swap",
            Self::DefaultRoute => "default-route",
            Self::ControlPath => "control-path",
        }
    }
}

/// Survey for one step: read for that step, because each step affects other devices.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Survey {
    /// Health of the device.
    pub health: Health,
    /// Whether the kernel recovers the device by itself now.
    pub kernel_recovers: bool,
    /// Reason for which this step cannot be carried out on this machine, if there is one: a reset method
    /// that is missing, a slot that cannot cut power.
    pub unavailable: Option<String>,
    /// Duties of the device, and of every other device that the step affects.
    pub protections: Vec<Protection>,
    /// Other devices in the step's domain that are in use, in words.
    pub domain_in_use: Vec<String>,
    /// Reason for which the domain cannot be told, if there is one.
    pub domain_unreadable: Option<String>,
    /// Holders of the device.
    pub holders: Holders,
}
