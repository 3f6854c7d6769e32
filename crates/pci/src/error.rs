//! The one error of this crate.

use core::fmt;

/// Why an access could not be attempted. Never says that the device vanished: see the crate documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusError {
    /// The access reaches past the end of the window or memory.
    OutOfRange {
        /// First byte of the access.
        offset: u64,
        /// Length of the access in bytes.
        len: u64,
    },
    /// The offset is not a multiple of the access width.
    Misaligned {
        /// First byte of the access.
        offset: u64,
    },
    /// The function has no such BAR.
    NoSuchBar(u8),
    /// The mapping, the address space or the function behind it has been taken away on this side.
    Unmapped,
    /// There was no memory, or no address space left.
    NoMemory,
    /// This process, or the system, has as many open files as it may have.
    TooManyFiles,
    /// Configuration space did not take a write: it reads all-ones, or as before.
    NotTaken,
    /// The function does not answer after a reset: it takes longer than its bus allows, or is gone.
    NotReady,
    /// The function, or what is between it and the driver, cannot do this (for example: more interrupt vectors than it has).
    Unsupported,
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OutOfRange { offset, len } => write!(f, "access of {len} bytes at {offset:#x} is out of range"),
            Self::Misaligned { offset } => write!(f, "access at {offset:#x} is misaligned"),
            Self::NoSuchBar(index) => write!(f, "the function has no BAR {index}"),
            Self::Unmapped => f.write_str("the mapping has been taken away"),
            Self::NoMemory => f.write_str("no memory or no address space left"),
            Self::TooManyFiles => f.write_str("too many open files"),
            Self::NotTaken => f.write_str("configuration space did not take a write"),
            Self::NotReady => f.write_str("the function does not answer after its reset"),
            Self::Unsupported => f.write_str("the function does not support this"),
        }
    }
}

impl core::error::Error for BusError {}
