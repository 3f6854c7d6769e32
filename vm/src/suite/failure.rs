//! Why a test failed, whatever of the guest and its surroundings says so.

use std::time::Duration;

use crate::card::gpu::GpuError;
use crate::guest::agent::AgentError;
use crate::guest::initramfs::InitramfsError;
use crate::guest::machine::MachineError;
use crate::guest::modules::ModuleError;
use crate::guest::qmp::QmpError;
use crate::setup;
use crate::suite::judge::Verdict;

/// Why a test failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The guest does not come up or go down.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Something in the guest.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Something in QEMU.
    #[error(transparent)]
    Monitor(#[from] QmpError),
    /// The GPU's server, or what it witnessed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The guest's files.
    #[error(transparent)]
    Initramfs(#[from] InitramfsError),
    /// A module of the guest's kernel cannot be had.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The kernel's log.
    #[error(transparent)]
    Log(#[from] Verdict),
    /// The compiler in the image.
    #[error(transparent)]
    Compiler(#[from] setup::Error),
    /// The driver took its time over a dead device.
    #[error("removing a dead device may take {limit:?}, and took {took:?}")]
    Slow {
        /// How long it may take.
        limit: Duration,
        /// How long it took.
        took: Duration,
    },
    /// It is not as it should be.
    #[error("{0}")]
    Unexpected(String),
}

/// Fails the test unless something is so.
///
/// # Errors
/// It is not so.
pub fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Unexpected(otherwise())) }
}
