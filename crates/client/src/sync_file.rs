//! `sync_file`s: descriptors of fences, the same for all drivers.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

use crate::call::call;
use crate::node::{Woken, poll_file};

/// As `struct sync_file_info` of the kernel's `sync_file.h`.
#[repr(C)]
#[derive(Default)]
struct FileInfo {
    name: [u8; 32],
    status: i32,
    flags: u32,
    fences: u32,
    pad: u32,
    address: u64,
}

/// As `struct sync_merge_data`.
#[repr(C)]
struct Merge {
    name: [u8; 32],
    second: i32,
    fence: i32,
    flags: u32,
    pad: u32,
}

/// As `struct dma_buf_export_sync_file` of the kernel's `dma-buf.h`.
#[repr(C)]
struct ExportSyncFile {
    flags: u32,
    fence: i32,
}

#[allow(clippy::cast_possible_truncation)] // both sizes are small, and constants
const fn number(kind: u8, command: u32, size: usize) -> u32 {
    3 << 30 | (size as u32) << 16 | (kind as u32) << 8 | command
}

const MERGE: u32 = number(b'>', 3, size_of::<Merge>());
const FILE_INFO: u32 = number(b'>', 4, size_of::<FileInfo>());
const EXPORT_SYNC_FILE: u32 = number(b'b', 2, size_of::<ExportSyncFile>());

/// The state of the fences behind a `sync_file`: 0 pending, 1 signalled, or the negative error.
///
/// # Errors
/// `ENOTTY` if it is no `sync_file`.
pub fn sync_file_status(file: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut info = FileInfo::default();
    // SAFETY: the number of fences is 0, so that the kernel writes none to the address.
    unsafe { call(file, FILE_INFO, &mut info)? };
    Ok(info.status)
}

/// A `sync_file` that signals when both have. An error of a fence that has signalled already is lost.
///
/// # Errors
/// `ENOTTY` or `ENOENT` if one of them is no `sync_file`.
pub fn merge(first: BorrowedFd<'_>, second: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let mut request = Merge { name: [0; 32], second: second.as_raw_fd(), fence: -1, flags: 0, pad: 0 };
    // SAFETY: the structure has no address.
    unsafe { call(first, MERGE, &mut request)? };
    // SAFETY: the kernel has just made this descriptor, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(request.fence) })
}

/// A `sync_file` that signals when nobody writes a buffer any more, of those who write it now.
///
/// # Errors
/// `ENOTTY` if it is no buffer.
pub fn writers_of_buffer(buffer: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    const READ: u32 = 1 << 0;
    let mut request = ExportSyncFile { flags: READ, fence: -1 };
    // SAFETY: the structure has no address.
    unsafe { call(buffer, EXPORT_SYNC_FILE, &mut request)? };
    // SAFETY: the kernel has just made this descriptor, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(request.fence) })
}

/// Waits until a `sync_file` has signalled, for `limit` at most; `None` if it has not.
///
/// # Errors
/// Those of `poll`.
pub fn poll_sync_file(file: BorrowedFd<'_>, limit: Duration) -> Result<Option<Woken>, Errno> {
    poll_file(file, limit)
}
