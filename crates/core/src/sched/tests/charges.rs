//! What a job is charged for its turn: in advance, when it ends, when it hangs, and when it comes to nothing (SCHED-9).

use super::fairness::{World, RING};
use super::starts::{take, three};
use super::*;

fn two(credits: u32, queues: usize, jobs: usize) -> World {
    let queues: Vec<_> = (0..2 * queues).map(|number| (number % 2, Priority::Normal)).collect();
    World::new(&queues, credits, jobs, false)
}

#[test]
fn sched_9_known_lengths_share_the_ring_before_they_end() {
    let mut world = two(8, 12, 100);
    let length = [1, 10];
    for (first, length) in (0..).zip(length) {
        world.submit(first);
        world.drain();
        world.complete(length);
    }
    for _ in 0..500 {
        for queue in 0..24 {
            if world.queues[queue].3 == 0 {
                world.submit(queue);
            }
        }
        world.drain();
        let context = world.queues[world.on_ring[0].1].1;
        world.complete(length[context]);
    }
    assert!(world.furthest <= 30, "{} ahead", world.furthest);
}

#[test]
fn sched_9_who_submits_one_at_a_time_keeps_his_debt() {
    let mut world = two(1, 1, 20);
    let mut had = [0u64; 2];
    for _ in 0..500 {
        // The first context waits for each job; the second has a backlog.
        while world.queues[1].3 < 4 {
            world.submit(1);
        }
        if world.queues[0].3 == 0 && world.on_ring.iter().all(|(_, queue)| *queue != 0) {
            world.submit(0);
        }
        world.drain();
        let context = world.queues[world.on_ring[0].1].1;
        had[context] += [10, 1][context];
        world.complete([10, 1][context]);
    }
    assert!(had[0].abs_diff(had[1]) <= 40, "{had:?}");
}

#[test]
fn sched_9_jobs_that_take_no_time_take_turns() {
    for credits in [1, 8] {
        let mut world = two(credits, 10, 100);
        let mut ran = [0_u64; 2];
        let mut most = 0;
        for _ in 0..500 {
            for queue in 0..20 {
                if world.queues[queue].3 == 0 {
                    world.submit(queue);
                }
            }
            world.drain();
            let on = |context| world.on_ring.iter().filter(|(_, queue)| world.queues[*queue].1 == context).count();
            most = most.max(on(0).abs_diff(on(1)));
            ran[world.queues[world.on_ring[0].1].1] += 1;
            world.complete(0);
        }
        assert!(ran[0].abs_diff(ran[1]) <= 2 && most <= 2, "{credits}: {ran:?} {most}");
    }
}
struct Two {
    bench: Bench,
    queues: [QueueId; 2],
}
/// A job of half a timeout of each context, and then five of the first that fault.
fn long_jobs_and_then_faults(bench: &mut Bench, queues: [QueueId; 2]) {
    for queue in queues {
        bench.submit(queue);
        bench.now = bench.now.plus(TIMEOUT / 2);
        bench.complete(0);
    }
    for _ in 0..5 {
        bench.submit(queues[0]);
        bench.scheduler.faulted(RING, bench.scheduler.rings[0].completed, bench.now);
        bench.drain();
        bench.reset(0);
    }
}

fn hangs() -> Two {
    let mut bench = Bench::with(64, 1, Limits::new(1, TIMEOUT));
    let contexts = [(); 2].map(|()| bench.scheduler.open_context(1000).unwrap());
    let queues = contexts.map(|context| bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap());
    Two { bench, queues }
}

#[test]
fn sched_9_a_hang_is_paid_for() {
    let Two { mut bench, queues } = hangs();
    for queue in queues {
        bench.submit(queue);
        bench.now = bench.now.plus(TIMEOUT / 10);
        bench.complete(0);
    }
    let bad = bench.submit(queues[0]);
    let next = bench.submit_spec(queues[0], spec(0, false)).unwrap().0;
    for _ in 0..20 {
        bench.submit(queues[1]);
    }
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert_eq!(bench.signalled[&bad], Err(FenceError::Guilty));
    let mut others = 0;
    while !bench.running().contains(&next) {
        others += 1;
        bench.now = bench.now.plus(TIMEOUT / 10);
        bench.complete(0);
    }
    // The time of the hang and the charge: as much for the other.
    assert!((9..=12).contains(&others), "{others} jobs of the other came before");
}

#[test]
fn sched_9_guilty_jobs_leave_no_charge_behind() {
    let Two { mut bench, queues } = hangs();
    long_jobs_and_then_faults(&mut bench, queues);
    assert_eq!(bench.scheduler.job_count(), 0);
    let ahead: Vec<u64> =
        bench.scheduler.turns.iter().map(|slot| slot.turn.at.iter().map(|level| level.ahead).sum()).collect();
    assert_eq!(ahead, [0, 0], "charged in advance, with no job there");
}

#[test]
fn sched_9_guilty_jobs_of_long_ago_cost_no_turns() {
    let Two { mut bench, queues } = hangs();
    long_jobs_and_then_faults(&mut bench, queues);
    let mut waits = vec![];
    for _round in 0..3 {
        // Idle for long, while the other works.
        for _ in 0..200 {
            bench.submit(queues[1]);
            bench.now = bench.now.plus(TIMEOUT / 10);
            bench.complete(0);
        }
        bench.submit(queues[1]);
        let back = bench.submit(queues[0]);
        for _ in 0..40 {
            bench.submit(queues[1]);
        }
        let mut others = 0;
        while !bench.running().contains(&back) {
            others += 1;
            bench.now = bench.now.plus(TIMEOUT / 10);
            bench.complete(0);
        }
        while !bench.running.is_empty() {
            bench.now = bench.now.plus(TIMEOUT / 10);
            bench.complete(0);
        }
        waits.push(others);
    }
    assert!(waits.iter().all(|others| *others <= 2), "waited for {waits:?} jobs of the other");
}

/// What a context has used, and the part of it that was charged in advance.
fn used(slot: &TurnSlot) -> (u64, u64) {
    let levels = slot.turn.at.iter();
    (levels.clone().map(|level| level.used).sum(), levels.map(|level| level.ahead).sum())
}

#[test]
fn sched_9_nothing_is_charged_for_what_is_not_there() {
    let (mut bench, _, [first, second, third]) = three();
    bench.scheduler.start_failed(third.0);
    bench.scheduler.start_failed(second.0);
    bench.scheduler.start_failed(first.0);
    take(&mut bench);
    assert!(bench.scheduler.turns.iter().all(|slot| used(slot) == (0, 0)));
}

#[test]
fn sched_9_innocents_are_charged_nothing() {
    let (mut bench, _, [first, ..]) = three();
    bench.scheduler.started(RingIndex(0), first.2, bench.now);
    let faulty = bench.scheduler.jobs[first.0.index() as usize].queue;
    let other = 1 - bench.scheduler.queues[faulty as usize].context;
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    bench.reset(0);
    assert_eq!(bench.scheduler.job_count(), 0);
    assert_eq!(used(&bench.scheduler.turns[other as usize]), (0, 0));
}

#[test]
fn sched_9_jobs_that_complete_together_are_charged_once() {
    let (mut bench, _, [first, .., third]) = three();
    bench.scheduler.started(RingIndex(0), first.2, bench.now);
    bench.scheduler.started(RingIndex(0), third.2, bench.now);
    bench.now = bench.now.plus(Duration::from_nanos(30));
    bench.scheduler.hw_done(RingIndex(0), third.2, bench.now);
    assert_eq!(bench.scheduler.turns.iter().map(|slot| used(slot).0).sum::<u64>(), 30);
}

#[test]
fn sched_9_a_slow_job_is_charged_once() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(2).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap();
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.now = bench.now.plus(TIMEOUT);
    bench.complete(0);
    assert_eq!(u128::from(used(&bench.scheduler.turns[0]).0), 2 * TIMEOUT.as_nanos());
}
