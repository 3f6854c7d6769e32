//! Jobs one after the other, each with its result checked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_client::{Errno, Node};
use lifeboat_uapi::Sync;

use crate::node::memory::Memory;
use crate::node::request;
use crate::wire::Outcome;

/// How long a job may take. Longer than any limit of the driver's: if it passes, a wait hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// A work: how far it is, and whether it is to end.
#[derive(Debug, Default)]
pub(super) struct Work {
    completed: AtomicU64,
    over: AtomicBool,
}

/// The device did something wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// A job completed, and its result is not right.
    #[error("after {completed} jobs: {differing} words are wrong")]
    Wrong {
        /// Jobs before it.
        completed: u64,
        /// Words.
        differing: usize,
    },
    /// A job neither completed nor failed.
    #[error("after {0} jobs: a job did not end within {LIMIT:?}")]
    Endless(u64),
}

impl Work {
    pub(super) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn carry_out(
        &self,
        node: &Node,
        job: &request::Job,
        memory: &Memory,
        word: u32,
    ) -> Result<Outcome, Error> {
        let ended = |errno| Ok(Outcome::Worked { completed: self.completed(), errno });
        let mut signals = job.signals.clone();
        while !self.over.load(Ordering::Relaxed) {
            memory.fill(!word);
            let number = match submit(node, job, &mut signals) {
                Ok(number) => number,
                Err(errno) => return ended(errno.raw_os_error()),
            };
            match node.wait(job.context, number, LIMIT) {
                Ok(0) => {}
                Ok(result) => return ended(-result),
                Err(Errno::TIME) => return Err(Error::Endless(self.completed())),
                Err(errno) => return ended(errno.raw_os_error()),
            }
            let differing = memory.differing(word);
            if differing > 0 {
                return Err(Error::Wrong { completed: self.completed(), differing });
            }
            self.completed.fetch_add(1, Ordering::Relaxed);
        }
        ended(0)
    }
}

pub(super) fn submit(node: &Node, job: &request::Job, signals: &mut [Sync]) -> Result<u64, Errno> {
    let job = lifeboat_client::Job {
        context: job.context,
        ring: job.ring,
        priority: job.priority,
        flags: job.flags,
        commands: &job.commands,
        command_bytes: job.command_bytes,
        waits: &job.waits,
        timeout_ms: job.timeout_ms,
    };
    node.submit(&job, signals)
}
