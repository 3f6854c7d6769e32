//! Who goes first, who goes where, and how much fits.

use std::collections::VecDeque;
use std::sync::mpsc;

use crate::rig::{Job, SMALL, numbers};
use crate::*;

#[test]
fn drm_sched_priorities() {
    let rig = Rig::new();
    let lanes = PRIORITY.map(|priority| rig.lane(0, priority));
    let first = rig.block(&lanes[1]);
    let jobs: Vec<Job> = (0..100).map(|number| rig.small(&lanes[number % 3])).collect();
    let mut left = [0, 1, 2].map(|priority| jobs.iter().skip(priority).step_by(3).collect::<VecDeque<_>>());
    let mut passed = [0; 3];
    let by_priority = std::iter::from_fn(|| {
        // One that was passed by 16 times has a turn, so that it is not starved.
        let due = (0..3).find(|at| passed[*at] >= 16 && !left[*at].is_empty());
        let at = due.or_else(|| left.iter().position(|jobs| !jobs.is_empty()))?;
        passed[at] = 0;
        (at + 1..3).for_each(|lower| passed[lower] = if left[lower].is_empty() { 0 } else { passed[lower] + 1 });
        left[at].pop_front()
    });
    let expected: Vec<Job> = std::iter::once(&first).chain(by_priority).cloned().collect();
    rig.all_done_in_order(&expected);
    drop((lanes, first, jobs, expected));
    rig.finish();
}

/// Queues as the scheduler should see them: who is next, if one job fits at a time.
struct Turns {
    priorities: [usize; 3],
    waiting: [VecDeque<u32>; 3],
    ready: [VecDeque<usize>; 3],
}

impl Turns {
    fn submitted(&mut self, queue: usize, number: u32) {
        if self.waiting[queue].is_empty() {
            self.ready[self.priorities[queue]].push_back(queue);
        }
        self.waiting[queue].push_back(number);
    }

    fn changed(&mut self, queue: usize, priority: usize) {
        let before = std::mem::replace(&mut self.priorities[queue], priority);
        if before != priority && !self.waiting[queue].is_empty() {
            self.ready[before].retain(|other| *other != queue);
            self.ready[priority].push_back(queue);
        }
    }

    fn next(&mut self) -> Option<u32> {
        let queue = self.ready.iter_mut().find_map(VecDeque::pop_front)?;
        let number = self.waiting[queue].pop_front();
        if !self.waiting[queue].is_empty() {
            self.ready[self.priorities[queue]].push_back(queue);
        }
        number
    }
}

/// While each job runs, a queue gets another priority, which counts from the next job on.
#[test]
fn drm_sched_change_priority() {
    let rig = Rig::new();
    let lanes = PRIORITY.map(|priority| rig.lane(0, priority));
    let mut turns = Turns { priorities: [0, 1, 2], waiting: Default::default(), ready: Default::default() };
    let first = rig.block(&lanes[0]);
    let spec = Spec { credits: rig.credits_of(1), ..Spec::default() };
    let mut jobs = vec![];
    for turn in 0..200 {
        jobs.push(rig.submit(&lanes[turn % 3], &spec));
        turns.submitted(turn % 3, jobs[turn].number);
    }
    let mut expected = vec![first.number];
    for turn in 0..200 {
        // Seven steps, so that no queue always gets the same one.
        let (queue, priority) = (turn % 3, turn * 5 % 7 % 3);
        lanes[queue].queue.set_priority(PRIORITY[priority]);
        turns.changed(queue, priority);
        expected.extend(turns.next());
        rig.hold.allow(1);
        rig.hold.wait_begun(turn + 2);
    }
    rig.all_done(jobs.iter().chain([&first]));
    assert_eq!(rig.log(), expected);
    let unchanged = (0..3).flat_map(|priority| numbers(&jobs).into_iter().skip(priority).step_by(3));
    assert_ne!(expected[1..], unchanged.collect::<Vec<_>>(), "the changes counted");
    drop((lanes, first, jobs));
    rig.finish();
}

/// The same from another thread and as often as it can, as the kernel's case does it: nothing is lost, and the jobs of
/// one queue stay in order.
#[test]
fn priorities_may_change_at_any_moment() {
    let rig = Rig::with(Options { entries: 1024, ..Options::default() });
    rig.hold.open();
    let lanes = PRIORITY.map(|priority| rig.lane(0, priority));
    let jobs: Vec<Job> = (0..1000).map(|number| rig.small(&lanes[number % 3])).collect();
    for (queue, priority) in (0..3).cycle().zip((0..7).cycle()) {
        if jobs.iter().all(|job| job.fence.status().is_some()) {
            break;
        }
        lanes[queue].queue.set_priority(PRIORITY[priority % 3]);
    }
    rig.all_done(&jobs);
    let log = rig.log();
    for queue in 0..3 {
        let theirs = log.iter().copied().filter(|number| *number % 3 == queue);
        assert_eq!(theirs.collect::<Vec<_>>(), (queue..1000).step_by(3).collect::<Vec<_>>());
    }
    drop((lanes, jobs));
    rig.finish();
}

/// Primes, so that the pattern of moves does not repeat: 13 queues, 3 rings, each with two jobs at a time. After each
/// job another queue moves. Each queue has a log of its own, in which two of its jobs that ran at the same time would
/// show.
#[test]
fn drm_sched_test_modify_sched() {
    let rig = Rig::with(Options { rings: 3, entries: 128, ..Options::default() });
    let in_own_space = |ring| {
        let space = rig.space();
        (rig.lane_in(&space, ring, Priority::Normal), space)
    };
    let lanes: Vec<_> = (0..3).cycle().take(13).map(in_own_space).collect();
    // Which of the device's contexts is whose.
    rig.hold.open();
    let mut jobs: Vec<Vec<Job>> = vec![];
    for (lane, _) in &lanes {
        let job = rig.small(lane);
        rig.all_done([&job]);
        jobs.push(vec![job]);
    }
    let contexts: Vec<u8> = rig.hold.turns().iter().map(|turn| turn.context).collect();
    rig.hold.close();
    let (sender, ended) = mpsc::channel();
    let spec = Spec { credits: rig.credits_of(2), ..Spec::default() };
    for number in 0..1000 {
        let job = rig.submit(&lanes[number % 13].0, &spec);
        let sender = sender.clone();
        job.fence.on_signal(move |_| sender.send(()).unwrap());
        jobs[number % 13].push(job);
    }
    for turn in 0..1000 {
        rig.hold.allow(1);
        ended.recv_timeout(LONG).unwrap();
        lanes[turn % 13].0.queue.move_to(u8::try_from(turn % 3).unwrap()).unwrap();
    }
    rig.all_done(jobs.iter().flatten());
    let (turns, mut places) = (rig.hold.turns(), 0);
    for ((number, (_, space)), jobs) in lanes.iter().enumerate().zip(&jobs) {
        assert_eq!(space.log.read(), numbers(jobs), "queue {number}");
        let was_on = |ring: &u8| turns.iter().any(|turn| (turn.context, turn.ring) == (contexts[number], *ring));
        places += (0..3).filter(was_on).count();
    }
    // Where a queue is when its turn comes depends on timing, but not that most were on all three.
    assert!(places > 2 * 13, "queues hardly moved: {places} places in all");
    drop((lanes, jobs));
    rig.finish();
}

#[test]
fn a_moved_queue_leaves_on_the_old_ring_what_is_there_and_waits_for_it() {
    let rig = Rig::with(Options { rings: 3, ..Options::default() });
    let lane = rig.lane(0, Priority::Normal);
    let on_ring = rig.block(&lane);
    let moved: Vec<Job> = (0..2).map(|_| rig.small(&lane)).collect();
    lane.queue.move_to(1).unwrap();
    rig.settle();
    assert_eq!((lane.queue.ring(), rig.given(1)), (1, 0), "they wait for the one on the old ring");
    // The old ring is for others now, and they do not wait for those that left.
    let other = rig.lane(0, Priority::Normal);
    let others = rig.small(&other);
    rig.hold.allow(1);
    assert_eq!(on_ring.fence.wait(LONG), Ok(()));
    rig.hold.wait_begun(3);
    rig.settle();
    assert_eq!((rig.given(0), rig.given(1)), ((rig.all_credits() + SMALL) % 1024, 2 * SMALL));
    // Two rings write into one log now: only what the fences say counts.
    rig.all_done(moved.iter().chain([&others]));
    drop((lane, other, on_ring, moved, others));
    rig.finish();
}

#[test]
fn drm_sched_test_credits() {
    let rig = Rig::new();
    let lane = rig.lane(0, Priority::Normal);
    let credits = rig.credits_of(1);
    let spec = Spec { credits, ..Spec::default() };
    let (first, second) = (rig.submit(&lane, &spec), rig.submit(&lane, &spec));
    rig.hold.wait_begun(1);
    rig.settle();
    assert_eq!((rig.given(0), rig.hold.begun()), (credits, 1), "there is no room for both");
    rig.hold.allow(1);
    assert_eq!(first.fence.wait(LONG), Ok(()));
    rig.hold.wait_begun(2);
    assert_eq!(second.fence.status(), None);
    rig.all_done_in_order(&[first, second]);
    drop(lane);
    rig.finish();
}

#[test]
fn a_large_job_is_not_overtaken_by_small_ones_for_ever() {
    let rig = Rig::new();
    let lanes = rig.lanes(2);
    let small: Vec<Job> = (0..3).map(|_| rig.small(&lanes[0])).collect();
    rig.hold.wait_begun(1);
    rig.settle();
    let large = rig.submit(&lanes[1], &Spec { credits: rig.all_credits(), ..Spec::default() });
    rig.settle();
    let later = rig.small(&lanes[0]);
    rig.settle();
    assert_eq!(rig.given(0), 3 * SMALL, "what is free is kept for the large one");
    rig.all_done_in_order(&[small.as_slice(), &[large, later]].concat());
    drop((lanes, small));
    rig.finish();
}
