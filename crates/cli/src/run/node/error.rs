//! Why a device cannot be used, in one line that says what to do.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use lifeboat_client::Errno;

use crate::exit::Exit;

/// Faults of a device, or of the name that the user gives it.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Nothing is called so.
    #[error(
        "there is no device {0:?}; give a node, such as /dev/dri/renderD128, or a place on the PCI bus, such as 0000:01:00.0"
    )]
    NoSuchDevice(OsString),
    /// Something else is called so.
    #[error("{0:?} is no node of a GPU; give one of /dev/dri/renderD*")]
    NotANode(PathBuf),
    /// The device of another driver.
    #[error("{path:?} belongs to the driver {driver:?}; only devices of lifeboat can be used")]
    OtherDriver {
        /// The node.
        path: PathBuf,
        /// Name of its driver, from VERSION.
        driver: String,
    },
    /// There is a device, and no driver that would let it be used.
    #[error("the device at {place} has no render node; bind lifeboat.ko to it")]
    NoNode {
        /// Address on the PCI bus.
        place: String,
    },
    /// The user may not open the node.
    #[error(
        "permission denied: {path:?} belongs to the group {group}; add yourself to it (`usermod -aG {group} USER`) and log in again"
    )]
    Permission {
        /// The node.
        path: PathBuf,
        /// Name of its group, or number if it has none.
        group: String,
    },
    /// The node cannot be opened for another reason.
    #[error("{path:?} cannot be opened: {source}")]
    Open {
        /// The node.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// There is a node of a device that does no work.
    #[error("the device at {place} is lost or wedged; bring it back and run again")]
    OutOfWork {
        /// Address on the PCI bus.
        place: String,
    },
    /// The device is none that this job can be done on.
    #[error("the device at {place} cannot do this work: {lacks}")]
    Unfit {
        /// Address on the PCI bus.
        place: String,
        /// Parts that it lacks.
        lacks: &'static str,
    },
    /// The clients' tiles do not fit into the device's memory.
    #[error(
        "{have} MiB of the device's memory are too few, {need} are needed: give fewer --clients or smaller --tiles"
    )]
    MemoryTooSmall {
        /// MiB that this run may use.
        have: u64,
        /// The least that is enough.
        need: u64,
    },
    /// The driver has no room for so many clients, or for so much memory.
    #[error(
        "the device has no room left ({call}: {errno}): give fewer --clients or smaller --tiles, or end other programs that use it"
    )]
    NoRoom {
        /// The call.
        call: &'static str,
        /// The refusal.
        errno: Errno,
    },
    /// The driver refused a call for another reason than loss of the device.
    #[error("the driver refused {call}: {errno}")]
    Call {
        /// The call.
        call: &'static str,
        /// The refusal.
        errno: Errno,
    },
}

impl NodeError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NoSuchDevice(_)
            | Self::NotANode(_)
            | Self::OtherDriver { .. }
            | Self::NoNode { .. }
            | Self::Permission { .. }
            | Self::Unfit { .. }
            | Self::MemoryTooSmall { .. } => Exit::BadInput,
            Self::Open { .. } | Self::OutOfWork { .. } | Self::NoRoom { .. } | Self::Call { .. } => Exit::Failed,
        }
    }
}
