//! Buffers: memory that a device and a program share.

use crate::{Direction, Request};

/// Memory of the device instead of the host's.
pub const BUFFER_VRAM: u32 = 1 << 0;
/// Pages of the caller, until it unmaps or replaces them. The buffer cannot be exported.
pub const BUFFER_USER: u32 = 1 << 1;
/// With [`BUFFER_USER`]: the device only reads.
pub const BUFFER_READ_ONLY: u32 = 1 << 2;

/// Creates a buffer, zeroed. Class: Device.
///
/// # Errors
/// `EINVAL` for a size of 0, and with [`BUFFER_USER`] for an address or size that is no multiple of the
/// host's page; `ENOSPC` if there is no room in video memory; `ENOMEM`; `EFAULT` if the
/// caller has no such pages.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BufferCreate {
    /// In: bytes. Out: bytes, rounded up to pages.
    pub size: u64,
    /// In: with [`BUFFER_USER`] the address of the first byte, else 0.
    pub address: u64,
    /// In: [`BUFFER_VRAM`], [`BUFFER_USER`], [`BUFFER_READ_ONLY`].
    pub flags: u32,
    /// Out: GEM handle.
    pub handle: u32,
}

impl Request for BufferCreate {
    const COMMAND: u32 = 0x04;
    const DIRECTION: Direction = Direction::InOut;
}

/// Tells the offset at which `mmap()` of this file maps the buffer. Maps must be `MAP_SHARED`. Class: Always.
/// After a loss, maps of before and after work, and show undefined data.
///
/// # Errors
/// `ENOENT` if there is no such buffer.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BufferMmap {
    /// In: GEM handle.
    pub handle: u32,
    /// In: must be 0.
    pub pad: u32,
    /// Out: offset in the file, in bytes.
    pub offset: u64,
}

impl Request for BufferMmap {
    const COMMAND: u32 = 0x05;
    const DIRECTION: Direction = Direction::InOut;
}

/// Waits for writers only, so that the buffer can be read.
pub const WAIT_WRITERS: u32 = 1 << 0;

/// Waits until no job uses the buffer. Class: Always: a loss ends every job.
///
/// # Errors
/// `ETIME` at the timeout, `EINTR`, `ENOENT` if there is no such buffer.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BufferWait {
    /// In: GEM handle.
    pub handle: u32,
    /// In: [`WAIT_WRITERS`].
    pub flags: u32,
    /// In: when to give up, in nanoseconds of `CLOCK_MONOTONIC`; in the past: only look.
    pub timeout_ns: i64,
}

impl Request for BufferWait {
    const COMMAND: u32 = 0x06;
    const DIRECTION: Direction = Direction::In;
}

/// The contents are needed: keep them (again).
pub const WILL_NEED: u32 = 0;
/// The contents are not needed: they may be given up while memory is short.
pub const DONT_NEED: u32 = 1;

/// Says whether the contents of a buffer are needed. Class: Always.
///
/// # Errors
/// `ENOENT` if there is no such buffer, `ENOMEM`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BufferAdvise {
    /// In: GEM handle.
    pub handle: u32,
    /// In: [`WILL_NEED`] or [`DONT_NEED`].
    pub advice: u32,
    /// Out: 0 if the contents were given up before, and are undefined.
    pub retained: u32,
    /// In: must be 0.
    pub pad: u32,
}

impl Request for BufferAdvise {
    const COMMAND: u32 = 0x07;
    const DIRECTION: Direction = Direction::InOut;
}
