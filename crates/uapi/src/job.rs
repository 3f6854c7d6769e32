//! Jobs: what is submitted, in which order it may begin, and how it ended.

use crate::{Direction, Request};

/// [`Sync::handle`] is a descriptor of a `sync_file` instead of a handle of a syncobj.
pub const SYNC_FILE: u32 = 1 << 0;

/// A fence that a job waits for, or that it is to signal: an element of the arrays of [`Submit`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sync {
    /// Handle of a syncobj. With [`SYNC_FILE`] a descriptor: in for a fence to wait for; out for one to signal.
    pub handle: i32,
    /// In: [`SYNC_FILE`].
    pub flags: u32,
    /// In: point of a timeline syncobj; 0 for a binary one.
    pub point: u64,
}

/// Begins after jobs of the other priorities.
pub const PRIORITY_LOW: u32 = 0;
/// The usual priority.
pub const PRIORITY_NORMAL: u32 = 1;
/// Begins before jobs of the other priorities. Needs `CAP_SYS_NICE`, else `EACCES`.
pub const PRIORITY_HIGH: u32 = 2;

/// If a fence that the job waits for ends with an error, the job runs all the same.
pub const SUBMIT_IGNORE_ERRORS: u32 = 1 << 0;
/// The job may be run once more if a reset for another's sake ends it.
pub const SUBMIT_RESTARTABLE: u32 = 1 << 1;

/// Submits a job: commands that one ring executes in order, once every fence of `waits` has signalled. Jobs of
/// one context, ring and priority begin in the order of their submission. Class: Driver.
///
/// How a job ended is the error of its fences: 0, `ENODEV` (device lost), `ETIME` (the job hung, or faulted),
/// `ECANCELED` (reset for another's sake, context destroyed, or a fence that the job waited for ended with an
/// error).
///
/// # Errors
/// After an error nothing was submitted. `ENOENT` (context, syncobj, point without a fence), `EINVAL` (ring,
/// priority, command: the device's ranges), `EACCES` ([`PRIORITY_HIGH`]), `ECANCELED` (context banned),
/// `EDQUOT` (this client's share), `EAGAIN` (too many jobs in flight), `EFAULT`, `ENOMEM`, `ENODEV`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Submit {
    /// In: the context.
    pub context: u32,
    /// In: the ring, from 0.
    pub ring: u32,
    /// In: [`PRIORITY_LOW`], [`PRIORITY_NORMAL`] or [`PRIORITY_HIGH`].
    pub priority: u32,
    /// In: [`SUBMIT_IGNORE_ERRORS`], [`SUBMIT_RESTARTABLE`].
    pub flags: u32,
    /// In: address of the commands, each of [`Info::command_bytes`](crate::Info::command_bytes).
    pub commands: u64,
    /// In: address of the array of [`Sync`] to wait for.
    pub waits: u64,
    /// In and out: address of the array of [`Sync`] to signal.
    pub signals: u64,
    /// In: number of commands.
    pub command_count: u32,
    /// In: elements of `waits`.
    pub wait_count: u32,
    /// In: elements of `signals`.
    pub signal_count: u32,
    /// In: time that the job may take, in milliseconds; 0, or more than the device's limit: that.
    pub timeout_ms: u32,
    /// Out: number of the job, for [`Wait`]; counted by context, never 0.
    pub job: u64,
}

impl Request for Submit {
    const COMMAND: u32 = 0x0a;
    const DIRECTION: Direction = Direction::InOut;
}

/// Waits for the end of a job. Class: Always.
///
/// # Errors
/// `ETIME` at the timeout, `EINTR`, `ENOENT` if the context or the job was never there, or if the job is not among
/// the last 1024 of the context.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Wait {
    /// In: the context.
    pub context: u32,
    /// In: must be 0.
    pub flags: u32,
    /// In: the job, from [`Submit::job`].
    pub job: u64,
    /// In: when to give up, in nanoseconds of `CLOCK_MONOTONIC`; in the past: only look.
    pub timeout_ns: i64,
    /// Out: 0, or the negative error of the job's fence.
    pub result: i32,
    /// In: must be 0.
    pub pad: u32,
}

impl Request for Wait {
    const COMMAND: u32 = 0x0b;
    const DIRECTION: Direction = Direction::InOut;
}
