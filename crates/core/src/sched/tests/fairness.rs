//! A ring's time is shared by context, and no priority is starved (SCHED-9): every order of events in small
//! configurations, and long random runs in large ones.
//!
//! What is promised: while two contexts both have work for a ring, neither gets more of its time than the other by more
//! than [`bound`]: twice what the ring holds at once, at the length of the longest job. Jobs are never interrupted, and
//! nobody knows their length before.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

const RING: RingIndex = RingIndex(0);
/// More situations than any configuration here has.
const MOST: usize = 1_000_000;

/// Contexts with a number of queues each, one ring, and jobs of one credit.
#[derive(Debug, Clone)]
struct World {
    scheduler: TestScheduler,
    now: Timestamp,
    /// Of each queue: which context it is of, which priority it has, and how many jobs wait.
    queues: Vec<(QueueId, usize, Priority, u32)>,
    /// Number and queue of the jobs on the ring.
    on_ring: VecDeque<(Seqno, usize)>,
    /// The time that each context has had, and how far each was ahead of each other at least and at most since both have
    /// had work.
    had: Vec<i64>,
    ahead: Vec<Vec<Option<(i64, i64)>>>,
    /// Turns of others since each priority that had work was last served.
    passed: [u32; PRIORITIES],
    /// The furthest that any was ahead.
    furthest: i64,
}

impl World {
    /// With `unowned`, the queues of the last context belong to none instead.
    fn new(queues: &[(usize, Priority)], credits: u32, jobs: usize, unowned: bool) -> Self {
        let contexts = queues.iter().map(|(context, _)| context + 1).max().unwrap();
        let limits = Limits::new(credits, Duration::MAX);
        let mut scheduler = Scheduler::new(stores([jobs, queues.len(), 1, contexts]), limits);
        let handles: Vec<_> = (0..contexts).map(|_| scheduler.open_context(1).unwrap()).collect();
        let open = |(context, priority): &(usize, Priority)| {
            let queue = if unowned && context + 1 == contexts {
                scheduler.open_queue(RING, *priority)
            } else {
                scheduler.open_queue_of(handles[*context], RING, *priority)
            };
            (queue.unwrap(), *context, *priority, 0)
        };
        let queues = queues.iter().map(open).collect();
        Self {
            scheduler,
            now: Timestamp::default(),
            queues,
            on_ring: VecDeque::new(),
            had: vec![0; contexts],
            ahead: vec![vec![None; contexts]; contexts],
            passed: [0; PRIORITIES],
            furthest: 0,
        }
    }

    fn submit(&mut self, queue: usize) -> bool {
        let Ok(place) = self.scheduler.reserve(self.queues[queue].0, spec(0, false)) else { return false };
        let number = u32::try_from(queue).unwrap();
        self.scheduler.commit(place, number, number);
        self.queues[queue].3 += 1;
        self.note();
        true
    }

    /// The shell carries out all that is to be done. Each turn is checked for priority.
    fn drain(&mut self) {
        while let Some(action) = self.scheduler.poll_action() {
            let Action::Run { job, seqno, .. } = action else { continue };
            let queue = *self.scheduler.payload(job).unwrap() as usize;
            let level = self.queues[queue].2;
            for lower in level as usize + 1..PRIORITIES {
                let waits = self.queues.iter().any(|(.., at, waiting)| *at as usize == lower && *waiting > 0);
                self.passed[lower] = if waits { self.passed[lower] + 1 } else { 0 };
                // Two priorities may be due at once, and one of them goes first.
                assert!(self.passed[lower] <= u32::from(PASSES) + 1, "priority {lower} is starved");
            }
            for higher in 0..level as usize {
                let waits = self.queues.iter().any(|(.., at, waiting)| *at as usize == higher && *waiting > 0);
                assert!(!waits || self.passed[level as usize] >= u32::from(PASSES), "a lower priority went first");
            }
            self.passed[level as usize] = 0;
            self.queues[queue].3 -= 1;
            self.on_ring.push_back((seqno, queue));
            self.scheduler.started(RING, seqno, self.now);
            self.note();
        }
    }

    /// The oldest job has taken so long.
    fn complete(&mut self, length: u32) -> bool {
        let Some((seqno, queue)) = self.on_ring.pop_front() else { return false };
        self.now = self.now.plus(Duration::from_nanos(length.into()));
        self.had[self.queues[queue].1] += i64::from(length);
        self.note();
        self.scheduler.hw_done(RING, seqno, self.now);
        true
    }

    fn has_work(&self, context: usize) -> bool {
        self.queues.iter().any(|(_, of, _, waiting)| *of == context && *waiting > 0)
    }

    fn note(&mut self) {
        let contexts = self.had.len();
        for (one, other) in (0..contexts).flat_map(|one| (0..contexts).map(move |other| (one, other))) {
            let both = one != other && self.has_work(one) && self.has_work(other);
            let by = self.had[one] - self.had[other];
            let (least, most) = self.ahead[one][other].unwrap_or((by, by));
            let (least, most) = (least.min(by), most.max(by));
            self.ahead[one][other] = both.then_some((least, most));
            if both {
                self.furthest = self.furthest.max(most - least);
            }
        }
    }

    /// All that what happens next depends on, and what is checked.
    fn key(&self) -> Vec<i64> {
        let ring = &self.scheduler.rings[0];
        let floor = i64::try_from(ring.turns.floor).unwrap();
        let mut key: Vec<i64> = self.queues.iter().map(|queue| queue.3.into()).collect();
        for turn in self.scheduler.turns.iter().map(|slot| &slot.turn).chain([&ring.turns.unowned]) {
            let Turn { used, ahead, last, ready } = turn;
            let (used, ahead) = (i64::try_from(*used).unwrap(), i64::try_from(*ahead).unwrap());
            let idle = ready.iter().all(|list| list.is_empty());
            // It is lifted when it has work again, and so is as good as lifted.
            let used = if idle { used.max(floor + ahead) } else { used };
            key.extend([used - floor, ahead, i64::try_from(*last).unwrap()]);
            key.extend(ready.iter().map(|list| list.front().map_or(-1, i64::from)));
        }
        for (queue, ..) in &self.queues {
            let slot = &self.scheduler.queues[queue.index() as usize];
            key.push(if slot.stands == slots::Stands::Ready { slot.links.next.into() } else { -1 });
        }
        key.extend(self.on_ring.iter().map(|(_, queue)| i64::try_from(*queue).unwrap()));
        key.extend(
            self.scheduler.jobs.iter().map(|job| i64::try_from(job.charged).unwrap()).filter(|charged| *charged > 0),
        );
        key.push(-2);
        key.extend(ring.turns.passed.map(i64::from));
        for (one, row) in self.ahead.iter().enumerate() {
            for (other, ahead) in row.iter().enumerate() {
                let by = self.had[one] - self.had[other];
                key.extend(ahead.map_or([0, 0], |(least, most)| [by - least, most - by]));
            }
        }
        key
    }
}

/// The furthest that any context was ahead of another, in any order of submissions, completions and lengths of jobs; and
/// how many situations there are.
fn explore(queues: &[(usize, Priority)], credits: u32, waiting: u32, lengths: &[u32], unowned: bool) -> (i64, usize) {
    let jobs = queues.len() * waiting as usize + credits as usize;
    let beginning = World::new(queues, credits, jobs, unowned);
    let mut seen = HashSet::from([beginning.key()]);
    let mut frontier = vec![beginning];
    let mut furthest = 0;
    while let Some(world) = frontier.pop() {
        let submissions = (0..queues.len()).filter(|queue| world.queues[*queue].3 < waiting).map(|queue| {
            let mut next = world.clone();
            next.submit(queue).then_some(next)
        });
        let completions = lengths.iter().map(|length| {
            let mut next = world.clone();
            next.complete(*length).then_some(next)
        });
        for mut next in submissions.chain(completions).flatten() {
            next.drain();
            furthest = furthest.max(core::mem::take(&mut next.furthest));
            if seen.insert(next.key()) {
                frontier.push(next);
            }
        }
        assert!(seen.len() < MOST, "a number in the situation never comes back, or time is not shared");
    }
    (furthest, seen.len())
}

#[test]
fn sched_9_contexts_share_a_rings_time_in_every_order_of_events() {
    let lengths = [1, 3];
    let normal = Priority::Normal;
    for (queues, credits, waiting) in [
        (&[(0, normal), (1, normal)][..], 1, 2),
        (&[(0, normal), (1, normal)][..], 2, 2),
        (&[(0, normal), (0, normal), (1, normal)][..], 1, 1),
        (&[(0, normal), (0, normal), (1, normal)][..], 2, 1),
        (&[(0, normal), (1, normal), (2, normal)][..], 1, 1),
        (&[(0, normal), (1, normal)][..], 3, 2),
    ] {
        for unowned in [false, true] {
            let (furthest, situations) = explore(queues, credits, waiting, &lengths, unowned);
            std::println!("{} queues, {credits} credits: {furthest} ahead in {situations} situations", queues.len());
            assert!(furthest <= bound(credits, 3), "{furthest} ahead with {queues:?}, {credits} credits");
            assert!(furthest > 0, "nobody was ever ahead");
        }
    }
}

/// How far one context may fall behind another, and then come ahead of it, while both have work: what fits the ring is
/// given to it before the length of any of it is known, first by the one and then by the other.
fn bound(credits: u32, longest: u32) -> i64 {
    i64::from(2 * credits * longest)
}

#[test]
fn sched_9_no_priority_is_starved_in_any_order_of_events() {
    let queues = [(0, Priority::High), (0, Priority::Normal), (1, Priority::Low)];
    let (_, situations) = explore(&queues, 1, 1, &[1], false);
    std::println!("{situations} situations");
}

#[test]
fn sched_9_a_hundred_queues_get_no_more_than_one() {
    let queues: Vec<_> = (0..101).map(|number| (usize::from(number == 100), Priority::Normal)).collect();
    let mut world = World::new(&queues, 2, 400, false);
    for _ in 0..2000 {
        (0..101).filter(|queue| world.queues[*queue].3 == 0).collect::<Vec<_>>().into_iter().for_each(|queue| {
            world.submit(queue);
        });
        world.drain();
        world.complete(1);
    }
    let [many, one] = [world.had[0], world.had[1]];
    assert!((many - one).abs() <= bound(2, 1), "the context with a hundred queues had {many}, the other {one}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn sched_9_contexts_share_a_rings_time_in_long_random_runs(
        sizes in prop::collection::vec(1..40usize, 2..6),
        longest in prop::collection::vec(1..10_000u32, 6),
        credits in 1..9u32,
        seed in any::<u64>(),
        unowned in any::<bool>(),
    ) {
        let queues: Vec<_> =
            sizes.iter().enumerate().flat_map(|(context, size)| vec![(context, Priority::Normal); *size]).collect();
        let mut world = World::new(&queues, credits, 4 * queues.len() + 8, unowned);
        let mut random = seed | 1;
        let mut draw = |below: usize| {
            // Marsaglia's xorshift64.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % below as u64).unwrap()
        };
        for _ in 0..2000 {
            match draw(3) {
                0 if !world.on_ring.is_empty() => {
                    let context = world.queues[world.on_ring[0].1].1;
                    let length = 1 + draw(longest[context] as usize);
                    world.complete(u32::try_from(length).unwrap());
                }
                _ => {
                    let queue = draw(queues.len());
                    if world.queues[queue].3 < 4 {
                        world.submit(queue);
                    }
                }
            }
            world.drain();
        }
        let longest = longest[..sizes.len()].iter().max().unwrap();
        prop_assert!(world.furthest <= bound(credits, *longest), "{} ahead of {}", world.furthest, bound(credits, *longest));
    }
}
