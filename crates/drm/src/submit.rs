//! Submitting jobs: from a user's commands to a place in the scheduler.

use std::fmt;
use std::sync::Arc;

use lifeboat::calls::{Arguments, Doorway};
use lifeboat::sched::NewJob;
use lifeboat::subsystem::Job as _;
use lifeboat::{CallError, Fence, Kind};
use lifeboat_core::class::{Class, Refusal};
use lifeboat_core::sched::IfDependencyFails;
use lifeboat_driver::gpu::Gpu;

use crate::Queue;
use crate::device::{self, Device, Users};
use crate::job::Job;

/// A job to be: commands for one ring, and what they wait for.
pub struct Submission<'a, G: Gpu> {
    /// Where it waits; its context's addresses are what the commands use.
    pub queue: &'a Queue<G>,
    /// At least one, at most [`DeviceInfo::max_commands`](crate::DeviceInfo::max_commands).
    pub commands: &'a [G::Command],
    /// The job starts when all of these have signalled.
    pub after: &'a [Fence],
    /// Whether the job may run again if its work is lost through another job's fault: true if its commands overwrite
    /// nothing they read.
    pub restartable: bool,
    /// What becomes of it if a fence it waits for fails. By default it is canceled.
    pub if_dependency_fails: IfDependencyFails,
}

impl<'a, G: Gpu> Submission<'a, G> {
    /// A job that waits for nothing and runs once.
    pub fn new(queue: &'a Queue<G>, commands: &'a [G::Command]) -> Self {
        Self { queue, commands, after: &[], restartable: false, if_dependency_fails: IfDependencyFails::Cancel }
    }
}

impl<G: Gpu> Clone for Submission<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G: Gpu> Copy for Submission<'_, G> {}

impl<G: Gpu> fmt::Debug for Submission<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("queue", self.queue)
            .field("commands", &self.commands)
            .field("after", &self.after)
            .field("restartable", &self.restartable)
            .field("if_dependency_fails", &self.if_dependency_fails)
            .finish()
    }
}

impl<G: Gpu> Arguments<Device<G>> for &Submission<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.queue.context.device)?;
        if self.commands.is_empty() {
            return Err(CallError::Invalid("a job needs at least one command"));
        }
        let link = &self.queue.context.device.0.link;
        match link.code(|| self.commands.iter().try_for_each(G::check)) {
            Ok(checked) => Ok(checked?),
            // A driver that has made a mistake is asked nothing more (DRV-3), and its device is lost.
            Err(_) => Err(link.admit(Class::Device).err().unwrap_or(Refusal::Gone).into()),
        }
    }
}

pub(crate) fn submit<G: Gpu>(
    doorway: &Doorway<'_, Device<G>>,
    submission: &Submission<'_, G>,
) -> Result<Fence, CallError> {
    let context = &submission.queue.context;
    // From the reservation to the commit, so that an unplug either sees the job or refuses it.
    let bound = doorway.enter().ok_or_else(|| doorway.refusal())?;
    let ledger = &doorway.users().ledger;
    let job = Arc::new(Job::new(context, submission.commands, ledger.enlist(Kind::JOB)));
    let Submission { after, restartable, if_dependency_fails, .. } = *submission;
    // The scheduler refuses a job whose cost the driver cannot tell: it is larger than any ring.
    let cost = device::link(&bound).code(|| G::cost(job.work())).unwrap_or(u32::MAX);
    Ok(submission.queue.scheduled.submit(NewJob {
        cost,
        after,
        restartable,
        if_dependency_fails,
        ..NewJob::new(job)
    })?)
}
