//! Syncobjs: containers of fences, numbered in a file, binary or with points on a timeline.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;

use crate::Node;
use crate::call::call;
use crate::drm::{self, SyncobjFd, SyncobjHandle, SyncobjTimelineWait, SyncobjWait};
use crate::node::deadline;

/// What a wait for syncobjs waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// Any of them.
    Any,
    /// All of them.
    All,
}

/// Without a fence in a syncobj, wait for one to come.
const FOR_SUBMIT: u32 = 1 << 1;
const ALL: u32 = 1 << 0;
/// A descriptor of the fence, not of the syncobj.
const SYNC_FILE: u32 = 1 << 0;

impl WaitFor {
    fn flags(self) -> u32 {
        FOR_SUBMIT | if self == Self::All { ALL } else { 0 }
    }
}

impl Node {
    /// Creates a syncobj without a fence.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn create_syncobj(&self) -> Result<u32, Errno> {
        let mut request = SyncobjHandle { handle: 0, flags: 0 };
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::SYNCOBJ_CREATE, &mut request)? };
        Ok(request.handle)
    }

    /// Destroys a syncobj.
    ///
    /// # Errors
    /// `EINVAL` if there is no such syncobj.
    pub fn destroy_syncobj(&self, handle: u32) -> Result<(), Errno> {
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::SYNCOBJ_DESTROY, &mut SyncobjHandle { handle, flags: 0 }) }
    }

    /// A `sync_file` of the fence that a syncobj has now.
    ///
    /// # Errors
    /// `EINVAL` or `ENOENT` if there is no such syncobj, or no fence in it.
    pub fn syncobj_to_sync_file(&self, handle: u32) -> Result<OwnedFd, Errno> {
        let mut request = SyncobjFd { handle, flags: SYNC_FILE, fd: -1, pad: 0 };
        // SAFETY: the structure has no address.
        unsafe { call(self.as_fd(), drm::SYNCOBJ_HANDLE_TO_FD, &mut request)? };
        // SAFETY: the kernel has just made this descriptor, for us.
        Ok(unsafe { OwnedFd::from_raw_fd(request.fd) })
    }

    /// Waits for binary syncobjs, for `limit` at most. An error of a fence is not told.
    ///
    /// # Errors
    /// `ETIME` at the limit, `ENOENT` if there is no such syncobj.
    pub fn wait_for_syncobjs(&self, handles: &[u32], wait_for: WaitFor, limit: Duration) -> Result<(), Errno> {
        let mut request = SyncobjWait {
            handles: handles.as_ptr().expose_provenance() as u64,
            timeout_ns: deadline(limit),
            count: u32::try_from(handles.len()).map_err(|_| Errno::INVAL)?,
            flags: wait_for.flags(),
            first_signaled: 0,
            pad: 0,
        };
        // SAFETY: the kernel reads `count` handles, which live until the call is over.
        unsafe { call(self.as_fd(), drm::SYNCOBJ_WAIT, &mut request) }
    }

    /// Waits for points of timeline syncobjs, for `limit` at most. An error of a fence is not told.
    ///
    /// # Errors
    /// `ETIME` at the limit, `ENOENT` if there is no such syncobj.
    pub fn wait_for_points(&self, points: &[(u32, u64)], wait_for: WaitFor, limit: Duration) -> Result<(), Errno> {
        let (handles, points): (Vec<u32>, Vec<u64>) = points.iter().copied().unzip();
        let mut request = SyncobjTimelineWait {
            handles: handles.as_ptr().expose_provenance() as u64,
            points: points.as_ptr().expose_provenance() as u64,
            timeout_ns: deadline(limit),
            count: u32::try_from(handles.len()).map_err(|_| Errno::INVAL)?,
            flags: wait_for.flags(),
            first_signaled: 0,
            pad: 0,
        };
        // SAFETY: the kernel reads `count` handles and points, which live until the call is over.
        unsafe { call(self.as_fd(), drm::SYNCOBJ_TIMELINE_WAIT, &mut request) }
    }
}
