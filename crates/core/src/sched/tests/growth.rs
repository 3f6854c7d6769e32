//! What costs more when there is more of it: list and heap steps counted, no time taken (SCHED-13).

use super::*;

/// Steps per item, in hundredths, of something done with `count` items: the worst order that `work` knows.
fn per_item(count: usize, work: &dyn Fn(&mut TestScheduler, &[QueueId])) -> u64 {
    let limits = Limits::new(1, TIMEOUT);
    let mut scheduler = Scheduler::new(stores([count + 1, count + 1, 1, count]), limits);
    let ring = RingIndex(0);
    // A job of its own keeps the ring busy, so that all others wait for their turn.
    let busy = scheduler.open_queue(ring, Priority::High).unwrap();
    let queues: Vec<QueueId> = (0..count)
        .map(|number| {
            let context = scheduler.open_context(1).unwrap();
            // Half of them belong to one context each, half to none.
            if number % 2 == 0 {
                scheduler.open_queue_of(context, ring, Priority::Normal)
            } else {
                scheduler.open_queue(ring, Priority::Normal)
            }
        })
        .collect::<Result<_, _>>()
        .unwrap();
    for queue in core::iter::once(&busy).chain(&queues) {
        let reservation = scheduler.reserve(*queue, spec(0, false)).unwrap();
        scheduler.commit(reservation, 0, 0);
        while scheduler.poll_action().is_some() {}
    }
    100 * steps(|| work(&mut scheduler, &queues)) / count as u64
}

/// Eight times as many may take so much longer each as a heap is deeper, and half as much again.
fn grows_like_a_heap(work: &dyn Fn(&mut TestScheduler, &[QueueId])) {
    let (few, many) = (per_item(500, work), per_item(4000, work));
    assert!(many <= few * 2, "{} steps each for 500, {} for 4000", few / 100, many / 100);
}

#[test]
fn sched_13_ready_queues_are_closed_in_any_order() {
    grows_like_a_heap(&|scheduler, queues| queues.iter().for_each(|queue| scheduler.kill_queue(*queue)));
    grows_like_a_heap(&|scheduler, queues| queues.iter().rev().for_each(|queue| scheduler.kill_queue(*queue)));
}

#[test]
fn sched_13_ready_queues_change_their_priority_in_any_order() {
    let change = |scheduler: &mut TestScheduler, queue: &QueueId| {
        scheduler.set_priority(*queue, Priority::Low).unwrap();
        scheduler.set_priority(*queue, Priority::Normal).unwrap();
    };
    grows_like_a_heap(&|scheduler, queues| queues.iter().for_each(|queue| change(scheduler, queue)));
    grows_like_a_heap(&|scheduler, queues| queues.iter().rev().for_each(|queue| change(scheduler, queue)));
}

#[test]
fn sched_13_jobs_are_given_to_a_ring_however_many_wait() {
    grows_like_a_heap(&|scheduler, queues| {
        let mut now = Timestamp::default();
        for _ in 0..=queues.len() {
            let seqno = scheduler.rings[0].issued;
            now = now.plus(Duration::from_millis(1));
            scheduler.hw_done(RingIndex(0), seqno, now);
            while scheduler.poll_action().is_some() {}
        }
        assert_eq!(scheduler.job_count(), 0);
    });
}

/// A chain of loans through all queues is followed once, without recursion.
#[test]
fn sched_13_a_loan_is_passed_on_however_long_the_chain() {
    let chain = |count: usize| {
        let mut scheduler = Scheduler::new(stores([count + 1, count + 1, 1, 0]), Limits::new(1, TIMEOUT));
        let mut last: Option<JobId> = None;
        let mut queue = None;
        for _ in 0..count {
            let next = scheduler.open_queue(RingIndex(0), Priority::Low).unwrap();
            let reservation = scheduler.reserve(next, spec(1, false)).unwrap();
            if let Some(job) = last {
                scheduler.lend_to(&reservation, job);
            }
            last = Some(scheduler.commit(reservation, 0, 0));
            queue = Some(next);
        }
        let steps = steps(|| scheduler.set_priority(queue.unwrap(), Priority::High).unwrap());
        assert!(scheduler.queues[..count].iter().all(|queue| queue.level() == Priority::High));
        steps
    };
    let (few, many) = (chain(1_000), chain(8_000));
    assert!(many <= 9 * few, "{few} steps for 1,000, {many} for 8,000");
}

#[test]
fn sched_13_a_loan_to_many_is_passed_on_once_to_each() {
    let fan = |count: usize| {
        let mut scheduler = Scheduler::new(stores([count + 1, count + 1, 1, 0]), Limits::new(1, TIMEOUT));
        let lenders: Vec<JobId> = (0..count)
            .map(|_| {
                let next = scheduler.open_queue(RingIndex(0), Priority::Low).unwrap();
                let reservation = scheduler.reserve(next, spec(1, false)).unwrap();
                scheduler.commit(reservation, 0, 0)
            })
            .collect();
        let queue = scheduler.open_queue(RingIndex(0), Priority::Low).unwrap();
        let reservation = scheduler.reserve(queue, spec(1, false)).unwrap();
        for job in &lenders {
            scheduler.lend_to(&reservation, *job);
        }
        scheduler.commit(reservation, 0, 0);
        steps(|| scheduler.set_priority(queue, Priority::High).unwrap())
    };
    let (few, many) = (fan(1_000), fan(8_000));
    assert!(many <= 9 * few, "{few} steps for 1,000, {many} for 8,000");
}
