//! What must be true of each action when it comes, and when there is none left.

use super::*;

impl Model {
    /// Fences that are owed.
    pub(super) fn ended(&self) -> bool {
        self.jobs.iter().any(|job| matches!(job.stage, Stage::Ended(_)))
    }

    /// Payloads that are owed.
    pub(super) fn releasable(&self) -> bool {
        let queue = self.queues.iter().any(|queue| queue.holding == Holding::LetGo);
        queue || self.jobs.iter().any(|job| job.stage == Stage::Signalled && !job.on_hardware)
    }

    pub(super) fn reset_owed(&self) -> bool {
        self.device == DeviceIs::Running
            && self.lost.is_none()
            && self.rings.iter().any(|ring| matches!(ring.is, RingIs::Suspect(_)))
    }

    /// A queue's oldest job, if it waits for nothing.
    fn ready(&self, queue: &Queue) -> Option<&Job> {
        let oldest = queue.waiting.first().map(|job| &self.jobs[*job]);
        oldest.filter(|job| job.waits == 0 && !self.held_back(queue))
    }

    /// The same, past jobs that were canceled.
    fn next_to_run(&self, queue: &Queue) -> Option<usize> {
        let next = queue.waiting.iter().find(|job| !self.must_not_run(&self.jobs[**job]));
        next.copied().filter(|job| self.jobs[*job].waits == 0 && !self.held_back(queue))
    }

    pub(in super::super) fn signalled(&mut self, fence: u32, result: Result<(), FenceError>) {
        let index = fence as usize;
        let queue = self.jobs[index].queue;
        match self.jobs[index].stage {
            Stage::Ended(expected) => assert_eq!(result, expected, "job {fence}"),
            Stage::Queued => {
                // Its turn has come, and it must not run.
                assert!(self.must_not_run(&self.jobs[index]), "job {fence} ended without a reason");
                assert!(!self.held_back(&self.queues[queue]), "job {fence} ended before an older one");
                assert_eq!(self.rings[self.queues[queue].ring].is, RingIs::Running);
                assert_eq!(result, Err(FenceError::Canceled));
                assert_eq!(self.queues[queue].waiting.remove(0), index, "out of turn");
                self.queues[queue].passed_by.clear();
            }
            other => panic!("job {fence} signalled while {other:?}"),
        }
        self.jobs[index].stage = Stage::Signalled;
    }

    pub(in super::super) fn released(&mut self, payload: u32) {
        assert!(!self.ended(), "memory before those who wait");
        if payload >= firmware::QUEUE_PAYLOADS {
            return self.released_of_queue(payload);
        }
        let job = &mut self.jobs[payload as usize];
        assert_eq!(job.stage, Stage::Signalled, "payload {payload}");
        assert!(!job.on_hardware, "the hardware may still read payload {payload}");
        job.stage = Stage::Gone;
    }

    pub(in super::super) fn gave_up(&mut self) {
        assert!(!self.ended() && !self.releasable());
        assert!(core::mem::take(&mut self.give_up), "no reason to give up");
    }

    pub(in super::super) fn asked(&mut self, ring: RingIndex, suspect: Option<u32>) {
        assert!(!self.ended() && !self.releasable() && !self.give_up);
        let ring = &mut self.rings[usize::from(ring.0)];
        let RingIs::Suspect(cause) = ring.is else { panic!("a reset that is not owed: {ring:?}") };
        assert_eq!(suspect.map(|job| job as usize), ring.accused().filter(|_| cause != Cause::Fault));
        assert_eq!(self.device, DeviceIs::Running, "the whole device is next");
        ring.is = RingIs::Asked(cause);
    }

    pub(in super::super) fn asked_of_device(&mut self) {
        assert!(!self.ended() && !self.releasable() && !self.give_up);
        assert_eq!(self.device, DeviceIs::Stuck, "no ring's reset failed");
        assert!(!self.ring_is_resetting(), "it would cut short that of a ring");
        self.device = DeviceIs::Asked;
    }

    fn ring_is_resetting(&self) -> bool {
        self.rings.iter().any(|ring| matches!(ring.is, RingIs::Asked(_) | RingIs::Resetting(_)))
    }

    pub(super) fn given_out(ring: &mut Ring, seqno: Seqno) {
        assert!(seqno.is_after(*ring.numbers.last().unwrap()), "{seqno:?} was given out before");
        ring.numbers.push(seqno);
    }

    /// What a job's completion is reported through: a slot of its queue's own while others are on the hardware.
    pub(in super::super) fn reported_through(&mut self, payload: u32, event: Option<EventSlot>) {
        assert_eq!(event.is_some(), self.event_slots.is_some());
        let turn = self.jobs[payload as usize].queue;
        for other in self.rings.iter().flat_map(|ring| &ring.running).map(|(_, job)| self.jobs[*job].queue) {
            let shared = event.is_some() && self.queues[other].event == event;
            assert!(!shared || other == turn, "queues {turn} and {other} share an event slot");
            assert!(other != turn || self.queues[turn].event == event, "it has two event slots");
        }
        self.queues[turn].event = event;
    }

    /// There may be no event slot for a queue that could run: each is taken by another that is busy; or its own was due
    /// to another, and it is given no more work before what it has on a ring is done.
    fn starved(&self, queue: &Queue) -> bool {
        let running = |other: &Queue| {
            let jobs = self.rings.iter().flat_map(|ring| &ring.running);
            jobs.map(|(_, job)| self.jobs[*job].queue).any(|on_ring| self.queues[on_ring].handle == other.handle)
        };
        let busy = |other: &&Queue| running(other) || self.ready(other).is_some();
        let others = self.queues.iter().filter(|other| other.handle != queue.handle);
        self.event_slots.is_some_and(|slots| running(queue) || others.filter(busy).count() >= slots.into())
    }

    /// Whoever polls is told of all else first.
    pub(in super::super) fn assert_nothing_before_work(&self) {
        assert!(!self.ended() && !self.releasable() && !self.give_up && !self.reset_owed(), "work before trouble");
        assert!(!self.question_owed(), "work before memory");
    }

    pub(in super::super) fn started(
        &mut self,
        handle: JobId,
        payload: u32,
        ring: RingIndex,
        seqno: Seqno,
        now: Timestamp,
    ) {
        let index = payload as usize;
        let (turn, ring) = (self.jobs[index].queue, usize::from(ring.0));
        assert_eq!((self.device, self.stopped), (DeviceIs::Running, false));
        assert_eq!(self.jobs[index].handle, handle);
        assert_eq!((self.queues[turn].ring, self.rings[ring].is), (ring, RingIs::Running));
        assert_eq!(self.next_to_run(&self.queues[turn]), Some(index), "out of order");
        for other in 0..self.queues.len() {
            let queue = &self.queues[other];
            // A queue without an event slot is passed by, and comes first when it gets one.
            if other == turn || queue.ring != ring || self.event_slots.is_some() {
                continue;
            }
            let level = self.queues[turn].priority;
            let due = self.rings[ring].passed[level as usize] >= PASSES;
            let precedes = queue.priority < level && !due;
            assert!(!precedes || self.next_to_run(queue).is_none(), "a lower priority went first");
            // Between contexts it is time that counts: see `fairness`.
            if queue.priority == level
                && queue.context == self.queues[turn].context
                && self.ready(queue).is_some_and(|job| !self.must_not_run(job))
            {
                assert!(!queue.passed_by.contains(&turn), "queue {turn} had two turns, {other} none");
                self.queues[other].passed_by.push(turn);
            }
        }
        for lower in self.queues[turn].priority as usize + 1..PRIORITIES {
            let mut queues = self.queues.iter().filter(|queue| queue.ring == ring && queue.priority as usize == lower);
            let waits = queues.any(|queue| self.ready(queue).is_some());
            let passed = &mut self.rings[ring].passed[lower];
            *passed = if waits { passed.saturating_add(1) } else { 0 };
        }
        self.rings[ring].passed[self.queues[turn].priority as usize] = 0;
        self.queues[turn].passed_by.clear();
        self.queues[turn].waiting.retain(|job| *job != index);
        let number = ring;
        let (job, ring) = (&mut self.jobs[index], &mut self.rings[ring]);
        assert!(ring.credits >= job.spec.cost, "over-committed");
        ring.credits -= job.spec.cost;
        job.stage = Stage::Running;
        (job.ring, job.seqno, job.since, job.extensions, job.aborted) = (number, seqno, now, 0, false);
        job.on_hardware = true;
        ring.running.push((seqno, index));
        Self::given_out(ring, seqno);
    }

    /// All actions have been carried out: nothing is owed any more.
    pub(in super::super) fn assert_settled(&self) {
        assert!(!self.ended(), "a fence is owed");
        assert!(!self.releasable(), "a payload is kept for no reason");
        assert!(!self.give_up && !self.reset_owed() && !self.question_owed());
        assert!(self.device != DeviceIs::Stuck || self.ring_is_resetting(), "nobody resets the device");
        if self.device != DeviceIs::Running || self.stopped {
            return;
        }
        for (index, ring) in self.rings.iter().enumerate().filter(|(_, ring)| ring.is == RingIs::Running) {
            let mut ready: Vec<_> = self.queues.iter().filter(|queue| queue.ring == index).collect();
            ready.retain(|queue| self.ready(queue).is_some());
            let first = ready.iter().map(|queue| queue.priority).min();
            let slots = self.event_slots.is_some();
            let blocks = |job: &Job| !self.must_not_run(job) && job.spec.cost > ring.credits;
            let mut firsts = ready.iter().filter(|queue| slots || Some(queue.priority) == first);
            let blocked = firsts.any(|queue| self.ready(queue).is_some_and(blocks));
            ready.retain(|queue| !self.starved(queue));
            assert!(ready.is_empty() || blocked, "ring {index} is idle for no reason");
        }
    }
}
