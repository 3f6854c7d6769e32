//! A GPU as clients use it, whatever is behind it: the built-in GPU (`hosted`), or the node of a kernel's driver (`node`).
//!
//! Clients hold the policy of a run (which tile goes where, what is done again, when to give up); here is what they ask a
//! device for. What a job computes is said in LB1's commands, which both sides understand.

use std::time::Duration;

use lifeboat::WaitError;
use lifeboat_lb1::command::{GpuVa, Work};

use super::error::RunError;

/// Where devices come from: one at a time, each lost sooner or later.
pub(super) trait Devices: Sync {
    /// A device that one client has opened.
    type Opened: Opened;

    /// Opens the device. If there is none, waits for the next one until `over` says that there is no sense in it, or `limit`
    /// has passed; `None` then.
    ///
    /// # Errors
    /// [`Refused::Lost`] if the device was lost meanwhile: ask again.
    fn open(&self, limit: Duration, over: &dyn Fn() -> bool) -> Result<Option<Self::Opened>, Refused>;
}

/// One client's hold on one device. It never reaches another device.
pub(super) trait Opened {
    /// Memory that jobs of this client can use.
    type Buffer;
    /// Where jobs are submitted to; those of one queue run in order.
    type Queue;
    /// Signals when a job has ended.
    type Fence;

    /// Number of rings. Rings are counted from 0.
    fn rings(&self) -> u8;

    /// Whether more can be submitted: the device is there, and this client is not banned for what its jobs did.
    fn is_live(&self) -> bool;

    /// A queue on a ring.
    fn queue(&self, ring: u8) -> Result<Self::Queue, Refused>;

    /// Memory for `bytes`, and the address at which jobs find it.
    fn buffer(&self, memory: Memory, bytes: u64) -> Result<(Self::Buffer, GpuVa), Refused>;

    /// Writes into a buffer of the host's memory, from byte `at` on: after a loss as well, although nobody reads it then.
    fn write(&self, buffer: &Self::Buffer, at: u64, bytes: &[u8]) -> Result<(), RunError>;

    /// Reads the first bytes of a buffer of the host's memory. [`Refused::Lost`] if these are not surely what the last job left
    /// there, because the device was lost before they were read.
    fn read(&self, buffer: &Self::Buffer, bytes: &mut [u8]) -> Result<(), Refused>;

    /// Submits a job of one command, which begins when `after` has signalled.
    fn submit(&self, queue: &Self::Queue, work: Work, after: Option<&Self::Fence>) -> Result<Self::Fence, Refused>;

    /// Waits until a fence signals, for `limit` at most.
    fn wait(&self, fence: &Self::Fence, limit: Duration) -> Result<(), WaitError>;
}

/// Where a buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// In the host's memory.
    Host,
    /// In the device's memory.
    Device,
}

/// Why a call did nothing.
#[derive(Debug)]
pub(super) enum Refused {
    /// The device is gone, or does no more work. The next one will.
    Lost,
    /// The device takes no more jobs of this client's context. A new one begins anew.
    Banned,
    /// Anything else: trying again would not help.
    Failed(RunError),
}
