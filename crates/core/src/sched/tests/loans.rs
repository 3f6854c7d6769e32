//! Loans of priority: nobody waits behind what is less urgent than itself (SCHED-9).

use proptest::prelude::*;

use super::super::loans::Loans;
use super::*;

impl Bench {
    fn queue_at(&mut self, priority: Priority) -> QueueId {
        self.scheduler.open_queue(RingIndex(0), priority).unwrap()
    }

    /// Submits a job that waits for others, and lends to them.
    fn submit_after(&mut self, queue: QueueId, others: &[JobId]) -> (u32, JobId) {
        let reservation = self.scheduler.reserve(queue, spec(0, false)).unwrap();
        for other in others {
            assert!(self.scheduler.wait_for(&reservation, *other).unwrap());
        }
        self.next += 1;
        (self.next, self.scheduler.commit(reservation, self.next, self.next))
    }

    /// The order in which jobs start, each completing before the next; waits are over as soon as what they are for has
    /// signalled.
    fn starts(&mut self, waits: &[(JobId, u32)]) -> Vec<u32> {
        let mut starts = self.running();
        loop {
            while let Some(action) = self.scheduler.poll_action() {
                match action {
                    Action::Signal { fence, result } => {
                        for (waiting, _) in waits.iter().filter(|(_, other)| *other == fence) {
                            self.scheduler.dependency_done(*waiting, result);
                        }
                    }
                    Action::Run { job, ring, seqno, .. } => {
                        let number = *self.scheduler.payload(job).unwrap();
                        self.running.push((ring, seqno, number));
                        starts.push(number);
                    }
                    _ => {}
                }
            }
            let Some((ring, seqno, _)) = self.running.pop() else { return starts };
            self.scheduler.hw_done(ring, seqno, self.now);
        }
    }
}

/// One job at a time on one ring, and the first is running.
fn busy() -> Bench {
    let mut bench = Bench::new(32, 1, 1);
    bench.scheduler = Scheduler::new(stores([32, 8, 1, 2]), Limits::new(1, TIMEOUT));
    let queue = bench.queue_at(Priority::High);
    bench.submit(queue);
    bench
}

#[test]
fn sched_9_a_high_job_lends_its_priority_to_the_low_one_it_waits_for_and_to_what_is_before_that() {
    let mut bench = busy();
    let [low, normal, high] = [Priority::Low, Priority::Normal, Priority::High].map(|at| bench.queue_at(at));
    let before = bench.submit(low);
    let (waited_for, handle) = bench.submit_after(low, &[]);
    let behind = bench.submit(low);
    let others = [bench.submit(normal), bench.submit(normal)];
    let (urgent, waiting) = bench.submit_after(high, &[handle]);
    // What comes after it in the low queue is as low as it was.
    let expected = [1, before, waited_for, urgent, others[0], others[1], behind];
    assert_eq!(bench.starts(&[(waiting, waited_for)]), expected);
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn sched_9_what_was_lent_is_lent_on() {
    let mut bench = busy();
    let [low, middle, normal, high] =
        [Priority::Low, Priority::Normal, Priority::Normal, Priority::High].map(|at| bench.queue_at(at));
    let flood = [bench.submit(normal), bench.submit(normal)];
    let (first, handle) = bench.submit_after(low, &[]);
    let (second, between) = bench.submit_after(middle, &[handle]);
    let (urgent, waiting) = bench.submit_after(high, &[between]);
    let expected = [1, first, second, urgent, flood[0], flood[1]];
    assert_eq!(bench.starts(&[(between, first), (waiting, second)]), expected);
}

#[test]
fn sched_9_a_queue_lends_when_its_priority_rises_and_when_its_next_job_waits() {
    let mut bench = busy();
    let [low, normal, raised] = [Priority::Low, Priority::Normal, Priority::Low].map(|at| bench.queue_at(at));
    let flood = bench.submit(normal);
    let (waited_for, handle) = bench.submit_after(low, &[]);
    // Not its oldest job, for now.
    let first = bench.submit(raised);
    let (second, waiting) = bench.submit_after(raised, &[handle]);
    bench.scheduler.set_priority(raised, Priority::High).unwrap();
    assert_eq!(bench.starts(&[(waiting, waited_for)]), [1, first, waited_for, second, flood]);
}

#[test]
fn sched_9_without_storage_for_waits_what_is_known_at_once_is_lent() {
    let mut bench = busy();
    let [low, normal, high] = [Priority::Low, Priority::Normal, Priority::High].map(|at| bench.queue_at(at));
    bench.scheduler.free_waits = List::EMPTY;
    let flood = bench.submit(normal);
    let (waited_for, handle) = bench.submit_after(low, &[]);
    let (urgent, waiting) = bench.submit_after(high, &[handle]);
    assert_eq!(bench.starts(&[(waiting, waited_for)]), [1, waited_for, urgent, flood]);
}

/// Places for waits that are free.
fn free_waits(scheduler: &TestScheduler) -> usize {
    let next = |index: &u32| Some(scheduler.waits[*index as usize].next()).filter(|next| *next != list::NONE);
    core::iter::successors(scheduler.free_waits.front(), next).count()
}

#[derive(Debug, Clone)]
enum Event {
    Submit { queue: usize, after: Vec<usize> },
    Reprioritize { queue: usize, priority: Priority },
    Complete,
    Kill { queue: usize },
    Lose,
}

fn event() -> impl Strategy<Value = Event> {
    let priority = prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)];
    prop_oneof![
        12 => (0..5usize, prop::collection::vec(0..10usize, 0..4)).prop_map(|(queue, after)| Event::Submit { queue, after }),
        6 => (0..5usize, priority).prop_map(|(queue, priority)| Event::Reprioritize { queue, priority }),
        8 => Just(Event::Complete),
        1 => (0..5usize).prop_map(|queue| Event::Kill { queue }),
        1 => Just(Event::Lose),
    ]
}

/// No queue is behind what its oldest job waits for.
fn assert_no_inversion(scheduler: &TestScheduler) {
    for queue in &scheduler.queues {
        let Some(oldest) = queue.jobs.front() else { continue };
        let first = scheduler.jobs[oldest as usize].waits_for.front();
        let next = |index: &u32| Some(scheduler.waits[*index as usize].next()).filter(|next| *next != list::NONE);
        for wait in core::iter::successors(first, next) {
            let Some(other) = scheduler.waits[wait as usize].job_in(&scheduler.jobs) else { continue };
            let level = scheduler.queues[other.queue as usize].level();
            assert!(level <= queue.level(), "a queue at {:?} waits for one at {level:?}", queue.level());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn sched_9_nobody_waits_for_what_is_less_urgent(events in prop::collection::vec(event(), 1..120)) {
        let mut bench = Bench::new(20, 1, 1);
        bench.scheduler = Scheduler::new(stores([20, 6, 1, 0]), Limits::new(2, TIMEOUT));
        let queues: Vec<_> = (0..5).map(|_| bench.queue_at(Priority::Low)).collect();
        // Every job with its handle, and what it waits for.
        let mut jobs: Vec<(u32, JobId)> = vec![];
        let mut waits: Vec<(JobId, u32)> = vec![];
        for event in events {
            match event {
                Event::Submit { queue, after } => {
                    let Ok(place) = bench.scheduler.reserve(queues[queue], spec(0, false)) else { continue };
                    for back in after {
                        let Some((other, handle)) = jobs.len().checked_sub(back + 1).map(|at| jobs[at]) else { continue };
                        if bench.scheduler.wait_for(&place, handle).unwrap() {
                            waits.push((place.job(), other));
                        }
                    }
                    bench.next += 1;
                    jobs.push((bench.next, bench.scheduler.commit(place, bench.next, bench.next)));
                }
                Event::Reprioritize { queue, priority } => {
                    let _ = bench.scheduler.set_priority(queues[queue], priority);
                }
                Event::Complete if !bench.running.is_empty() => bench.complete(0),
                Event::Complete => {}
                Event::Kill { queue } => bench.scheduler.kill_queue(queues[queue]),
                Event::Lose => bench.scheduler.lose(FenceError::Lost),
            }
            assert_no_inversion(&bench.scheduler);
            bench.drain();
            waits.retain(|(waiting, other)| {
                let ended = bench.signalled.get(other);
                if let Some(result) = ended {
                    bench.scheduler.dependency_done(*waiting, *result);
                }
                ended.is_none()
            });
            bench.drain();
            assert_no_inversion(&bench.scheduler);
        }
        bench.scheduler.lose(FenceError::Lost);
        bench.drain();
        bench.scheduler.hardware_gone();
        bench.drain();
        prop_assert_eq!(bench.scheduler.job_count(), 0);
        prop_assert_eq!(free_waits(&bench.scheduler), 20, "waits are left behind");
        prop_assert!(bench.scheduler.queues.iter().all(|queue| queue.loans == Loans::default()), "a loan is left");
    }
}

#[test]
fn sched_13_a_canceled_reservation_gives_its_waits_back() {
    let mut bench = busy();
    let low = bench.queue_at(Priority::Low);
    let (_, handle) = bench.submit_after(low, &[]);
    let before = free_waits(&bench.scheduler);
    let place = bench.scheduler.reserve(low, spec(0, false)).unwrap();
    assert!(bench.scheduler.wait_for(&place, handle).unwrap());
    bench.scheduler.cancel(place);
    assert_eq!(free_waits(&bench.scheduler), before);
}

#[test]
fn sched_13_a_job_on_a_ring_holds_no_waits() {
    let mut bench = busy();
    let [low, high] = [Priority::Low, Priority::High].map(|at| bench.queue_at(at));
    let before = free_waits(&bench.scheduler);
    let (waited_for, handle) = bench.submit_after(low, &[]);
    let (urgent, waiting) = bench.submit_after(high, &[handle]);
    bench.complete(0);
    bench.complete(0);
    assert!(bench.signalled.contains_key(&waited_for));
    bench.scheduler.dependency_done(waiting, Ok(()));
    bench.drain();
    assert_eq!(bench.running(), [urgent]);
    assert_eq!(free_waits(&bench.scheduler), before);
}

#[test]
fn sched_9_what_was_lent_to_a_job_that_runs_again_is_lent_still() {
    let mut bench = Bench::new(32, 1, 1);
    bench.scheduler = Scheduler::new(stores([32, 8, 1, 2]), Limits::new(2, TIMEOUT));
    let [bad, low, normal, high] =
        [Priority::High, Priority::Low, Priority::Normal, Priority::High].map(|at| bench.queue_at(at));
    bench.submit(bad);
    let blocker = bench.submit(normal);
    // Lent to while it waits, then on the ring beside a job that hangs, and returned.
    let place = bench.scheduler.reserve(low, spec(0, true)).unwrap();
    bench.next += 1;
    let (again, handle) = (bench.next, bench.scheduler.commit(place, bench.next, bench.next));
    let (_urgent, _) = bench.submit_after(high, &[handle]);
    bench.submit_spec(low, spec(0, false)).unwrap();
    bench.complete(0); // `bad`'s ends
    bench.drain();
    assert_eq!(bench.running(), [blocker, again]);
    // The first on the ring is guilty, the lent one comes back; a normal one waits, too.
    bench.submit(normal);
    bench.submit(normal);
    bench.scheduler.faulted(RingIndex(0), bench.scheduler.rings[0].completed, bench.now);
    bench.drain();
    bench.reset(0);
    assert_eq!(bench.running()[0], again, "{:?}", bench.running());
    while !bench.running.is_empty() {
        bench.complete(0);
    }
}

#[test]
fn sched_9_whoever_takes_a_slot_is_lent_nothing() {
    let mut bench = Bench::new(4, 1, 1);
    bench.scheduler = Scheduler::new(stores([4, 8, 1, 0]), Limits::new(1, TIMEOUT));
    let [high, low, other, another] =
        [Priority::High, Priority::Low, Priority::Low, Priority::Low].map(|at| bench.queue_at(at));
    bench.submit(high);
    let (waited_for, handle) = bench.submit_after(low, &[]);
    let (_, first) = bench.submit_spec(high, spec(1, false)).unwrap();
    bench.submit_after(high, &[handle]);
    bench.complete(0);
    assert_eq!(bench.running(), [waited_for]);
    bench.complete(0);
    bench.submit(other);
    bench.submit(another);
    bench.scheduler.dependency_done(first, Ok(()));
    bench.complete(0);
    assert_eq!(bench.scheduler.queues[another.index() as usize].level(), Priority::Low);
}

#[test]
fn sched_9_without_storage_what_was_borrowed_is_lent() {
    let mut bench = busy();
    let [low, middle, normal, high] =
        [Priority::Low, Priority::Low, Priority::Normal, Priority::High].map(|at| bench.queue_at(at));
    let flood = bench.submit(normal);
    let (first, handle) = bench.submit_after(low, &[]);
    let blocked = bench.submit_spec(middle, spec(1, false)).unwrap();
    let (urgent, waiting) = bench.submit_after(high, &[blocked.1]);
    bench.scheduler.free_waits = List::EMPTY;
    let (second, behind) = bench.submit_after(middle, &[handle]);
    assert_eq!(bench.scheduler.queues[low.index() as usize].level(), Priority::High);
    let _ = (flood, first, urgent, waiting, second, behind);
}
