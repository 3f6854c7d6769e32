//! Submission: the one request with addresses in it.
#![allow(unsafe_code)]

use std::os::fd::AsFd;

use lifeboat_uapi::{PRIORITY_NORMAL, Request, Submit, Sync};
use rustix::io::Errno;

use crate::Node;
use crate::call::call;

/// A job to submit. Commands are as the device's reference has them.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The context.
    pub context: u32,
    /// The ring.
    pub ring: u32,
    /// `PRIORITY_LOW`, `PRIORITY_NORMAL` or `PRIORITY_HIGH`.
    pub priority: u32,
    /// `SUBMIT_*`.
    pub flags: u32,
    /// The commands, each of `command_bytes`.
    pub commands: &'a [u8],
    /// Bytes of a command, from [`Info`](lifeboat_uapi::Info).
    pub command_bytes: u32,
    /// What the job waits for.
    pub waits: &'a [Sync],
    /// Milliseconds that the job may take; 0: the device's limit.
    pub timeout_ms: u32,
}

impl<'a> Job<'a> {
    /// A job of the usual priority that waits for nothing.
    pub fn new(context: u32, ring: u32, commands: &'a [u8], command_bytes: u32) -> Self {
        Self { context, ring, priority: PRIORITY_NORMAL, flags: 0, commands, command_bytes, waits: &[], timeout_ms: 0 }
    }
}

impl Node {
    /// Submits a job that signals `signals`, and returns its number. Descriptors that were asked for are in `signals` then; they
    /// are the caller's to close.
    ///
    /// # Errors
    /// See [`Submit`]; `EINVAL` if `commands` is no multiple of `command_bytes`.
    pub fn submit(&self, job: &Job<'_>, signals: &mut [Sync]) -> Result<u64, Errno> {
        let whole = (job.commands.len() as u64).checked_rem(u64::from(job.command_bytes)) == Some(0);
        let count = |length: usize| u32::try_from(length).map_err(|_| Errno::INVAL);
        // The kernel reads as many bytes of each command as the device has: not more than there are.
        if !whole || job.command_bytes != self.info()?.command_bytes {
            return Err(Errno::INVAL);
        }
        let mut request = Submit {
            context: job.context,
            ring: job.ring,
            priority: job.priority,
            flags: job.flags,
            commands: job.commands.as_ptr().expose_provenance() as u64,
            waits: job.waits.as_ptr().expose_provenance() as u64,
            signals: signals.as_mut_ptr().expose_provenance() as u64,
            command_count: count(job.commands.len() / job.command_bytes as usize)?,
            wait_count: count(job.waits.len())?,
            signal_count: count(signals.len())?,
            timeout_ms: job.timeout_ms,
            job: 0,
        };
        // SAFETY: the kernel reads commands and waits and writes signals, of which the counts say the true lengths, and all
        // three live and are lent until the call is over.
        unsafe { call(self.as_fd(), Submit::NUMBER, &mut request)? };
        Ok(request.job)
    }
}
