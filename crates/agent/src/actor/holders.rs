//! Ends processes that hold a device.
//!
//! Between the look that found a holder and the signal, the holder may end and another process may get its number. So
//! the process is opened first, then its start is compared, and the signal goes to what was opened.
//!
//! Nothing here waits without a bound: a process in an uninterruptible wait does not end, not even by SIGKILL, and
//! ending it can freeze a sick device further. The caller decides by policy, politely first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use lifeboat_recovery_policy::survey::{Holder, Spared};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::process::Stat;
use crate::system::System;

/// Request to a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urge {
    /// SIGTERM: the process may clean up.
    Term,
    /// SIGKILL: the process ends as soon as the kernel lets it.
    Kill,
}

/// Reason for which no signal was sent.
#[derive(Debug, thiserror::Error)]
pub enum NotSent {
    /// The holder must not be ended.
    #[error("{name} must not be ended: {spared:?}")]
    Spared {
        /// Name of the holder.
        name: String,
        /// Reason.
        spared: Spared,
    },
    /// The holder is no process.
    #[error("{0} is no process")]
    NoProcess(String),
    /// The system refused.
    #[error("{name} ({pid}) cannot be signalled: {error}")]
    System {
        /// Name of the holder.
        name: String,
        /// Number of the process.
        pid: u32,
        /// Error of the system.
        error: io::Error,
    },
}

/// Holder that was sent a signal. Its descriptor is readable when the process has ended.
#[derive(Debug)]
pub struct Signalled {
    /// Number of the process.
    pub pid: u32,
    process: OwnedFd,
}

impl Signalled {
    /// Tells whether the process has ended.
    pub fn is_over(&self) -> bool {
        wait_one(self.process.as_fd(), Duration::ZERO)
    }
}

impl AsFd for Signalled {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

/// Sends the signal to the holder. `None`: the holder has ended, even if its number belongs to another process now.
///
/// # Errors
/// [`NotSent`]. Process 1, this process, and holders that are spared for whatever reason get no signal.
pub fn signal(system: &System, holder: &Holder, urge: Urge) -> Result<Option<Signalled>, NotSent> {
    let name = || holder.name.clone();
    let Some(pid) = holder.pid else { return Err(NotSent::NoProcess(name())) };
    let spared = if pid <= 1 || pid == std::process::id() { Some(Spared::Essential) } else { holder.spared };
    if let Some(spared) = spared {
        return Err(NotSent::Spared { name: name(), spared });
    }
    let failed = |error: io::Error| NotSent::System { name: name(), pid, error };
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    let process = match pidfd_open(number, PidfdFlags::NONBLOCK) {
        Ok(process) => process,
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    };
    match Stat::read(system, pid).map_err(failed)? {
        Some(stat) if stat.start == holder.start && !stat.is_over() => {}
        _ => return Ok(None),
    }
    let number = match urge {
        Urge::Term => Signal::TERM,
        Urge::Kill => Signal::KILL,
    };
    match pidfd_send_signal(&process, number) {
        Ok(()) => Ok(Some(Signalled { pid, process })),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// Waits until all of them have ended, `limit` at most, and returns the numbers of those that have not.
pub fn wait(signalled: &[Signalled], limit: Duration) -> Vec<u32> {
    let begin = Instant::now();
    let late = signalled.iter().filter(|one| !wait_one(one.as_fd(), limit.saturating_sub(begin.elapsed())));
    late.map(|one| one.pid).collect()
}

/// Waits until the process has ended, `limit` at most, and tells whether it has.
pub(super) fn wait_one(process: BorrowedFd<'_>, limit: Duration) -> bool {
    let begin = Instant::now();
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::from_borrowed_fd(process, PollFlags::IN)], left.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests;
