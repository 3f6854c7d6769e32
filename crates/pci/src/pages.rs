//! Pages of this process: their size, and pages of zeroes that reach nobody.
#![allow(unsafe_code)] // mapping memory is what this file is for

use std::ffi::c_void;
use std::ptr;

use rustix::mm::{mmap_anonymous, MapFlags, ProtFlags};

/// The unit in which memory is given to devices, in bytes.
pub const PAGE_SIZE: u64 = 4096;

pub(crate) const READ_WRITE: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Pages of zeroes of this process's own, not counted against its memory before they are written.
const DUMMY: MapFlags = MapFlags::PRIVATE.union(MapFlags::NORESERVE);

/// Maps `bytes` bytes of zeroes, whole pages, at addresses that the system chooses.
///
/// # Errors
/// Those of the system: there is no room for them.
pub(crate) fn zeroes(bytes: usize) -> rustix::io::Result<*mut c_void> {
    // SAFETY: the system chooses addresses that nobody uses.
    unsafe { mmap_anonymous(ptr::null_mut(), bytes, READ_WRITE, DUMMY) }
}

/// Replaces what is behind addresses by zeroes, in one step. Async-signal-safe: one system call, no more.
///
/// # Safety
/// The addresses must be those of a [`Window`](crate::Window) that lives until this returns. Nothing in this program keeps references to
/// what is behind one: it is only ever copied, or reached by raw pointers, whose users were told that it changes.
pub(crate) unsafe fn put_zeroes(base: *mut c_void, bytes: usize) -> rustix::io::Result<()> {
    // SAFETY: as the caller says; the mapping that is replaced is a window's own.
    unsafe { mmap_anonymous(base, bytes, READ_WRITE, DUMMY | MapFlags::FIXED)? };
    Ok(())
}
