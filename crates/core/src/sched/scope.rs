//! What an error concerns: the job that was to be started, or the device.

/// What an error of starting a job concerns. A driver says it of each of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorScope {
    /// The job that was to be run, and nothing else:
    /// [`Scheduler::start_failed`](super::Scheduler::start_failed).
    Job,
    /// The device: it cannot be relied on any more, and is to be given up.
    Device,
}
