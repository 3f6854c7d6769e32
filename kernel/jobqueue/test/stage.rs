// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A scheduler with its hardware, which a scenario works with, and which ends by a loss.

use core::time::Duration;

use kernel::{
    prelude::*,
    sync::Arc,
    time::{delay::fsleep, Delta},
};
use lifeboat_core::sched::{self, ContextId, JobSpec, Priority, QueueId, Shares};
use lifeboat_jobqueue::clock::Clock;
use lifeboat_jobqueue::{Fence, InOrder, Options, OwnedQueue, Scheduler, Timeline, Unsignalled};

use crate::model::{Firmware, Job, Model, RINGS};
use crate::record::{Call, Record};

/// Longer than a scenario takes.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// A limit that a scenario waits for.
pub(crate) const SHORT: Duration = Duration::from_millis(40);

/// What is waited for takes no longer, or has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is played.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Credits of each ring, and whether it keeps jobs in order.
    pub(crate) rings: &'static [(u32, InOrder)],
    /// Queues that there may be.
    pub(crate) queues: usize,
    /// The limit of jobs that have none of their own, and of a firmware.
    pub(crate) limit: Duration,
    pub(crate) firmware: Firmware,
    /// What is reset if the firmware does not let go.
    pub(crate) resets: sched::Firmware,
    pub(crate) body: fn(&mut Stage) -> Result<(), Stop>,
}

/// Why a scenario is not played to its end.
pub(crate) enum Stop {
    /// This is the point at which the hardware is lost.
    Here,
    /// Something is not as it should be.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Plays a scenario once with a loss at each of its points, and once to its end. Says how many points
/// there are.
///
/// # Errors
/// EIO if something is not as it should be, else as the kernel says.
pub(crate) fn play(scenario: &Scenario) -> Result<u32> {
    let mut point = 0;
    loop {
        let mut stage = Stage::new(scenario, point)?;
        let played = (scenario.body)(&mut stage);
        let ended = stage.end(scenario);
        match played {
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Here) => ended.inspect_err(|_| pr_err!("lost at point {point}\n"))?,
            Ok(()) => return ended.map(|()| point),
        }
        point += 1;
    }
}

/// A job that was submitted.
struct Submitted {
    number: u32,
    /// It may be found to hang at any time.
    is_short: bool,
    fence: Fence,
    /// How it had ended before the loss.
    before: Option<Result>,
}

/// The scheduler and the hardware.
pub(crate) struct Stage {
    pub(crate) scheduler: Arc<Scheduler<Model>>,
    pub(crate) record: Arc<Record>,
    queue: Arc<OwnedQueue>,
    timeline: Timeline,
    jobs: KVec<Submitted>,
    /// What firmware holds.
    kept: KVec<u32>,
    /// Fences of somebody else, which signal after the loss if the scenario has not done so.
    foreign: KVec<Unsignalled>,
    /// Points until the loss.
    points: u32,
}

impl Stage {
    fn new(scenario: &Scenario, points: u32) -> Result<Self> {
        let record = Record::new()?;
        let queue = Arc::new(OwnedQueue::new(c"lifeboat_test")?, GFP_KERNEL)?;
        let options = Options {
            rings: scenario.rings,
            contexts: scenario.queues,
            queues: scenario.queues,
            jobs: 16,
            shares: Shares::ALL,
            job_timeout: scenario.limit,
            firmware: scenario.resets,
        };
        let scheduler = Scheduler::new(&options, record.clone(), queue.clone())?;
        let model = Model { record: record.clone(), firmware: scenario.firmware };
        let model = Arc::new(model, GFP_KERNEL)?;
        scheduler.attach(model);
        let timeline = Timeline::shared("lifeboat_test", "test");
        let (jobs, kept, foreign) = (KVec::new(), KVec::new(), KVec::new());
        Ok(Self { scheduler, record, queue, timeline, jobs, kept, foreign, points })
    }

    /// A point at which the hardware may be lost.
    ///
    /// # Errors
    /// [`Stop::Here`] if it is.
    pub(crate) fn point(&mut self) -> Result<(), Stop> {
        self.points = self.points.checked_sub(1).ok_or(Stop::Here)?;
        Ok(())
    }

    /// A queue in a context of its own, on a ring. ENOSPC if there is no place for it.
    pub(crate) fn open(&self, ring: u8) -> Result<(ContextId, QueueId)> {
        let context = self.scheduler.open_context(100).ok_or(ENOSPC)?;
        match self.scheduler.open_queue(context, ring, Priority::Normal) {
            Ok(queue) => Ok((context, queue)),
            Err(_) => {
                self.scheduler.close_context(context, []);
                Err(ENOSPC)
            }
        }
    }

    /// Submits a job, which waits for these fences.
    pub(crate) fn submit(&mut self, queue: QueueId, number: u32, spec: JobSpec, after: &[Fence]) -> Result {
        let job = Arc::new(Job::new(number, spec.cost, &self.record), GFP_KERNEL)?;
        let unsignalled = Unsignalled::new(&self.timeline, number.into())?;
        let is_short = spec.time_limit == Some(SHORT);
        let submitted = Submitted { number, is_short, fence: unsignalled.fence(), before: None };
        let prepared = self.scheduler.prepare(queue, spec, after)?;
        self.jobs.push(submitted, GFP_KERNEL)?;
        prepared.commit(unsignalled, job);
        Ok(())
    }

    /// Has the firmware hold something of a queue.
    pub(crate) fn hold(&mut self, queue: QueueId, number: u32) -> Result {
        let kept = Arc::new(Job::new(number, 0, &self.record), GFP_KERNEL)?;
        self.kept.push(number, GFP_KERNEL)?;
        self.scheduler.firmware_holds(queue, kept)
    }

    /// Has the firmware let go.
    pub(crate) fn let_go(&self, queue: QueueId, number: u32) {
        self.record.note(Call::HasLetGo(number));
        self.scheduler.firmware_let_go(queue);
        self.settle();
    }

    /// A fence of somebody else.
    pub(crate) fn foreign(&mut self) -> Result<Fence> {
        let foreign = Unsignalled::new(&self.timeline, 0)?;
        let fence = foreign.fence();
        self.foreign.push(foreign, GFP_KERNEL)?;
        Ok(fence)
    }

    /// Signals all of these.
    pub(crate) fn signal_foreign(&mut self) {
        while let Some(foreign) = self.foreign.pop() {
            foreign.signal(Ok(()));
        }
    }

    /// Has a ring complete a job, and report it alone.
    pub(crate) fn complete(&self, job: u32) -> Result {
        self.record.note(Call::Completed(job));
        let place = self.record.leaves(job).ok_or(EIO)?;
        self.scheduler.hw_done_one(place.ring, place.seqno);
        self.settle();
        Ok(())
    }

    /// How a job has ended; `None` if it has not.
    pub(crate) fn outcome(&self, job: u32) -> Option<Result> {
        self.jobs.iter().find(|submitted| submitted.number == job)?.fence.outcome()
    }

    /// Whether the fences of exactly these jobs have signalled, without an error.
    pub(crate) fn have_completed(&self, jobs: &[u32]) -> bool {
        self.jobs.iter().all(|job| {
            let expected = if jobs.contains(&job.number) { Some(Ok(())) } else { None };
            job.fence.outcome() == expected
        })
    }

    /// Waits until the scheduler has done all that it can do now.
    pub(crate) fn settle(&self) {
        self.scheduler.kick();
        // A fence has a wait told, which has the worker run, which has something dropped.
        for _ in 0..4 {
            self.queue.flush();
        }
    }

    /// Waits for something that takes time. Says whether it has come.
    pub(crate) fn comes(&self, what: impl Fn(&Self) -> bool) -> bool {
        let clock = Clock::start();
        loop {
            // The look begins after the clock was read.
            let is_over = clock.elapsed() > PATIENCE;
            if what(self) {
                return true;
            }
            if is_over {
                return false;
            }
            fsleep(Delta::from_millis(1));
        }
    }

    /// The hardware is lost, and then gone. Whatever had not ended ends now, and nothing is left.
    fn end(mut self, scenario: &Scenario) -> Result {
        for job in &mut self.jobs {
            job.before = job.fence.outcome();
        }
        self.scheduler.lose();
        self.scheduler.deliver();
        let told = self.is_told();
        self.scheduler.detach();
        self.queue.flush();
        let kept = self.is_kept();
        self.scheduler.hardware_gone();
        self.scheduler.deliver();
        // Jobs that have ended hear nothing of this.
        self.foreign.clear();
        self.settle();
        told?;
        kept?;
        self.leaves_nothing(scenario)
    }

    /// Right after the loss every fence has signalled what it has to.
    fn is_told(&self) -> Result {
        for job in &self.jobs {
            let (number, outcome) = (job.number, job.fence.outcome());
            let is_right = match (job.before, outcome) {
                (Some(before), after) => after == Some(before),
                (None, Some(Ok(()))) => self.record.saw(Call::Completed(number)),
                (None, Some(Err(error))) => {
                    let hung = job.is_short && error == ETIME;
                    (error == ENODEV || hung) && !self.record.saw(Call::Completed(number))
                }
                (None, None) => false,
            };
            check!(is_right, "job {number} was {:?} and the loss made it {outcome:?}", job.before);
        }
        check!(self.record.signalled() as usize == self.jobs.len(), "{} fences signalled", self.record.signalled());
        Ok(())
    }

    /// The hardware may still read what it was given, and nothing else is left.
    fn is_kept(&self) -> Result {
        for job in &self.jobs {
            let is_there = self.record.has(job.number);
            let is_dropped = self.record.saw(Call::Dropped(job.number));
            // A ring may have given a job up while the loss came, and nobody has heard of that.
            let is_right = if is_there { !is_dropped } else { is_dropped || job.is_short };
            check!(is_right, "job {}: on a ring {is_there}, dropped {is_dropped}", job.number);
        }
        for number in &self.kept {
            let is_free = self.record.saw(Call::HasLetGo(*number))
                || self.record.saw(Call::LastLook(*number))
                || self.record.saw_reset();
            check!(is_free || !self.record.saw(Call::Dropped(*number)), "{number} was dropped while firmware holds it");
        }
        Ok(())
    }

    fn leaves_nothing(&self, scenario: &Scenario) -> Result {
        check!(self.record.is_whole(), "more was called than there is room for");
        check!(self.scheduler.jobs_left() == 0, "{} jobs are left", self.scheduler.jobs_left());
        check!(self.record.alive() == 0, "{} things were not dropped", self.record.alive());
        let jobs = self.jobs.iter().map(|job| &job.number);
        for number in Iterator::chain(jobs, &self.kept) {
            check!(self.record.times(Call::Dropped(*number)) == 1, "{number} was not dropped once");
        }
        for (ring, (credits, _)) in scenario.rings.iter().enumerate().take(RINGS) {
            let most = self.record.most(ring);
            check!(most <= *credits, "ring {ring} has {credits} credits and had jobs of {most}");
        }
        Ok(())
    }
}
