//! What the scheduler promises, told a second time: with searches instead of lists, from events and actions alone.
//!
//! What events do to it is here; for what rings report in [`reports`], for resets and losses in [`resets`]. What it asserts
//! of each action is in [`actions`].
//! What a firmware holds is in [`firmware`].

mod aborts;
mod actions;
pub(super) mod firmware;
mod reports;
mod resets;

use super::*;
use firmware::Holding;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Reserved,
    Queued,
    Running,
    Ended(Result<(), FenceError>),
    Signalled,
    Gone,
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) handle: JobId,
    pub(super) queue: usize,
    pub(super) spec: JobSpec,
    pub(super) stage: Stage,
    /// Dependencies that hold it back, and those that will still be reported.
    pub(super) waits: u32,
    pub(super) unreported: u32,
    pub(super) canceled: bool,
    /// The ring it was given to last, and its number there.
    ring: usize,
    seqno: Seqno,
    /// When its time began: on an unordered ring when it was given it, else when it was the oldest.
    since: Timestamp,
    /// How often the driver has vouched for it.
    extensions: u32,
    /// The ring was asked to give it up, since it was given it.
    aborted: bool,
    pub(super) on_hardware: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) handle: QueueId,
    pub(super) ring: usize,
    pub(super) priority: Priority,
    context: Option<usize>,
    pub(super) killed: bool,
    pub(super) waiting: Vec<usize>,
    /// Queues that had a turn while this one could have run.
    passed_by: Vec<usize>,
    /// The event slot that its last job was given to the ring with.
    event: Option<EventSlot>,
    /// What a firmware holds of it, and which ring's.
    pub(super) holding: Holding,
    holder: usize,
}

#[derive(Debug)]
pub(super) struct Context {
    pub(super) handle: ContextId,
    pub(super) closed: bool,
    limit: u32,
    /// One per reset that counts.
    guilty: u32,
    innocent: u32,
    unknown: u32,
    status: ResetStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RingIs {
    Running,
    Suspect(Cause),
    /// The driver looks whether it must be reset.
    Asked(Cause),
    /// The ring was told to give up its suspect, and has until then to do so.
    Aborting(Cause, Timestamp),
    Resetting(Cause),
    /// Its reset failed.
    Stuck(Cause),
    Dead,
}

/// Why a ring is to be reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// This job was overdue.
    Overdue(usize),
    Fault,
    /// The firmware has not let go of a queue.
    Firmware,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceIs {
    Running,
    /// The reset of a ring failed.
    Stuck,
    Asked,
    Resetting,
    /// Its numbers mean nothing any more.
    Failed,
    /// Nothing that could be reset has helped.
    GivenUp,
}

/// The largest thing that was reset for a ring in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vain {
    Nothing,
    Ring,
    Device,
}

#[derive(Debug)]
pub(super) struct Ring {
    pub(super) is: RingIs,
    pub(super) credits: u32,
    pub(super) running: Vec<(Seqno, usize)>,
    pub(super) unordered: bool,
    /// How often each priority was passed by since its last turn.
    passed: [u8; PRIORITIES],
    /// What the reset that failed was for, if that was the last that could be done.
    blamed: Option<Cause>,
    /// The driver says that the ring has not begun its suspect.
    acquitted: bool,
    vain: Vain,
    /// All numbers ever given out, for jobs and resets, and how far the ring has come among them.
    pub(super) numbers: Vec<Seqno>,
    pub(super) at: usize,
}

/// All jobs and queues there ever were; a job's index is its fence and its payload.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) jobs: Vec<Job>,
    pub(super) queues: Vec<Queue>,
    pub(super) rings: Vec<Ring>,
    pub(super) contexts: Vec<Context>,
    device: DeviceIs,
    stopped: bool,
    lost: Option<FenceError>,
    give_up: bool,
    credits: u32,
    event_slots: Option<u8>,
    firmware: Firmware,
}

impl Ring {
    /// The job that is guilty if the ring is reset now.
    fn guilty(&self) -> Option<usize> {
        self.accused().filter(|_| !self.acquitted)
    }

    /// The job that is guilty if it began.
    pub(super) fn accused(&self) -> Option<usize> {
        let cause = match self.is {
            RingIs::Running => None,
            RingIs::Dead => self.blamed,
            RingIs::Suspect(cause)
            | RingIs::Asked(cause)
            | RingIs::Aborting(cause, _)
            | RingIs::Resetting(cause)
            | RingIs::Stuck(cause) => Some(cause),
        };
        match cause? {
            Cause::Fault => self.running.first().map(|(_, job)| *job),
            Cause::Firmware => None,
            Cause::Overdue(suspect) => self.has(suspect).then_some(suspect),
        }
    }

    fn has(&self, job: usize) -> bool {
        self.running.iter().any(|(_, running)| *running == job)
    }
}

impl Model {
    pub(super) fn new(unordered: &[bool], limits: Limits) -> Self {
        let Limits { ring_credits: credits, event_slots, firmware, .. } = limits;
        let ring = |unordered: &bool| Ring {
            is: RingIs::Running,
            credits,
            running: vec![],
            unordered: *unordered,
            passed: [0; PRIORITIES],
            blamed: None,
            acquitted: false,
            vain: Vain::Nothing,
            numbers: vec![Seqno::ZERO],
            at: 0,
        };
        let rings = unordered.iter().map(ring).collect();
        Self {
            jobs: vec![],
            queues: vec![],
            rings,
            contexts: vec![],
            device: DeviceIs::Running,
            stopped: false,
            lost: None,
            give_up: false,
            credits,
            event_slots,
            firmware,
        }
    }

    pub(super) fn queue_opened(&mut self, handle: QueueId, ring: usize, priority: Priority, context: Option<usize>) {
        self.queues.push(Queue {
            handle,
            ring,
            priority,
            context,
            killed: false,
            waiting: vec![],
            passed_by: vec![],
            event: None,
            holding: Holding::Nothing,
            holder: ring,
        });
    }

    pub(super) fn context_opened(&mut self, handle: ContextId, limit: u32) {
        let status = ResetStatus::None;
        self.contexts.push(Context { handle, closed: false, limit, guilty: 0, innocent: 0, unknown: 0, status });
    }

    /// What is known of a context, and whether it may be gone already: the scheduler knows best when its queues are.
    pub(super) fn reset_stats(&self, context: usize) -> (ResetStats, bool) {
        let mut queues = self.queues.iter().filter(|queue| queue.context == Some(context));
        let Context { closed, limit, guilty, innocent, unknown, status, .. } = self.contexts[context];
        (
            ResetStats { guilty, innocent, unknown, status, banned: guilty >= limit.max(1) },
            closed && queues.all(|queue| queue.killed),
        )
    }

    fn is_banned(&self, queue: usize) -> bool {
        self.queues[queue].context.is_some_and(|context| self.reset_stats(context).0.banned)
    }

    /// It ends as canceled when its turn comes.
    fn must_not_run(&self, job: &Job) -> bool {
        job.canceled || self.is_banned(job.queue)
    }

    /// How a reservation is refused.
    pub(super) fn refusal(&self, queue: usize, spec: JobSpec, slots: usize) -> Option<SubmitError> {
        match self.lost {
            Some(error) => Some(SubmitError::Ended(error)),
            None if self.queues[queue].killed => Some(SubmitError::StaleQueue),
            None if spec.cost > self.credits => Some(SubmitError::TooLarge),
            None if self.is_banned(queue) => Some(SubmitError::Banned),
            None if self.alive() == slots => Some(SubmitError::Full),
            None => None,
        }
    }

    pub(super) fn alive(&self) -> usize {
        self.jobs.iter().filter(|job| job.stage != Stage::Gone).count()
    }

    pub(super) fn reserved(&mut self, queue: usize, spec: JobSpec, handle: JobId) -> usize {
        let (waits, stage) = (spec.dependencies, Stage::Reserved);
        self.jobs.push(Job {
            handle,
            queue,
            spec,
            stage,
            waits,
            unreported: waits,
            canceled: false,
            ring: 0,
            seqno: Seqno::ZERO,
            since: Timestamp::default(),
            extensions: 0,
            aborted: false,
            on_hardware: false,
        });
        self.jobs.len() - 1
    }

    pub(super) fn committed(&mut self, job: usize) {
        let queue = self.jobs[job].queue;
        let ended = self.lost.or(self.queues[queue].killed.then_some(FenceError::Canceled));
        self.jobs[job].stage = ended.map_or(Stage::Queued, |error| Stage::Ended(Err(error)));
        if ended.is_none() {
            self.queues[queue].waiting.push(job);
        }
    }

    pub(super) fn dependency_done(&mut self, job: usize, failed: bool) {
        let job = &mut self.jobs[job];
        job.unreported = job.unreported.saturating_sub(1);
        let failed = failed && job.spec.if_dependency_fails == IfDependencyFails::Cancel;
        if matches!(job.stage, Stage::Reserved | Stage::Queued) {
            job.canceled |= failed;
            job.waits = if failed { 0 } else { job.waits.saturating_sub(1) };
        }
    }

    fn numbers_are_void(&self) -> bool {
        matches!(self.device, DeviceIs::Resetting | DeviceIs::Failed)
    }

    fn deadline(&self, ring: &Ring) -> Option<Timestamp> {
        if self.stopped || self.numbers_are_void() {
            return None;
        }
        match ring.is {
            RingIs::Running => self.next_due(ring).map(|(deadline, _)| deadline),
            RingIs::Aborting(_, deadline) => Some(deadline),
            _ => None,
        }
    }

    /// The job whose time is over first; of several, the oldest.
    fn next_due(&self, ring: &Ring) -> Option<(Timestamp, usize)> {
        let judged = if ring.unordered { ring.running.len() } else { ring.running.len().min(1) };
        let due = |(_, job): &(Seqno, usize)| {
            let slot = &self.jobs[*job];
            (slot.since.plus(slot.spec.time_limit.unwrap_or(TIMEOUT)), *job)
        };
        ring.running[..judged].iter().map(due).min_by_key(|(deadline, _)| *deadline)
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let answers = (0..self.rings.len()).filter_map(|ring| self.answer_due(ring));
        self.rings.iter().filter_map(|ring| self.deadline(ring)).chain(answers).min()
    }

    pub(super) fn tick(&mut self, now: Timestamp) {
        for index in 0..self.rings.len() {
            self.tick_firmware(index, now);
            let deadline = self.deadline(&self.rings[index]);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.rings[index].is = match self.rings[index].is {
                    RingIs::Aborting(cause, _) => RingIs::Suspect(cause),
                    _ => RingIs::Suspect(Cause::Overdue(self.next_due(&self.rings[index]).unwrap().1)),
                };
            }
        }
    }

    pub(super) fn still_running(&mut self, ring: usize, now: Timestamp) -> bool {
        let slot = &mut self.rings[ring];
        let RingIs::Asked(Cause::Overdue(suspect)) = slot.is else { return false };
        let job = &mut self.jobs[suspect];
        if job.extensions == random::EXTENSIONS || job.aborted {
            return false;
        }
        job.extensions += 1;
        job.since = now;
        (slot.is, slot.acquitted) = (RingIs::Running, false);
        self.doubt_firmware(ring);
        true
    }

    /// The driver has looked at the suspect of a ring.
    pub(super) fn suspect_began(&mut self, ring: usize, began: Began) {
        let slot = &mut self.rings[ring];
        if matches!(slot.is, RingIs::Suspect(_) | RingIs::Asked(_)) && slot.accused().is_some() {
            slot.acquitted = began == Began::No;
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn start(&mut self, now: Timestamp) {
        if core::mem::take(&mut self.stopped) {
            self.jobs.iter_mut().for_each(|job| job.since = now);
            self.renew_answers(now);
            self.renew_aborts(now);
        }
    }

    /// How a change of priority or ring is refused.
    pub(super) fn change_refusal(&self, queue: usize, ring: Option<usize>) -> Option<QueueError> {
        match ring {
            _ if self.queues[queue].killed => Some(QueueError::StaleQueue),
            Some(ring) if ring >= self.rings.len() => Some(QueueError::NoSuchRing),
            _ => None,
        }
    }

    /// Others at its new place were there first: it has not been passed by yet. At its old place it is the same.
    pub(super) fn changed(&mut self, queue: usize, priority: Priority, ring: usize) {
        let slot = &mut self.queues[queue];
        if (slot.priority, slot.ring) != (priority, ring) {
            (slot.priority, slot.ring) = (priority, ring);
            slot.passed_by.clear();
        }
    }

    /// Jobs of a queue run in order: none starts while an older one is on another ring, or on one that keeps no order.
    fn held_back(&self, queue: &Queue) -> bool {
        let ours = |job: &usize| self.queues[self.jobs[*job].queue].handle == queue.handle;
        let others = self.rings.iter().enumerate().filter(|(number, ring)| *number != queue.ring || ring.unordered);
        others.flat_map(|(_, ring)| &ring.running).any(|(_, job)| ours(job))
    }

    fn end_waiting(&mut self, queue: usize, error: FenceError) {
        self.queues[queue].passed_by.clear();
        for job in self.queues[queue].waiting.drain(..) {
            self.jobs[job].stage = Stage::Ended(Err(error));
        }
    }

    pub(super) fn killed(&mut self, queue: usize) {
        self.queues[queue].killed = true;
        self.end_waiting(queue, FenceError::Canceled);
    }
}
