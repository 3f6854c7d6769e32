//! How long calls and jobs take, and what two threads need to wake each other.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_client::uapi::ContextCreate;
use lifeboat_client::{Errno, Node};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::node::request::{Job, TimedCall};
use crate::node::work;

/// How long a job may take.
const LIMIT: Duration = Duration::from_mins(1);

/// Why there is no time to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// The kernel refuses.
    #[error("{0}")]
    Kernel(#[from] Errno),
    /// The call that is to be refused was not.
    #[error("an unknown flag was taken")]
    NotRefused,
    /// The job did not complete.
    #[error("the job ended with {0}")]
    Incomplete(i32),
}

/// Makes a call so many times; gives the nanoseconds of all together.
pub(super) fn calls(node: &Node, call: TimedCall, times: u32) -> Result<u64, Error> {
    let began = Instant::now();
    for _ in 0..times {
        match call {
            TimedCall::Version => drop(node.version_number()?),
            TimedCall::Info => drop(node.info()?),
            TimedCall::RefusedInSection => refused(node)?,
        }
    }
    Ok(nanoseconds(began))
}

fn refused(node: &Node) -> Result<(), Error> {
    match node.plain(ContextCreate { flags: u32::MAX, ..Default::default() }) {
        Err(Errno::INVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(_) => Err(Error::NotRefused),
    }
}

/// Submits a job so many times, each when the last one has ended; gives the nanoseconds from before SUBMIT to after WAIT.
pub(super) fn jobs(node: &Node, job: &Job, times: u32) -> Result<Vec<u64>, Error> {
    let mut signals = job.signals.clone();
    let one = |_| {
        let began = Instant::now();
        let number = work::submit(node, job, &mut signals)?;
        match node.wait(job.context, number, LIMIT)? {
            0 => Ok(nanoseconds(began)),
            result => Err(Error::Incomplete(result)),
        }
    };
    (0..times).map(one).collect()
}

/// Wakes another thread, which wakes this one, so many times; gives the nanoseconds of each round trip. Both are on one processor:
/// a second one of a busy host's guest has to be waited for.
pub(super) fn ping_pong(times: u32) -> Result<Vec<u64>, Errno> {
    let (there, back) = (eventfd(0, EventfdFlags::CLOEXEC)?, eventfd(0, EventfdFlags::CLOEXEC)?);
    let all = sched_getaffinity(None)?;
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one)?;
    let taken = thread::scope(|scope| {
        // A new thread is where its parent is.
        let other = scope.spawn(|| (0..times).try_for_each(|_| take(&there).and_then(|()| give(&back))));
        let one = |_| {
            let began = Instant::now();
            give(&there)?;
            take(&back)?;
            Ok(nanoseconds(began))
        };
        let taken = (0..times).map(one).collect();
        // The other one has panicked only if a call of the kernel's has.
        other.join().unwrap_or(Err(Errno::INTR)).and(taken)
    });
    sched_setaffinity(None, &all)?;
    taken
}

fn give(event: &OwnedFd) -> Result<(), Errno> {
    write(event, &1_u64.to_ne_bytes()).map(drop)
}

fn take(event: &OwnedFd) -> Result<(), Errno> {
    read(event, &mut [0_u8; 8]).map(drop)
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    #[test]
    fn each_round_trip_of_two_threads_has_a_time() {
        let taken = ping_pong(50).unwrap();
        assert_eq!(taken.len(), 50);
        assert!(taken.iter().all(|nanoseconds| *nanoseconds > 0));
    }
}
