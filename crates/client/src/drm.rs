//! The calls that every DRM driver has, as far as they are used here: their structures and numbers, as in the kernel's `drm.h`.

use lifeboat_uapi::{Direction, ioctl_number};

/// A capability, for [`Node::capability`](crate::Node::capability).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability(pub u64);

impl Capability {
    /// `dumb` buffers.
    pub const DUMB_BUFFER: Self = Self(0x1);
    /// PRIME: 1 import, 2 export.
    pub const PRIME: Self = Self(0x5);
    /// Syncobjs.
    pub const SYNCOBJ: Self = Self(0x13);
    /// Timeline syncobjs.
    pub const SYNCOBJ_TIMELINE: Self = Self(0x14);
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident = $direction:ident $command:literal $structure:ty;)*) => {
        $($(#[$doc])* pub(crate) const $name: u32 = ioctl_number(Direction::$direction, $command, size_of::<$structure>());)*
    };
}

numbers! {
    VERSION = InOut 0x00 Version;
    GEM_CLOSE = In 0x09 GemClose;
    GET_CAP = InOut 0x0c GetCap;
    PRIME_HANDLE_TO_FD = InOut 0x2d PrimeHandle;
    PRIME_FD_TO_HANDLE = InOut 0x2e PrimeHandle;
    MODE_CREATE_DUMB = InOut 0xb2 [u64; 4];
    MODE_MAP_DUMB = InOut 0xb3 [u64; 2];
    MODE_DESTROY_DUMB = InOut 0xb4 u32;
    SYNCOBJ_CREATE = InOut 0xbf SyncobjHandle;
    SYNCOBJ_DESTROY = InOut 0xc0 SyncobjHandle;
    SYNCOBJ_HANDLE_TO_FD = InOut 0xc1 SyncobjFd;
    SYNCOBJ_WAIT = InOut 0xc3 SyncobjWait;
    SYNCOBJ_TIMELINE_WAIT = InOut 0xca SyncobjTimelineWait;
}

#[repr(C)]
pub(crate) struct Version {
    pub(crate) major: i32,
    pub(crate) minor: i32,
    pub(crate) patch: i32,
    pub(crate) name: Text,
    pub(crate) date: Text,
    pub(crate) description: Text,
}

/// Room for a text, and then its length.
#[repr(C)]
pub(crate) struct Text {
    pub(crate) length: usize,
    pub(crate) address: usize,
}

#[repr(C)]
pub(crate) struct GemClose {
    pub(crate) handle: u32,
    pub(crate) pad: u32,
}

#[repr(C)]
pub(crate) struct GetCap {
    pub(crate) capability: u64,
    pub(crate) value: u64,
}

#[repr(C)]
pub(crate) struct PrimeHandle {
    pub(crate) handle: u32,
    pub(crate) flags: u32,
    pub(crate) fd: i32,
}

#[repr(C)]
pub(crate) struct SyncobjHandle {
    pub(crate) handle: u32,
    pub(crate) flags: u32,
}

#[repr(C)]
pub(crate) struct SyncobjFd {
    pub(crate) handle: u32,
    pub(crate) flags: u32,
    pub(crate) fd: i32,
    pub(crate) pad: u32,
}

#[repr(C)]
pub(crate) struct SyncobjWait {
    pub(crate) handles: u64,
    pub(crate) timeout_ns: i64,
    pub(crate) count: u32,
    pub(crate) flags: u32,
    pub(crate) first_signaled: u32,
    pub(crate) pad: u32,
}

#[repr(C)]
pub(crate) struct SyncobjTimelineWait {
    pub(crate) handles: u64,
    pub(crate) points: u64,
    pub(crate) timeout_ns: i64,
    pub(crate) count: u32,
    pub(crate) flags: u32,
    pub(crate) first_signaled: u32,
    pub(crate) pad: u32,
}
