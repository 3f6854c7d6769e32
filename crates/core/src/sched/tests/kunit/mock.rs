//! Rings that execute one job after the other, a fake clock, and a witness of every turn.

use std::collections::VecDeque;

use super::*;

const QUEUES: usize = 32;

/// What a job is and waits for. See [`job`].
#[derive(Debug, Clone)]
pub(super) struct Spec {
    time: Option<Duration>,
    cost: u32,
    after: Vec<usize>,
}

/// A job that takes so many microseconds.
pub(super) fn job(us: u64) -> Spec {
    Spec { time: Some(Duration::from_micros(us)), cost: 1, after: vec![] }
}

impl Spec {
    /// A job that completes only by [`Mock::advance`].
    pub(super) fn blocking() -> Self {
        Self { time: None, ..job(0) }
    }

    pub(super) fn after(mut self, jobs: impl IntoIterator<Item = usize>) -> Self {
        self.after.extend(jobs);
        self
    }

    pub(super) fn cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }
}

/// What has become of a job.
#[derive(Debug)]
struct Job {
    queue: usize,
    handle: JobId,
    time: Option<Duration>,
    cost: u32,
    waits: u32,
    dependents: Vec<usize>,
    ended: Option<(Timestamp, Result<(), FenceError>)>,
    released: bool,
}

#[derive(Debug)]
struct Queue {
    handle: QueueId,
    ring: u8,
    priority: Priority,
    /// All of its jobs, and those that have not been given to a ring.
    jobs: Vec<usize>,
    waiting: VecDeque<usize>,
    /// Queues that had a turn while this one could have run.
    passed_by: Vec<usize>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The first is being executed since `busy_since`.
    jobs: VecDeque<(Seqno, usize)>,
    busy_since: Timestamp,
    used: u32,
    /// How often each priority was passed by since its last turn.
    passed: [u8; PRIORITIES],
}

/// How often the scheduler was called, and asked for something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) submissions: usize,
    pub(super) dependencies: usize,
    pub(super) completions: usize,
    pub(super) polls: usize,
    pub(super) runs: usize,
    pub(super) signals: usize,
    pub(super) releases: usize,
}

/// A job's index is its fence and its payload.
pub(super) struct Mock {
    pub(super) scheduler: TestScheduler,
    pub(super) now: Timestamp,
    pub(super) counts: Counts,
    /// Jobs in the order in which they were given to rings, and which ring that was.
    pub(super) started: Vec<(usize, u8)>,
    /// Rings whose reset was asked for.
    pub(super) resets: Vec<RingIndex>,
    jobs: Vec<Job>,
    queues: Vec<Queue>,
    rings: Vec<Ring>,
    credits: u32,
}

impl Mock {
    /// Without a timeout, as most of the kernel's cases.
    pub(super) fn new(jobs: usize, rings: u8, credits: u32) -> Self {
        Self::with_timeout(jobs, rings, credits, Duration::MAX)
    }

    pub(super) fn with_timeout(jobs: usize, rings: u8, credits: u32, job_timeout: Duration) -> Self {
        let limits = Limits::new(credits, job_timeout);
        Self {
            scheduler: Scheduler::new(stores([jobs, QUEUES, rings.into(), 0]), limits),
            now: Timestamp::default(),
            counts: Counts::default(),
            started: vec![],
            resets: vec![],
            jobs: vec![],
            queues: vec![],
            rings: (0..rings).map(|_| Ring::default()).collect(),
            credits,
        }
    }

    pub(super) fn queue(&mut self, ring: u8, priority: Priority) -> usize {
        let handle = self.scheduler.open_queue(RingIndex(ring), priority).unwrap();
        let (waiting, passed_by) = (VecDeque::new(), vec![]);
        self.queues.push(Queue { handle, ring, priority, jobs: vec![], waiting, passed_by });
        self.queues.len() - 1
    }

    pub(super) fn queues(&mut self, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.queue(0, Priority::Normal)).collect()
    }

    pub(super) fn submit(&mut self, queue: usize, spec: Spec) -> usize {
        let Spec { time, cost, after } = spec;
        let waits = u32::try_from(after.len()).unwrap();
        let needs = JobSpec { cost, dependencies: waits, restartable: false, ..JobSpec::default() };
        let reservation = self.scheduler.reserve(self.queues[queue].handle, needs).unwrap();
        let index = self.jobs.len();
        let number = u32::try_from(index).unwrap();
        let handle = self.scheduler.commit(reservation, number, number);
        self.counts.submissions += 1;
        let (dependents, ended, released) = (vec![], None, false);
        self.jobs.push(Job { queue, handle, time, cost, waits, dependents, ended, released });
        self.queues[queue].jobs.push(index);
        self.queues[queue].waiting.push_back(index);
        for dependency in after {
            match self.jobs[dependency].ended {
                Some((_, result)) => self.dependency_done(index, result),
                None => self.jobs[dependency].dependents.push(index),
            }
        }
        self.drain();
        index
    }

    fn dependency_done(&mut self, job: usize, result: Result<(), FenceError>) {
        self.counts.dependencies += 1;
        self.jobs[job].waits -= 1;
        self.scheduler.dependency_done(self.jobs[job].handle, result);
    }

    pub(super) fn set_priority(&mut self, queue: usize, priority: Priority) {
        self.scheduler.set_priority(self.queues[queue].handle, priority).unwrap();
        let slot = &mut self.queues[queue];
        slot.passed_by.clear();
        slot.priority = priority;
        self.drain();
    }

    pub(super) fn move_queue(&mut self, queue: usize, ring: u8) {
        self.scheduler.move_queue(self.queues[queue].handle, RingIndex(ring)).unwrap();
        let slot = &mut self.queues[queue];
        slot.passed_by.clear();
        slot.ring = ring;
        self.drain();
    }

    pub(super) fn kill(&mut self, queue: usize) {
        self.scheduler.kill_queue(self.queues[queue].handle);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        loop {
            self.counts.polls += 1;
            match self.scheduler.poll_action() {
                None => break,
                Some(Action::Run { job, ring, seqno, .. }) => {
                    let index = *self.scheduler.payload(job).unwrap() as usize;
                    assert_eq!(self.jobs[index].handle, job);
                    self.start(index, ring.0, seqno);
                }
                Some(Action::Signal { fence, result }) => self.signal(fence as usize, result),
                Some(Action::Release { payload }) => {
                    self.counts.releases += 1;
                    let job = &mut self.jobs[payload as usize];
                    assert!(job.ended.is_some(), "job {payload} was released before it signalled");
                    assert!(!core::mem::replace(&mut job.released, true), "job {payload} was released twice");
                }
                Some(Action::ResetRing { ring, .. }) => self.resets.push(ring),
                Some(Action::ResetDevice | Action::GiveUp | Action::LetGo { .. }) => panic!("nothing failed"),
            }
        }
        for (number, ring) in (0..).zip(&self.rings).filter(|_| self.resets.is_empty()) {
            let idle = self.queues.iter().position(|queue| queue.ring == number && self.is_ready(queue));
            assert!(idle.is_none() || !ring.jobs.is_empty(), "ring {number} is idle, and {idle:?} is ready");
        }
    }

    /// Its oldest job waits for no fence, and no older one is on another ring.
    fn is_ready(&self, queue: &Queue) -> bool {
        let ours = |job: usize| self.queues[self.jobs[job].queue].handle == queue.handle;
        let elsewhere = |(ring, slot): (u8, &Ring)| ring != queue.ring && slot.jobs.iter().any(|(_, job)| ours(*job));
        queue.waiting.front().is_some_and(|job| self.jobs[*job].waits == 0) && !(0..).zip(&self.rings).any(elsewhere)
    }

    fn start(&mut self, job: usize, ring: u8, seqno: Seqno) {
        self.counts.runs += 1;
        let turn = self.jobs[job].queue;
        assert_eq!(self.queues[turn].waiting.front(), Some(&job), "out of order");
        assert!(self.is_ready(&self.queues[turn]), "job {job} started too early");
        assert_eq!(ring, self.queues[turn].ring);
        for other in (0..self.queues.len()).filter(|other| *other != turn) {
            let queue = &self.queues[other];
            if queue.ring != ring || !self.is_ready(queue) {
                continue;
            }
            let level = self.queues[turn].priority;
            let due = self.rings[usize::from(ring)].passed[level as usize] >= PASSES;
            assert!(queue.priority >= level || due, "a lower priority went first");
            if queue.priority == self.queues[turn].priority {
                assert!(!queue.passed_by.contains(&turn), "queue {turn} had two turns, {other} none");
                self.queues[other].passed_by.push(turn);
            }
        }
        for lower in self.queues[turn].priority as usize + 1..PRIORITIES {
            let mut queues = self.queues.iter().filter(|queue| queue.ring == ring && queue.priority as usize == lower);
            let waits = queues.any(|queue| self.is_ready(queue));
            let passed = &mut self.rings[usize::from(ring)].passed[lower];
            *passed = if waits { *passed + 1 } else { 0 };
        }
        self.rings[usize::from(ring)].passed[self.queues[turn].priority as usize] = 0;
        self.queues[turn].passed_by.clear();
        self.queues[turn].waiting.pop_front();
        self.started.push((job, ring));
        let slot = &mut self.rings[usize::from(ring)];
        slot.used += self.jobs[job].cost;
        assert!(slot.used <= self.credits, "over-committed");
        if slot.jobs.is_empty() {
            slot.busy_since = self.now;
        }
        slot.jobs.push_back((seqno, job));
        self.scheduler.started(RingIndex(ring), seqno, self.now);
    }

    fn signal(&mut self, job: usize, result: Result<(), FenceError>) {
        self.counts.signals += 1;
        assert_eq!(self.jobs[job].ended, None, "job {job} signalled twice");
        self.jobs[job].ended = Some((self.now, result));
        let queue = &mut self.queues[self.jobs[job].queue];
        queue.waiting.retain(|waiting| *waiting != job);
        let mut older = queue.jobs.iter().take_while(|older| **older != job);
        assert!(result.is_err() || older.all(|older| self.jobs[*older].ended.is_some()), "signalled out of order");
        for dependent in core::mem::take(&mut self.jobs[job].dependents) {
            self.dependency_done(dependent, result);
        }
    }

    /// A ring completes its oldest jobs now, so many at once if it has them. How many it had.
    pub(super) fn advance(&mut self, ring: u8, count: usize) -> usize {
        let slot = &mut self.rings[usize::from(ring)];
        let done: Vec<_> = slot.jobs.drain(..count.min(slot.jobs.len())).collect();
        slot.busy_since = self.now;
        slot.used -= done.iter().map(|(_, job)| self.jobs[*job].cost).sum::<u32>();
        if let Some((seqno, _)) = done.last() {
            self.counts.completions += 1;
            self.scheduler.hw_done(RingIndex(ring), *seqno, self.now);
        }
        self.drain();
        done.len()
    }

    /// What was on a ring is not there any more.
    pub(super) fn reset(&mut self, ring: u8) {
        self.rings[usize::from(ring)] = Ring::default();
        self.resets.clear();
        assert!(self.scheduler.begin_reset(RingIndex(ring)).is_some(), "nothing is to be reset");
        self.scheduler.reset_done(RingIndex(ring), true);
        self.drain();
    }

    /// When which ring will complete its oldest job.
    pub(super) fn next_completion(&self) -> Option<(Timestamp, u8)> {
        let next = |(number, ring): (u8, &Ring)| {
            let (_, job) = ring.jobs.front()?;
            Some((ring.busy_since.plus(self.jobs[*job].time?), number))
        };
        (0..).zip(&self.rings).filter_map(next).min()
    }

    /// Lets time pass until a moment, with all that happens before it and at it.
    pub(super) fn run_until(&mut self, end: Timestamp) {
        while let Some((at, ring)) = self.next_completion().filter(|(at, _)| *at <= end) {
            self.now = at;
            self.advance(ring, 1);
        }
        self.now = end;
        self.scheduler.tick(end);
        self.drain();
    }

    /// Lets time pass until nothing more completes.
    pub(super) fn run(&mut self) {
        while let Some((at, _)) = self.next_completion() {
            self.run_until(at);
        }
    }

    pub(super) fn scheduled(&self, job: usize) -> bool {
        self.started.iter().any(|(started, _)| *started == job)
    }

    /// How a job ended, or `None` while it has not.
    pub(super) fn result(&self, job: usize) -> Option<Result<(), FenceError>> {
        self.jobs[job].ended.map(|(_, result)| result)
    }

    /// When a job ended.
    pub(super) fn end_of(&self, job: usize) -> Option<Timestamp> {
        self.jobs[job].ended.map(|(at, _)| at)
    }

    pub(super) fn is_released(&self, job: usize) -> bool {
        self.jobs[job].released
    }

    pub(super) fn handle(&self, queue: usize) -> QueueId {
        self.queues[queue].handle
    }

    pub(super) fn queue_of(&self, job: usize) -> usize {
        self.jobs[job].queue
    }

    /// All users leave; nothing may be left.
    pub(super) fn assert_nothing_left(mut self) {
        for queue in 0..self.queues.len() {
            self.kill(queue);
        }
        for (index, job) in self.jobs.iter().enumerate() {
            assert!(job.ended.is_some() && job.released, "job {index} is left: {job:?}");
        }
        assert_eq!(self.scheduler.job_count(), 0);
        let free = core::iter::from_fn(|| self.scheduler.open_queue(RingIndex(0), Priority::Normal).ok()).count();
        assert_eq!(free, QUEUES, "a queue outlived its user");
    }

    /// The same, and every job did its work.
    pub(super) fn assert_all_done(self) {
        for (index, job) in self.jobs.iter().enumerate() {
            assert_eq!(job.ended.map(|(_, result)| result), Some(Ok(())), "job {index}");
        }
        self.assert_nothing_left();
    }
}
