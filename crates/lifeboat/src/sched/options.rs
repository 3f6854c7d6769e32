//! How large a scheduler is, what it allows, and what it does not accept.

use std::time::Duration;

use lifeboat_core::sched::{Limits, Shares};
use lifeboat_core::share::Share;
use thiserror::Error;

/// How large a scheduler is. All of it is allocated when it opens; what does not fit is refused.
///
/// Every option is checked before anything is touched ([`OptionsError`]). Of what is accepted, some values have a
/// meaning that is not obvious:
///
/// | option | means |
/// |---|---|
/// | `rings: 0` | a device without rings: no queue can be opened, and the driver is still asked to [look](super::Rings::look) |
/// | `limits.job_timeout: Duration::ZERO` | a job is overdue when it has not completed by the time the worker next asks its ring |
/// | `limits.job_timeout: Duration::MAX` | no job is ever overdue; faults still lead to a reset |
/// | `guilty_limit: 0` | as 1: the first reset that a context's jobs cause bans it, and none is banned before |
/// | `guilty_limit: u32::MAX` | no context is ever banned, in practice |
/// | `contexts: 0` | queues belong to no context, and nobody is refused for what its jobs did |
#[derive(Debug, Clone)]
pub struct Options {
    /// What its thread and its fences are called by. Without NUL.
    pub name: String,
    /// Rings of the device. Default 1.
    pub rings: u8,
    /// Credits of each ring, at least 1, and the time for a job that has no limit of its own. Default 256 credits and 2 s. Event slots are for shells
    /// of firmware that has such, and ignored here.
    pub limits: Limits,
    /// Credits of rings that differ, by ring, each at least 1; a ring that is not named here has those of
    /// [`Options::limits`]. At most one for each ring; default none.
    pub ring_credits: Vec<u32>,
    /// Whether a ring may execute jobs in any order, by ring; one that is not named here keeps the order. An unordered
    /// ring is given one job of a queue at a time, and the time of each begins when the ring has it
    /// ([`Events::hw_done_one`](super::Events::hw_done_one)). At most one for each ring; default none.
    pub unordered: Vec<bool>,
    /// Resets that the jobs of one context may cause: at so many, the context is refused (SCHED-7). Default 10.
    pub guilty_limit: u32,
    /// Whether a thread that submits a job that waits for nothing runs it itself, where the worker rests and nothing is in
    /// the job's way: then [`Rings::run`](super::Rings::run) is called on that thread, within the submission, and the worker is not woken for
    /// it. Not in a fence's callback or a job's drop. Default true. Devices of a [`Module`](crate::Module) leave it to their workers: a
    /// driver that does not return there must not keep a user's thread (DRV-3).
    pub run_by_submitter: bool,
    /// Jobs in all states, besides those that are [set aside](Options::own_jobs). More than the rings can hold, so that
    /// clients can run ahead. 1 to [`Options::MOST_JOBS`]; default 4096.
    pub jobs: usize,
    /// Queues, besides those that are set aside. A closed one keeps its place until its last job is done. 1 to
    /// [`Options::MOST_QUEUES`]; default 1024.
    pub queues: usize,
    /// Contexts. A closed one keeps its place until its last queue is gone. Up to [`Options::MOST_CONTEXTS`]; default 512.
    pub contexts: usize,
    /// Jobs that one context may have at a time, at least 1; beyond it EDQUOT (SCHED-9). `None`: a quarter of
    /// [`Options::jobs`]. Queues of no context are the driver's own, and have no such limit.
    pub job_share: Option<u32>,
    /// Queues that one context may have at a time, at least 1; beyond it EDQUOT. `None`: a quarter of
    /// [`Options::queues`].
    pub queue_share: Option<u32>,
    /// Places for jobs that are set aside for each context, so that it can go on when all others together have taken
    /// everything else. Up to [`Options::MOST_OWN`]; default 16.
    pub own_jobs: u32,
    /// The same for queues. Default 1.
    pub own_queues: u32,
}

impl Options {
    /// The most [`Options::jobs`]: a few gigabytes of them.
    pub const MOST_JOBS: usize = 1 << 24;
    /// The most [`Options::queues`].
    pub const MOST_QUEUES: usize = 1 << 20;
    /// The most [`Options::contexts`].
    pub const MOST_CONTEXTS: usize = 1 << 16;
    /// The most that can be set aside for each context, of jobs and of queues.
    pub const MOST_OWN: u32 = 256;

    /// Whether a scheduler can be opened with these.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), OptionsError> {
        let at_most = |what, value: usize, most| {
            if value > most { Err(OptionsError::TooMany { what, most }) } else { Ok(()) }
        };
        let some = |what, value: usize| if value == 0 { Err(OptionsError::Zero { what }) } else { Ok(()) };
        let share = |share: Option<u32>| share.unwrap_or(1) as usize;
        if self.name.contains('\0') {
            return Err(OptionsError::Name);
        }
        some("limits.ring_credits", self.limits.ring_credits as usize)?;
        for credits in &self.ring_credits {
            some("ring_credits", *credits as usize)?;
        }
        at_most("ring_credits", self.ring_credits.len(), self.rings.into())?;
        at_most("unordered", self.unordered.len(), self.rings.into())?;
        some("jobs", self.jobs)?;
        some("queues", self.queues)?;
        some("job_share", share(self.job_share))?;
        some("queue_share", share(self.queue_share))?;
        at_most("jobs", self.jobs, Self::MOST_JOBS)?;
        at_most("queues", self.queues, Self::MOST_QUEUES)?;
        at_most("contexts", self.contexts, Self::MOST_CONTEXTS)?;
        at_most("own_jobs", self.own_jobs as usize, Self::MOST_OWN as usize)?;
        at_most("own_queues", self.own_queues as usize, Self::MOST_OWN as usize)
    }

    /// What a context may have.
    pub(super) fn shares(&self) -> Shares {
        // Zero is not accepted.
        let share = |share: Option<u32>, places: usize| {
            share.and_then(Share::new).unwrap_or(Share::quarter_of(u32::try_from(places).unwrap_or(u32::MAX)))
        };
        Shares {
            jobs: share(self.job_share, self.jobs),
            own_jobs: self.own_jobs,
            queues: share(self.queue_share, self.queues),
            own_queues: self.own_queues,
        }
    }

    /// Places for jobs, those that are set aside included.
    pub(super) fn job_places(&self) -> usize {
        self.jobs + self.contexts * self.own_jobs as usize
    }

    /// Places for queues, those that are set aside included.
    pub(super) fn queue_places(&self) -> usize {
        self.queues + self.contexts * self.own_queues as usize
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "scheduler".to_owned(),
            rings: 1,
            limits: Limits::new(256, Duration::from_secs(2)),
            ring_credits: Vec::new(),
            unordered: Vec::new(),
            guilty_limit: 10,
            run_by_submitter: true,
            jobs: 4096,
            queues: 1024,
            contexts: 512,
            job_share: None,
            queue_share: None,
            own_jobs: 16,
            own_queues: 1,
        }
    }
}

/// Why options are not accepted. Nothing has been touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// A thread cannot be called so.
    #[error("`name` contains a NUL; leave it out")]
    Name,
    /// Nothing would ever be accepted.
    #[error("`{what}` is 0; set it to 1 or more")]
    Zero {
        /// The option.
        what: &'static str,
    },
    /// A time that is too short to tell anything in.
    #[error("`{what}` is shorter than {least:?}; set it to that or more")]
    TooShort {
        /// The option.
        what: &'static str,
        /// The shortest that is accepted.
        least: Duration,
    },
    /// More than there can be.
    #[error("`{what}` is more than {most}; set it to that or less")]
    TooMany {
        /// The option.
        what: &'static str,
        /// The most that is accepted.
        most: usize,
    },
}
