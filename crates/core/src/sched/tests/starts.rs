//! From a job's turn to the moment that the hardware has it: whose turn comes, when time begins, and what if it does not
//! start (SCHED-4, SCHED-9, SCHED-10).

use super::*;

/// The next job that is to run, which the shell has in hand.
pub(super) fn take(bench: &mut Bench) -> Option<(JobId, RingIndex, Seqno)> {
    while let Some(action) = bench.scheduler.poll_action() {
        match action {
            Action::Run { job, ring, seqno, .. } => return Some((job, ring, seqno)),
            Action::Signal { fence, result } => {
                bench.signalled.insert(fence, result);
            }
            Action::Release { payload } => bench.released.push(payload),
            other => panic!("{other:?}"),
        }
    }
    None
}

fn submit(bench: &mut Bench, queue: QueueId) -> u32 {
    bench.submit_spec(queue, spec(0, false)).unwrap().0
}

#[test]
fn sched_4_time_begins_when_the_hardware_has_the_job() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    submit(&mut bench, queue);
    let (_, ring, seqno) = take(&mut bench).unwrap();
    // The shell does something else first, for long.
    bench.now = bench.now.plus(TIMEOUT * 3);
    bench.scheduler.tick(bench.now);
    assert_eq!((take(&mut bench), bench.scheduler.next_deadline()), (None, None));
    bench.scheduler.started(ring, seqno, bench.now);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.pass(TIMEOUT);
    assert_eq!(bench.resets, [ring]);
}

#[test]
fn sched_4_time_begins_also_for_the_next_when_the_hardware_has_that() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    submit(&mut bench, queue);
    submit(&mut bench, queue);
    let (_, ring, first) = take(&mut bench).unwrap();
    let (_, _, second) = take(&mut bench).unwrap();
    bench.scheduler.started(ring, first, bench.now);
    bench.now = bench.now.plus(TIMEOUT / 2);
    bench.scheduler.hw_done(ring, first, bench.now);
    assert_eq!(bench.scheduler.next_deadline(), None, "the shell has not written it yet");
    bench.now = bench.now.plus(TIMEOUT);
    bench.scheduler.started(ring, second, bench.now);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    // It completes before the shell says that it has been given: nothing is left to watch.
    bench.scheduler.hw_done(ring, second, bench.now);
    submit(&mut bench, queue);
    let (_, _, third) = take(&mut bench).unwrap();
    bench.scheduler.hw_done(ring, third, bench.now);
    bench.scheduler.started(ring, third, bench.now);
    assert_eq!(bench.scheduler.next_deadline(), None);
}

#[test]
fn sched_9_rings_take_turns_whatever_the_priorities() {
    for [flooded, other] in [[0, 1], [1, 0]] {
        let mut bench = Bench::new(64, 2, 100);
        let (many, one) = (bench.queue(flooded), bench.queue(other));
        bench.scheduler.set_priority(many, Priority::High).unwrap();
        bench.scheduler.set_priority(one, Priority::Low).unwrap();
        for _ in 0..20 {
            submit(&mut bench, many);
        }
        submit(&mut bench, one);
        let rings = [take(&mut bench), take(&mut bench)].map(|run| run.unwrap().1 .0);
        assert!(rings.contains(&other), "a ring that is flooded has all turns: {rings:?}");
    }
}

#[test]
fn sched_9_rings_that_fault_take_turns_too() {
    let mut bench = Bench::new(16, 2, 8);
    let ring = RingIndex(0);
    // The first ring faults as soon as it has been reset, again and again.
    for round in 0..2 {
        bench.scheduler.faulted(ring, bench.scheduler.rings[0].completed, bench.now);
        bench.scheduler.faulted(RingIndex(1), bench.scheduler.rings[1].completed, bench.now);
        let first = bench.scheduler.poll_action();
        let expected = RingIndex(round);
        assert!(matches!(first, Some(Action::ResetRing { ring, .. }) if ring == expected), "{first:?}");
        assert!(bench.scheduler.begin_reset(expected).is_some());
        bench.scheduler.reset_done(expected, true);
    }
}

/// Three jobs of two contexts were handed out for one ring.
pub(super) fn three() -> (Bench, [ContextId; 2], [(JobId, RingIndex, Seqno); 3]) {
    let mut bench = Bench::new(16, 1, 8);
    let contexts = [(); 2].map(|()| bench.scheduler.open_context(2).unwrap());
    let queues =
        contexts.map(|context| bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap());
    for queue in [queues[0], queues[1], queues[1]] {
        submit(&mut bench, queue);
    }
    let runs = [(); 3].map(|()| take(&mut bench).unwrap());
    (bench, contexts, runs)
}

#[test]
fn sched_10_a_job_that_cannot_be_started_fails_alone_and_names_its_context() {
    let (mut bench, contexts, [first, second, third]) = three();
    let ring = RingIndex(0);
    bench.scheduler.started(ring, first.2, bench.now);
    bench.scheduler.start_failed(second.0);
    bench.scheduler.started(ring, third.2, bench.now);
    let failed = *bench.scheduler.payload(second.0).unwrap();
    bench.scheduler.hw_done(ring, third.2, bench.now);
    assert_eq!(take(&mut bench), None);
    let mut results: Vec<_> = bench.signalled.iter().map(|(job, result)| (*job == failed, *result)).collect();
    results.sort_unstable_by_key(|(failed, _)| *failed);
    assert_eq!(results, [(false, Ok(())), (false, Ok(())), (true, Err(FenceError::Guilty))]);
    assert_eq!((bench.released.len(), bench.scheduler.job_count()), (3, 0));
    let [charged, other] = contexts.map(|context| bench.scheduler.reset_stats(context).unwrap());
    let owner = [second, third].map(|run| run.1);
    assert_eq!((charged.guilty + other.guilty, owner), (1, [ring; 2]));
    assert_eq!([charged.status, other.status].iter().filter(|status| **status == ResetStatus::Guilty).count(), 1);
}

#[test]
fn sched_10_numbers_that_were_never_given_leave_the_ring_idle() {
    let (mut bench, _, [first, second, third]) = three();
    let ring = RingIndex(0);
    bench.scheduler.started(ring, first.2, bench.now);
    bench.scheduler.start_failed(second.0);
    bench.scheduler.start_failed(third.0);
    bench.scheduler.hw_done(ring, first.2, bench.now);
    let numbers = bench.scheduler.numbers(ring).unwrap();
    assert_eq!(numbers.issued, numbers.completed);
    // A loss finds nothing that the hardware may read.
    assert_eq!(take(&mut bench), None);
    assert_eq!(bench.scheduler.next_deadline(), None);
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn sched_10_a_context_whose_jobs_cannot_be_started_is_banned_in_the_end() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(2).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap();
    for _ in 0..2 {
        submit(&mut bench, queue);
        let (job, ..) = take(&mut bench).unwrap();
        bench.scheduler.start_failed(job);
        // Stale by then, or twice: ignored.
        bench.scheduler.start_failed(job);
    }
    assert!(bench.scheduler.reset_stats(context).unwrap().banned);
    assert_eq!(bench.scheduler.reserve(queue, spec(0, false)).unwrap_err(), SubmitError::Banned);
}

#[test]
fn sched_7_a_limit_of_zero_bans_nobody_for_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(0).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap();
    submit(&mut bench, queue);
    let (job, ..) = take(&mut bench).unwrap();
    assert!(!bench.scheduler.reset_stats(context).unwrap().banned);
    bench.scheduler.start_failed(job);
    assert!(bench.scheduler.reset_stats(context).unwrap().banned);
}

/// Two jobs on a ring, of which the first is overdue; the shell was asked to look.
fn asked() -> (Bench, [u32; 2], Seqno) {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let jobs = [bench.submit(queue), bench.submit(queue)];
    let first = bench.running[0].1;
    bench.pass(TIMEOUT);
    assert_eq!(bench.suspects, [Some(jobs[0])]);
    (bench, jobs, first)
}

#[test]
fn sched_4_a_suspect_that_completes_while_the_driver_looks_costs_no_reset() {
    let (mut bench, [slow, next], _) = asked();
    bench.complete(0);
    assert_eq!(bench.scheduler.begin_reset(RingIndex(0)), None);
    bench.complete(0);
    assert_eq!(bench.signalled, HashMap::from([(slow, Ok(())), (next, Ok(()))]));
}

#[test]
fn sched_4_a_fault_while_the_driver_looks_is_that_of_the_job_it_stopped_at() {
    // What the ring completed before is told beside the fault, or before it, or after it.
    for order in 0..3 {
        let (mut bench, [slow, bad], number) = asked();
        let ring = RingIndex(0);
        let before = bench.scheduler.rings[0].completed;
        match order {
            0 => bench.scheduler.faulted(ring, number, bench.now),
            1 => {
                bench.scheduler.hw_done(ring, number, bench.now);
                bench.scheduler.faulted(ring, number, bench.now);
            }
            _ => {
                bench.scheduler.faulted(ring, before, bench.now);
                bench.scheduler.hw_done(ring, number, bench.now);
            }
        }
        bench.drain();
        bench.reset(0);
        let ended = HashMap::from([(slow, Ok(())), (bad, Err(FenceError::Guilty))]);
        assert_eq!(bench.signalled, ended, "order {order}");
    }
}

#[test]
fn sched_10_a_failed_start_gives_credits_and_queue_and_payload_back() {
    let mut bench = Bench::new(16, 2, 1);
    let queue = bench.queue(0);
    submit(&mut bench, queue);
    let (job, ..) = take(&mut bench).unwrap();
    bench.scheduler.start_failed(job);
    submit(&mut bench, queue);
    assert!(take(&mut bench).is_some(), "credits");
}

#[test]
fn sched_10_a_failed_start_lets_its_queue_move() {
    let mut bench = Bench::new(16, 2, 8);
    let queue = bench.queue(0);
    submit(&mut bench, queue);
    let (job, ..) = take(&mut bench).unwrap();
    bench.scheduler.start_failed(job);
    bench.scheduler.move_queue(queue, RingIndex(1)).unwrap();
    submit(&mut bench, queue);
    assert_eq!(take(&mut bench).map(|run| run.1), Some(RingIndex(1)));
}

#[test]
fn sched_10_a_failed_start_releases_its_payload_at_once() {
    let (mut bench, _, [first, second, _]) = three();
    bench.scheduler.started(RingIndex(0), first.2, bench.now);
    bench.scheduler.start_failed(second.0);
    assert_eq!(take(&mut bench), None);
    assert_eq!(bench.released.len(), 1);
}

#[test]
fn sched_4_the_next_job_has_extensions_of_its_own_after_a_reset() {
    let mut limits = Limits::new(8, TIMEOUT);
    limits.extensions = 1;
    let mut bench = Bench::with(16, 1, limits);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
    bench.pass(TIMEOUT);
    bench.reset(0);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
}

#[test]
fn sched_4_a_fault_read_with_the_number_of_the_reset_is_ignored() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let [slow, next] = [bench.submit(queue), bench.submit(queue)];
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.complete(0);
    bench.scheduler.faulted(RingIndex(0), bench.reset_numbers[0], bench.now);
    bench.end_reset(0);
    assert_eq!(bench.signalled, HashMap::from([(slow, Ok(())), (next, Err(FenceError::Innocent))]));
}

#[test]
fn sched_9_canceled_jobs_take_no_turns() {
    let mut bench = Bench::new(64, 1, 1);
    let [high, low] = [Priority::High, Priority::Low].map(|at| bench.scheduler.open_queue(RingIndex(0), at).unwrap());
    bench.submit(high);
    for _ in 0..30 {
        submit(&mut bench, high);
    }
    let (_, canceled) = bench.submit_spec(low, spec(1, false)).unwrap();
    let real = submit(&mut bench, low);
    bench.scheduler.dependency_done(canceled, Err(FenceError::Lost));
    let mut others = 0;
    bench.drain();
    while !bench.running().contains(&real) {
        others += 1;
        bench.complete(0);
    }
    assert!(others <= 18, "{others}");
}
