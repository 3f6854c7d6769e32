//! Contexts: an address space, and a domain of blame.

use crate::{Direction, Request};

/// Creates a context. Its jobs are held responsible together. Class: Device.
///
/// # Errors
/// `ENOMEM` if all contexts of the hardware are in use, `EDQUOT` if this file has its share.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ContextCreate {
    /// In: must be 0.
    pub flags: u32,
    /// Out: number of the context in this file, never 0.
    pub context: u32,
}

impl Request for ContextCreate {
    const COMMAND: u32 = 0x01;
    const DIRECTION: Direction = Direction::InOut;
}

/// Destroys a context. Jobs that the device has not been given are cancelled; those that it has run to
/// their end, with the memory that they use. Class: Always.
///
/// # Errors
/// `ENOENT` if there is no such context.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ContextDestroy {
    /// In: the context.
    pub context: u32,
    /// In: must be 0.
    pub pad: u32,
}

impl Request for ContextDestroy {
    const COMMAND: u32 = 0x02;
    const DIRECTION: Direction = Direction::In;
}

/// No reset since the context was created.
pub const RESET_NONE: u32 = 0;
/// The latest reset was caused by a job of this context.
pub const RESET_GUILTY: u32 = 1;
/// The latest reset lost jobs of this context, which did not cause it.
pub const RESET_INNOCENT: u32 = 2;
/// The latest reset lost jobs of this context; the cause is not known.
pub const RESET_UNKNOWN: u32 = 3;

/// The context caused too many resets: no more jobs are accepted.
pub const CONTEXT_BANNED: u32 = 1 << 0;
/// The device is lost: create a context on the device that returns.
pub const CONTEXT_LOST: u32 = 1 << 1;
/// With [`CONTEXT_LOST`]: the device hangs, and waits for help. What needs the device fails with ETIME.
pub const CONTEXT_HUNG: u32 = 1 << 2;
/// With [`CONTEXT_LOST`]: the device cannot be reset, and waits for help. What needs the device fails with ECANCELED.
pub const CONTEXT_RESET_FAILED: u32 = 1 << 3;
/// With [`CONTEXT_LOST`]: the device answers nonsense, and waits for help. What needs the device fails with EPROTO.
pub const CONTEXT_NONSENSE: u32 = 1 << 4;

/// Tells of the resets that a context went through. Class: Always.
///
/// # Errors
/// `ENOENT` if there is no such context.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ContextStatus {
    /// In: the context.
    pub context: u32,
    /// In: must be 0.
    pub pad: u32,
    /// Out: [`RESET_NONE`], [`RESET_GUILTY`], [`RESET_INNOCENT`] or [`RESET_UNKNOWN`].
    pub status: u32,
    /// Out: [`CONTEXT_BANNED`], [`CONTEXT_LOST`] and with it [`CONTEXT_HUNG`], [`CONTEXT_RESET_FAILED`], [`CONTEXT_NONSENSE`].
    pub flags: u32,
    /// Out: resets that a job of this context caused.
    pub guilty: u64,
    /// Out: resets that lost jobs of this context, caused by another.
    pub innocent: u64,
    /// Out: resets that lost jobs of this context, of which the cause is not known.
    pub unknown: u64,
}

impl Request for ContextStatus {
    const COMMAND: u32 = 0x03;
    const DIRECTION: Direction = Direction::InOut;
}
