//! Sizes and limits of a device.

use crate::{Direction, Request};

/// Sizes and limits of the device, read at probe. Class: Always.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Info {
    /// In: must be 0.
    pub flags: u32,
    /// Out: number of rings; rings are counted from 0.
    pub rings: u32,
    /// Out: contexts of the hardware, shared by all clients.
    pub contexts: u32,
    /// Out: stretches of memory, each contiguous for the device, that one context can map.
    pub segments: u32,
    /// Out: page of a context's address space, in bytes; a power of two.
    pub page_bytes: u32,
    /// Out: bytes of one command; their layout is in the reference of the device.
    pub command_bytes: u32,
    /// Out: most commands of a job.
    pub most_commands: u32,
    /// Out: serial number; 0 if the device has none.
    pub serial: u32,
    /// Out: video memory in bytes; 0 if the device has none.
    pub vram_bytes: u64,
    /// Out: first address that [`Map`](crate::Map) accepts, in bytes.
    pub first_address: u64,
    /// Out: last address that [`Map`](crate::Map) accepts, in bytes.
    pub last_address: u64,
}

impl Request for Info {
    const COMMAND: u32 = 0x00;
    const DIRECTION: Direction = Direction::InOut;
}
