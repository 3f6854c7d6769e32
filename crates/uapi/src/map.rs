//! Address spaces: which part of a buffer a context reaches, and where.

use crate::{Direction, Request};

/// Commands may write there.
pub const MAP_WRITE: u32 = 1 << 0;

/// Maps a part of a buffer into a context. Offset, size and address are multiples of the page
/// ([`Info::page_bytes`](crate::Info::page_bytes)); the addresses must be free. Class: Device.
///
/// # Errors
/// `ENOENT` if there is no such context or buffer; `EINVAL` for a range that is not the buffer's or not the
/// device's, or for memory of the program or of another device that is not contiguous by whole pages of this
/// one; `EEXIST` if an address is taken; `ENOSPC` if the context has no segment left; `EFAULT` if the caller
/// has unmapped or replaced memory of [`BUFFER_USER`](crate::BUFFER_USER); `ENOMEM`; `EINTR` if the caller is
/// being killed.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Map {
    /// In: the context.
    pub context: u32,
    /// In: GEM handle.
    pub handle: u32,
    /// In: address in the context, in bytes.
    pub address: u64,
    /// In: first byte of the part of the buffer.
    pub offset: u64,
    /// In: bytes of the part of the buffer.
    pub size: u64,
    /// In: [`MAP_WRITE`].
    pub flags: u32,
    /// In: must be 0.
    pub pad: u32,
}

impl Request for Map {
    const COMMAND: u32 = 0x08;
    const DIRECTION: Direction = Direction::In;
}

/// Unmaps what one [`Map`] mapped. Jobs that use it afterwards fault. Class: Always: a lost device has no map.
///
/// # Errors
/// `ENOENT` if there is no such context, or nothing begins at the address.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Unmap {
    /// In: the context.
    pub context: u32,
    /// In: must be 0.
    pub pad: u32,
    /// In: the address that [`Map`] was given.
    pub address: u64,
}

impl Request for Unmap {
    const COMMAND: u32 = 0x09;
    const DIRECTION: Direction = Direction::In;
}
