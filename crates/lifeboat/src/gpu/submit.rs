//! Submitting jobs: from a user's commands to a place in the scheduler.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::sched::IfDependencyFails;
use lifeboat_driver::Driver as _;
use lifeboat_lb1::command::Work;
use lifeboat_lb1::{Commands, Lb1Driver};

use crate::calls::{Arguments, Doorway};
use crate::gpu::context;
use crate::gpu::device::{Device, Users};
use crate::gpu::retained::Retained;
use crate::ledger::{Entry, Kind};
use crate::panics::caught;
use crate::sched::NewJob;
use crate::subsystem::{self, AboutJob, Job as _, Notes};
use crate::{CallError, Fence, Queue};

/// A job to be: commands for one ring, and what they wait for.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// Where it waits; its context's addresses are what the commands use.
    pub queue: &'a Queue,
    /// At least one, at most [`DeviceInfo::max_commands`](crate::DeviceInfo::max_commands).
    pub commands: &'a [Work],
    /// The job starts when all of these have signalled.
    pub after: &'a [Fence],
    /// Whether the job may run again if its work is lost through another job's fault: true if its commands overwrite
    /// nothing they read.
    pub restartable: bool,
    /// What becomes of it if a fence it waits for fails. By default it is canceled.
    pub if_dependency_fails: IfDependencyFails,
}

impl<'a> Submission<'a> {
    /// A job that waits for nothing and runs once.
    pub fn new(queue: &'a Queue, commands: &'a [Work]) -> Self {
        Self { queue, commands, after: &[], restartable: false, if_dependency_fails: IfDependencyFails::Cancel }
    }
}

/// What a job keeps alive for the hardware, until the hardware is known to be done with it.
pub(crate) struct Job {
    context: Arc<context::Shared>,
    commands: Box<[Work]>,
    notes: Notes,
    /// For the age that a dump states.
    submitted: Instant,
    /// Buffers that are unmapped while the job may still use them.
    _retained: Arc<Retained>,
    _entry: Entry,
}

impl subsystem::Job<Lb1Driver> for Job {
    fn work(&self) -> Commands<'_> {
        Commands { context: self.context.id, work: &self.commands }
    }

    fn notes(&self) -> &Notes {
        &self.notes
    }

    fn about(&self) -> AboutJob {
        let commands = u32::try_from(self.commands.len()).unwrap_or(u32::MAX);
        AboutJob { context: self.context.id.0, commands, submitted: self.submitted }
    }
}

impl Arguments<Device> for &Submission<'_> {
    fn check(&self, users: &Users) -> Result<(), CallError> {
        users.owns(&self.queue.context.device)?;
        if self.commands.is_empty() {
            return Err(CallError::Invalid("a job needs at least one command"));
        }
        Ok(self.commands.iter().try_for_each(Work::check)?)
    }
}

pub(crate) fn submit(doorway: &Doorway<'_, Device>, submission: &Submission<'_>) -> Result<Fence, CallError> {
    let context = &submission.queue.context;
    // From the reservation to the commit, so that an unplug either sees the job or refuses it.
    let _bound = doorway.enter().ok_or_else(|| doorway.refusal())?;
    let ledger = &doorway.users().ledger;
    let job = Arc::new(Job {
        context: context.clone(),
        commands: submission.commands.into(),
        notes: Notes::default(),
        submitted: Instant::now(),
        _retained: context.retained(),
        _entry: ledger.enlist(Kind::Job),
    });
    let Submission { after, restartable, if_dependency_fails, .. } = *submission;
    // The scheduler refuses a job whose cost the driver cannot tell: it is larger than any ring.
    let cost = caught("the driver", || Lb1Driver::cost(job.work())).unwrap_or(u32::MAX);
    Ok(submission.queue.scheduled.submit(NewJob {
        cost,
        after,
        restartable,
        if_dependency_fails,
        ..NewJob::new(job)
    })?)
}
