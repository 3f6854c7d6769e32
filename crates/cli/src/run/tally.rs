//! What a client has seen of its jobs and fences.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lifeboat::WaitError;
use lifeboat::core::errno::Errno;

use super::report::{Fences, Jobs, microseconds};

/// Longer than any fence can take on a machine that keeps its promises, however loaded. A fence that has not signalled
/// by then is reported as lost.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Default)]
pub(super) struct Tally {
    pub(super) jobs: Jobs,
    pub(super) fences: Fences,
    longest_wait: Duration,
}

impl Tally {
    /// Jobs that were accepted, each with its fence.
    pub(super) fn submitted(&mut self, jobs: usize) {
        self.jobs.submitted += jobs as u64;
        self.fences.created += jobs as u64;
    }

    /// The work of jobs that had failed was submitted again.
    pub(super) fn made_good(&mut self, jobs: u64) {
        self.jobs.resubmitted += jobs;
    }

    /// A fence without a job.
    pub(super) fn created(&mut self) {
        self.fences.created += 1;
    }

    /// As [`Tally::wait`], for the fence of a job.
    pub(super) fn wait_for_job(
        &mut self,
        wait: impl FnOnce(Duration) -> Result<(), WaitError>,
    ) -> Result<(), WaitError> {
        let result = self.wait(wait);
        self.jobs.completed += u64::from(result.is_ok());
        result
    }

    /// Waits until a fence signals, and takes down how long that took and how it ended. `wait` is told its limit.
    pub(super) fn wait(&mut self, wait: impl FnOnce(Duration) -> Result<(), WaitError>) -> Result<(), WaitError> {
        let began = Instant::now();
        let result = wait(PATIENCE);
        self.longest_wait = self.longest_wait.max(began.elapsed());
        match result {
            Ok(()) => self.fences.signalled += 1,
            Err(WaitError::Failed(error)) => {
                self.fences.signalled += 1;
                *self.fences.by_error.entry(Errno::from(error).name().to_owned()).or_default() += 1;
            }
            Err(WaitError::TimedOut) => {}
        }
        result
    }

    pub(super) fn longest_wait_us(&self) -> u64 {
        microseconds(self.longest_wait)
    }

    /// Both together.
    pub(super) fn plus(mut self, other: Self) -> Self {
        self.jobs.submitted += other.jobs.submitted;
        self.jobs.completed += other.jobs.completed;
        self.jobs.lost += other.jobs.lost;
        self.jobs.resubmitted += other.jobs.resubmitted;
        self.fences.created += other.fences.created;
        self.fences.signalled += other.fences.signalled;
        let mut by_error: BTreeMap<_, _> = self.fences.by_error;
        for (name, count) in other.fences.by_error {
            *by_error.entry(name).or_default() += count;
        }
        self.fences.by_error = by_error;
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self
    }
}
