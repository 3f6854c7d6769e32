//! A ring's time is shared by context, and no priority is starved (SCHED-9): every order of events in small
//! configurations, and long random runs in large ones.
//!
//! What is promised: while two contexts both have work for a ring, neither gets more of its time than the other by more
//! than [`bound`]: twice what the ring holds at once, at the length of the longest job. Jobs are never interrupted, and
//! nobody knows their length before.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

pub(super) const RING: RingIndex = RingIndex(0);
/// More situations than any configuration here has.
const MOST: usize = 1_000_000;

/// The least and the most that one was ahead of another since both have had work; `None` if not both have.
type Ahead = Option<(i64, i64)>;

/// Contexts with a number of queues each, one ring, and jobs of one credit.
#[derive(Debug, Clone)]
pub(super) struct World {
    scheduler: TestScheduler,
    now: Timestamp,
    /// Of each queue: which context it is of, which priority it has, and how many jobs wait.
    pub(super) queues: Vec<(QueueId, usize, Priority, u32)>,
    /// Number and queue of the jobs on the ring.
    pub(super) on_ring: VecDeque<(Seqno, usize)>,
    /// The time that each context has had at each priority, and how far each was ahead of each other at least and at most
    /// since both have had work there.
    had: Vec<[i64; PRIORITIES]>,
    ahead: Vec<Vec<[Ahead; PRIORITIES]>>,
    /// Turns of others since each priority that had work was last served.
    passed: [u32; PRIORITIES],
    /// The furthest that any was ahead.
    pub(super) furthest: i64,
}

impl World {
    /// With `unowned`, the queues of the last context belong to none instead.
    pub(super) fn new(queues: &[(usize, Priority)], credits: u32, jobs: usize, unowned: bool) -> Self {
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
            had: vec![[0; PRIORITIES]; contexts],
            ahead: vec![vec![[None; PRIORITIES]; contexts]; contexts],
            passed: [0; PRIORITIES],
            furthest: 0,
        }
    }

    pub(super) fn submit(&mut self, queue: usize) -> bool {
        let Ok(place) = self.scheduler.reserve(self.queues[queue].0, spec(0, false)) else { return false };
        let number = u32::try_from(queue).unwrap();
        self.scheduler.commit(place, number, number);
        self.queues[queue].3 += 1;
        self.note();
        true
    }

    /// The shell carries out all that is to be done. Each turn is checked for priority.
    pub(super) fn drain(&mut self) {
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
    pub(super) fn complete(&mut self, length: u32) -> bool {
        let Some((seqno, queue)) = self.on_ring.pop_front() else { return false };
        self.now = self.now.plus(Duration::from_nanos(length.into()));
        let (_, context, level, _) = self.queues[queue];
        self.had[context][level as usize] += i64::from(length);
        self.note();
        self.scheduler.hw_done(RING, seqno, self.now);
        true
    }

    fn has_work(&self, context: usize, level: usize) -> bool {
        let waits = |(_, of, at, waiting): &(QueueId, usize, Priority, u32)| {
            (*of, *at as usize) == (context, level) && *waiting > 0
        };
        self.queues.iter().any(waits)
    }

    fn note(&mut self) {
        let contexts = self.had.len();
        for (one, other) in (0..contexts).flat_map(|one| (0..contexts).map(move |other| (one, other))) {
            for level in 0..PRIORITIES {
                let both = one != other && self.has_work(one, level) && self.has_work(other, level);
                let by = self.had[one][level] - self.had[other][level];
                let (least, most) = self.ahead[one][other][level].unwrap_or((by, by));
                let (least, most) = (least.min(by), most.max(by));
                self.ahead[one][other][level] = both.then_some((least, most));
                if both {
                    self.furthest = self.furthest.max(most - least);
                }
            }
        }
    }

    /// All that what happens next depends on, and what is checked.
    fn key(&self) -> Vec<i64> {
        let ring = &self.scheduler.rings[0];
        let signed = |time: u64| i64::try_from(time).unwrap();
        let mut key: Vec<i64> = self.queues.iter().map(|queue| queue.3.into()).collect();
        for turn in self.scheduler.turns.iter().map(|slot| &slot.turn).chain([&ring.turns.unowned]) {
            key.extend([signed(turn.last), turn.known.into()]);
            for (Level { used, ahead, ready }, floor) in turn.at.iter().zip(ring.turns.floor) {
                let (used, ahead, floor) = (signed(*used), signed(*ahead), signed(floor));
                // A party without work is lifted to the floor when it has work again: count it as lifted now.
                let used = if ready.is_empty() { used.max(floor + ahead) } else { used };
                key.extend([used - floor, ahead, ready.front().map_or(-1, i64::from)]);
            }
        }
        // Of what nobody has ever inherited there is nothing: no context is closed here.
        key.push(if turn_is_new(&self.scheduler) { signed(ring.turns.last) } else { 0 });
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
            for (other, levels) in row.iter().enumerate() {
                for (level, ahead) in levels.iter().enumerate() {
                    let by = self.had[one][level] - self.had[other][level];
                    key.extend(ahead.map_or([0, 0], |(least, most)| [by - least, most - by]));
                }
            }
        }
        key
    }
}

/// Whether some context has had no queue that was ready: what the last job took matters to it.
fn turn_is_new(scheduler: &TestScheduler) -> bool {
    scheduler.turns.iter().any(|slot| !slot.turn.known)
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
    // Two contexts at two priorities each: neither saves up at one what others use at the other.
    let queues = [(0, Priority::High), (1, Priority::High), (0, Priority::Low), (1, Priority::Low)];
    let (furthest, situations) = explore(&queues, 1, 1, &[1], false);
    std::println!("{furthest} ahead in {situations} situations of two priorities");
    assert!(furthest <= bound(1, 1));
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
    let [many, one] = [world.had[0][Priority::Normal as usize], world.had[1][Priority::Normal as usize]];
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
        priorities in prop::collection::vec(prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)], 1..4),
    ) {
        let queues: Vec<_> =
            sizes.iter().enumerate().flat_map(|(context, size)| (0..*size).map(move |_| context)).zip(priorities.iter().copied().cycle()).collect();
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

/// Jobs of a millisecond, one at a time, given and completed for so long; how many each queue had.
fn run_for(bench: &mut Bench, queues: &[QueueId], time: Duration, length: impl Fn(usize) -> Duration) -> Vec<usize> {
    let mut had = vec![0; queues.len()];
    let end = bench.now.plus(time);
    while bench.now < end {
        for (number, queue) in queues.iter().enumerate() {
            // Always two that wait.
            while bench.scheduler.queues[queue.index() as usize].held < 2 {
                let place = bench.scheduler.reserve(*queue, spec(0, false)).unwrap();
                let number = u32::try_from(number).unwrap();
                bench.scheduler.commit(place, number, number);
            }
        }
        while let Some(action) = bench.scheduler.poll_action() {
            if let Action::Run { job, ring, seqno, .. } = action {
                let number = *bench.scheduler.payload(job).unwrap() as usize;
                bench.scheduler.started(ring, seqno, bench.now);
                bench.running.push((ring, seqno, u32::try_from(number).unwrap()));
            }
        }
        let (ring, seqno, number) = bench.running.remove(0);
        had[number as usize] += 1;
        bench.now = bench.now.plus(length(number as usize));
        bench.scheduler.hw_done(ring, seqno, bench.now);
    }
    had
}

/// One ring of one credit, and contexts.
fn shared_ring(contexts: usize) -> (Bench, Vec<ContextId>) {
    let mut bench = Bench::new(1, 1, 1);
    bench.scheduler = Scheduler::new(stores([64, 16, 1, contexts]), Limits::new(1, Duration::from_secs(3600)));
    let contexts = (0..contexts).map(|_| bench.scheduler.open_context(u32::MAX).unwrap()).collect();
    (bench, contexts)
}

#[test]
fn sched_9_nothing_is_saved_up_at_a_low_priority() {
    let (mut bench, contexts) = shared_ring(3);
    let open = |bench: &mut Bench, context: usize, priority| {
        bench.scheduler.open_queue_of(contexts[context], RING, priority).unwrap()
    };
    let ms = |_| Duration::from_millis(1);
    let high = open(&mut bench, 0, Priority::High);
    let low = open(&mut bench, 1, Priority::Low);
    run_for(&mut bench, &[high, low], Duration::from_secs(4), ms);
    // Now it is high, too; and somebody else has one low job.
    let late = open(&mut bench, 1, Priority::High);
    let had = run_for(&mut bench, &[high, late], Duration::from_secs(2), ms);
    assert!(had[0].abs_diff(had[1]) <= 100, "{had:?}");
    let other = open(&mut bench, 2, Priority::Low);
    let had = run_for(&mut bench, &[high, low, other], Duration::from_secs(1), ms);
    assert!(had[2] > 10, "{had:?}");
}

#[test]
fn sched_9_what_hangs_or_faults_has_had_its_time() {
    let (mut bench, contexts) = shared_ring(2);
    let queues =
        [0, 1].map(|context: usize| bench.scheduler.open_queue_of(contexts[context], RING, Priority::Normal).unwrap());
    // The first context's jobs fault after 100 ms each.
    let mut time = [Duration::ZERO; 2];
    for _ in 0..2_000 {
        for (number, queue) in (0..).zip(queues) {
            if bench.scheduler.queues[queue.index() as usize].held < 2 {
                let place = bench.scheduler.reserve(queue, spec(0, true)).unwrap();
                bench.scheduler.commit(place, number, number);
            }
        }
        let mut run = None;
        while let Some(action) = bench.scheduler.poll_action() {
            if let Action::Run { job, ring, seqno, .. } = action {
                run = Some((*bench.scheduler.payload(job).unwrap() as usize, ring, seqno));
                bench.scheduler.started(ring, seqno, bench.now);
            }
        }
        let (context, ring, seqno) = run.expect("the ring is idle");
        let took = Duration::from_millis(if context == 0 { 100 } else { 1 });
        time[context] += took;
        bench.now = bench.now.plus(took);
        if context == 0 {
            bench.scheduler.faulted(ring, bench.scheduler.rings[0].completed, bench.now);
            assert!(matches!(bench.scheduler.poll_action(), Some(Action::ResetRing { .. })));
            assert!(bench.scheduler.begin_reset(ring).is_some());
            bench.scheduler.reset_done(ring, true);
        } else {
            bench.scheduler.hw_done(ring, seqno, bench.now);
        }
        assert_charges_add_up(&bench.scheduler);
    }
    assert!(time[0].abs_diff(time[1]) <= Duration::from_millis(200), "{time:?}");
}

#[test]
fn sched_9_nobody_is_rid_of_what_he_has_used_by_opening_another_context() {
    let (mut bench, contexts) = shared_ring(8);
    contexts[1..].iter().for_each(|context| bench.scheduler.close_context(*context));
    let honest = bench.scheduler.open_queue_of(contexts[0], RING, Priority::Normal).unwrap();
    let mut time = [Duration::ZERO; 2];
    for _ in 0..500 {
        // Another context for each of its jobs.
        let context = bench.scheduler.open_context(1).unwrap();
        let queue = bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap();
        let place = bench.scheduler.reserve(queue, spec(0, false)).unwrap();
        bench.scheduler.commit(place, 1, 1);
        bench.scheduler.kill_queue_when_done(queue, context, honest, &mut bench.now, &mut time);
    }
    let ratio = time[1].as_secs_f64() / time[0].as_secs_f64();
    assert!(ratio < 1.5, "{time:?}");
}

impl TestScheduler {
    /// Runs what there is until the only job of a queue has run, with another queue that always has some; closes the queue
    /// and its context.
    fn kill_queue_when_done(
        &mut self,
        queue: QueueId,
        context: ContextId,
        honest: QueueId,
        now: &mut Timestamp,
        time: &mut [Duration; 2],
    ) {
        // A closed context lives until its last job is released.
        while self.reset_stats(context).is_some() {
            while self.queues[honest.index() as usize].held < 3 {
                let place = self.reserve(honest, spec(0, false)).unwrap();
                self.commit(place, 0, 0);
            }
            while let Some(action) = self.poll_action() {
                let Action::Run { job, ring, seqno, .. } = action else { continue };
                let whose = *self.payload(job).unwrap() as usize;
                self.started(ring, seqno, *now);
                let took = Duration::from_millis(if whose == 0 { 1 } else { 10 });
                time[whose] += took;
                *now = now.plus(took);
                self.hw_done(ring, seqno, *now);
                if whose == 1 {
                    self.kill_queue(queue);
                    self.close_context(context);
                }
                break;
            }
        }
    }
}

/// What is charged in advance is what the jobs on rings were charged, and nothing else.
pub(super) fn assert_charges_add_up(scheduler: &TestScheduler) {
    let turns = scheduler.turns.iter().map(|slot| &slot.turn);
    let turns = turns.chain(scheduler.rings.iter().map(|ring| &ring.turns.unowned));
    let ahead: u64 = turns.flat_map(|turn| turn.at.iter().map(|level| level.ahead)).sum();
    let charged: u64 = scheduler.jobs.iter().map(|job| job.charged).sum();
    assert_eq!(ahead, charged, "what was charged in advance is not given back");
}
