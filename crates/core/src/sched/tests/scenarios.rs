//! Jobs on a device that stays: one promise per test.

use super::*;

#[test]
fn jobs_of_a_queue_run_in_order_and_queues_take_turns() {
    let mut bench = Bench::new(16, 1, 1);
    let (a, b) = (bench.queue(0), bench.queue(0));
    let jobs: Vec<u32> = [a, a, a, b, b].into_iter().map(|queue| bench.submit(queue)).collect();
    let mut order = vec![];
    while let Some(job) = bench.running().first() {
        order.push(*job);
        bench.complete(0);
    }
    assert_eq!(order, [jobs[0], jobs[1], jobs[3], jobs[2], jobs[4]]);
    assert_eq!(bench.released.len(), 5);
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn higher_priority_goes_first() {
    let mut bench = Bench::new(16, 1, 1);
    let low = bench.scheduler.open_queue(RingIndex(0), Priority::Low).unwrap();
    let high = bench.scheduler.open_queue(RingIndex(0), Priority::High).unwrap();
    let (first, second, urgent) = (bench.submit(low), bench.submit(low), bench.submit(high));
    bench.complete(0);
    assert_eq!(bench.running(), [urgent]);
    bench.complete(0);
    assert_eq!(bench.running(), [second]);
    assert_eq!(bench.signalled[&first], Ok(()));
}

#[test]
fn a_job_waits_for_its_dependencies_and_holds_its_queue() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let spec = JobSpec { cost: 1, dependencies: 2, restartable: false, ..JobSpec::default() };
    let (waiting, handle) = bench.submit_spec(queue, spec).unwrap();
    let behind = bench.submit(queue);
    assert!(bench.running.is_empty());
    bench.scheduler.dependency_done(handle, Ok(()));
    bench.drain();
    assert!(bench.running.is_empty());
    bench.scheduler.dependency_done(handle, Ok(()));
    bench.drain();
    assert_eq!(bench.running(), [waiting, behind]);
}

#[test]
fn a_failed_dependency_cancels_the_job_but_not_the_queue() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let spec = JobSpec { cost: 1, dependencies: 1, restartable: false, ..JobSpec::default() };
    let (canceled, handle) = bench.submit_spec(queue, spec).unwrap();
    let behind = bench.submit(queue);
    bench.scheduler.dependency_done(handle, Err(FenceError::Guilty));
    bench.drain();
    assert_eq!(bench.signalled[&canceled], Err(FenceError::Canceled));
    assert_eq!(bench.running(), [behind]);
}

#[test]
fn sched_4_an_overdue_job_is_guilty_and_restartable_innocents_run_again() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let guilty = bench.submit(queue);
    let spec = |restartable| JobSpec { cost: 1, dependencies: 0, restartable, ..JobSpec::default() };
    let (innocent, _) = bench.submit_spec(queue, spec(false)).unwrap();
    let (again, _) = bench.submit_spec(queue, spec(true)).unwrap();
    bench.drain();
    bench.pass(Duration::from_nanos(99_999_999));
    assert!(bench.resets.is_empty());
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.resets, [RingIndex(0)]);
    assert!(bench.signalled.is_empty(), "nothing is blamed before the reset");
    bench.reset(0);
    assert_eq!(bench.signalled[&guilty], Err(FenceError::Guilty));
    assert_eq!(bench.signalled[&innocent], Err(FenceError::Innocent));
    assert_eq!(bench.running(), [again]);
    bench.complete(0);
    assert_eq!(bench.signalled[&again], Ok(()));
    assert_eq!(bench.released.len(), 3);
}

#[test]
fn sched_4_a_late_completion_is_honoured_and_is_no_hang() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let slow = bench.submit(queue);
    let (ring, seqno, _) = bench.running[0];
    bench.now = bench.now.plus(TIMEOUT);
    bench.scheduler.tick(bench.now);
    // The completion arrives before the shell has begun the reset.
    bench.scheduler.hw_done(ring, seqno, bench.now);
    bench.drain();
    assert_eq!(bench.signalled[&slow], Ok(()));
    assert!(bench.resets.is_empty());
}

#[test]
fn a_job_that_completes_while_the_reset_runs_is_not_blamed_nor_is_the_next() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let slow = bench.submit(queue);
    let next = bench.submit(queue);
    bench.pass(TIMEOUT);
    assert_eq!(bench.resets.len(), 1);
    bench.begin_reset(0);
    bench.complete(0);
    bench.end_reset(0);
    assert_eq!(bench.signalled[&slow], Ok(()));
    assert_eq!(bench.signalled[&next], Err(FenceError::Innocent));
}

#[test]
fn numbers_that_were_never_issued_complete_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let (ring, seqno, _) = bench.running[0];
    bench.scheduler.hw_done(ring, seqno.next(), bench.now);
    bench.scheduler.hw_done(RingIndex(7), seqno, bench.now);
    bench.drain();
    assert!(bench.signalled.is_empty());
}

#[test]
fn too_much_is_refused_and_leaves_nothing_behind() {
    let mut bench = Bench::new(2, 1, 4);
    let queue = bench.queue(0);
    let spec = |cost| JobSpec { cost, dependencies: 1, restartable: false, ..JobSpec::default() };
    assert_eq!(bench.scheduler.reserve(queue, spec(5)).unwrap_err(), SubmitError::TooLarge);
    let first = bench.scheduler.reserve(queue, spec(1)).unwrap();
    let second = bench.scheduler.reserve(queue, spec(1)).unwrap();
    assert_eq!(bench.scheduler.reserve(queue, spec(1)).unwrap_err(), SubmitError::Full);
    bench.scheduler.cancel(first);
    bench.scheduler.cancel(second);
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn sched_1_a_canceled_job_needs_no_credits() {
    let mut bench = Bench::new(16, 1, 1);
    let (busy, queue) = (bench.queue(0), bench.queue(0));
    bench.submit(busy);
    let (canceled, handle) = bench.submit_spec(queue, spec(1, false)).unwrap();
    bench.scheduler.dependency_done(handle, Err(FenceError::Lost));
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from([(canceled, Err(FenceError::Canceled))]));
}

#[test]
fn sched_1_one_failed_dependency_is_enough() {
    let mut bench = Bench::new(16, 1, 1);
    let queue = bench.queue(0);
    let (canceled, handle) = bench.submit_spec(queue, spec(3, false)).unwrap();
    bench.scheduler.dependency_done(handle, Err(FenceError::Lost));
    bench.drain();
    assert_eq!(bench.signalled[&canceled], Err(FenceError::Canceled));
    // The others arrive late, and find another job or none.
    bench.scheduler.dependency_done(handle, Ok(()));
    let (_, waiting) = bench.submit_spec(queue, spec(1, false)).unwrap();
    bench.scheduler.dependency_done(handle, Ok(()));
    bench.drain();
    assert!(bench.running.is_empty());
    assert!(bench.scheduler.payload(waiting).is_some());
}

#[test]
fn a_dependency_may_be_done_before_the_commit() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let good = bench.scheduler.reserve(queue, spec(1, false)).unwrap();
    let bad = bench.scheduler.reserve(queue, spec(2, false)).unwrap();
    bench.scheduler.dependency_done(good.job(), Ok(()));
    bench.scheduler.dependency_done(bad.job(), Err(FenceError::Lost));
    bench.drain();
    bench.scheduler.commit(bad, 2, 2);
    bench.scheduler.commit(good, 1, 1);
    bench.drain();
    assert_eq!(bench.running(), [1]);
    assert_eq!(bench.signalled, HashMap::from([(2, Err(FenceError::Canceled))]));
}

#[test]
fn a_dependency_reported_for_a_running_job_changes_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let (again, handle) = bench.submit_spec(queue, spec(0, true)).unwrap();
    bench.drain();
    bench.scheduler.dependency_done(handle, Err(FenceError::Lost));
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert_eq!(bench.running(), [again]);
}

#[test]
fn sched_4_new_work_does_not_postpone_the_deadline() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let deadline = Some(bench.now.plus(TIMEOUT));
    bench.pass(TIMEOUT / 2);
    bench.submit(queue);
    assert_eq!(bench.scheduler.next_deadline(), deadline);
    bench.pass(TIMEOUT / 2);
    assert_eq!(bench.resets, [RingIndex(0)]);
}

#[test]
fn sched_4_each_job_has_the_whole_timeout_from_when_it_becomes_the_oldest() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.submit(queue);
    bench.pass(TIMEOUT / 2);
    bench.complete(0);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.pass(TIMEOUT / 2);
    assert!(bench.resets.is_empty());
    bench.pass(TIMEOUT / 2);
    assert_eq!(bench.resets, [RingIndex(0)]);
}

#[test]
fn sched_4_an_idle_ring_has_no_deadline() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.complete(0);
    assert_eq!(bench.scheduler.next_deadline(), None);
    bench.pass(TIMEOUT * 2);
    bench.submit(queue);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    assert!(bench.resets.is_empty());
}

#[test]
fn sched_4_a_completion_during_a_reset_starts_no_clock() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.submit(queue);
    let (again, _) = bench.submit_spec(queue, spec(0, true)).unwrap();
    bench.drain();
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.complete(0);
    assert_eq!(bench.scheduler.next_deadline(), None);
    bench.pass(TIMEOUT / 2);
    bench.end_reset(0);
    // The time that the reset took is not the next job's.
    assert_eq!(bench.running(), [again]);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
}

#[test]
fn sched_4_a_completion_does_not_undo_a_fault() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let next = bench.submit(queue);
    let (ring, seqno, _) = bench.running[0];
    bench.scheduler.faulted(ring, Seqno::ZERO, bench.now);
    bench.scheduler.hw_done(ring, seqno, bench.now);
    bench.drain();
    assert_eq!(bench.resets, [RingIndex(0)]);
    bench.reset(0);
    // The first job got through, so the ring stopped at the second, whenever that was told.
    assert_eq!(bench.signalled, HashMap::from([(1, Ok(())), (next, Err(FenceError::Guilty))]));
}

#[test]
fn sched_4_a_fault_of_an_overdue_ring_stays_one_when_the_suspect_completes() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let (ring, seqno, _) = bench.running[0];
    bench.now = bench.now.plus(TIMEOUT);
    bench.scheduler.tick(bench.now);
    bench.scheduler.faulted(ring, Seqno::ZERO, bench.now);
    bench.scheduler.hw_done(ring, seqno, bench.now);
    bench.drain();
    assert_eq!(bench.resets, [RingIndex(0)]);
}

#[test]
fn sched_4_a_ring_is_reset_once_however_often_it_is_reported() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.complete(0);
    bench.scheduler.faulted(RingIndex(0), bench.scheduler.rings[0].completed, bench.now);
    bench.pass(TIMEOUT * 2);
    assert_eq!(bench.resets, [RingIndex(0)]);
    // The suspect completed, and then the ring stopped at the next job, before the reset took hold.
    bench.end_reset(0);
    assert_eq!(bench.signalled, HashMap::from([(1, Ok(())), (2, Err(FenceError::Guilty))]));
    bench.scheduler.reset_done(RingIndex(0), false);
    bench.drain();
    assert_eq!(bench.device_resets, 0, "a reset that nobody asked for");
}

#[test]
fn sched_4_a_fault_from_before_the_reset_blames_nobody() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    bench.submit(queue);
    let (ring, before, _) = bench.running[0];
    bench.pass(TIMEOUT);
    bench.reset(0);
    let fine = bench.submit(queue);
    bench.scheduler.faulted(ring, Seqno::ZERO, bench.now);
    bench.scheduler.faulted(ring, before, bench.now);
    bench.drain();
    assert_eq!(bench.resets.len(), 1);
    bench.scheduler.faulted(ring, bench.reset_numbers[0], bench.now);
    bench.drain();
    assert_eq!(bench.resets.len(), 1, "that was in its proof");
    bench.scheduler.faulted(ring, bench.reset_numbers[0].next(), bench.now);
    bench.drain();
    assert_eq!(bench.resets.len(), 2);
    bench.reset(0);
    assert_eq!(bench.signalled[&fine], Err(FenceError::Guilty));
}

#[test]
fn sched_2_the_number_of_a_reset_completes_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let guilty = bench.submit(queue);
    bench.submit(queue);
    let issued = bench.running[1].1;
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    let number = bench.reset_numbers[0];
    assert!(number.is_after(issued));
    bench.scheduler.hw_done(RingIndex(0), number, bench.now);
    bench.drain();
    assert!(bench.signalled.is_empty() && bench.released.is_empty());
    bench.end_reset(0);
    assert_eq!(bench.signalled[&guilty], Err(FenceError::Guilty));
    // Nor does it, or a number of an abandoned job, complete what comes after, or count as progress.
    bench.submit(queue);
    assert!(bench.running[0].1.is_after(number));
    let deadline = bench.scheduler.next_deadline();
    bench.now = bench.now.plus(TIMEOUT / 2);
    bench.scheduler.hw_done(RingIndex(0), number, bench.now);
    bench.scheduler.hw_done(RingIndex(0), issued, bench.now);
    bench.drain();
    assert_eq!(bench.scheduler.next_deadline(), deadline);
    assert_eq!(bench.signalled.len(), 2);
}

#[test]
fn sched_6_jobs_that_run_again_keep_their_order_and_come_before_later_ones() {
    let mut bench = Bench::new(16, 1, 4);
    let (a, b) = (bench.queue(0), bench.queue(0));
    bench.submit(a);
    let jobs: Vec<u32> = (0..4).map(|_| bench.submit_spec(b, spec(0, true)).unwrap().0).collect();
    bench.drain();
    assert_eq!(bench.running()[1..], jobs[..3]);
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert_eq!(bench.running(), jobs);
}

#[test]
fn sched_6_resets_come_before_new_work_of_other_rings() {
    let mut bench = Bench::new(16, 2, 8);
    let (fine, broken) = (bench.queue(0), bench.queue(1));
    bench.submit(broken);
    bench.submit_spec(fine, spec(0, false)).unwrap();
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    let first = bench.scheduler.poll_action();
    assert!(matches!(first, Some(Action::ResetRing { ring: RingIndex(1), .. })), "{first:?}");
    assert!(matches!(bench.scheduler.poll_action(), Some(Action::Run { ring: RingIndex(0), .. })));
}

#[test]
fn fence_1_who_waits_comes_first_then_memory_then_trouble_then_work() {
    let mut bench = Bench::new(16, 3, 1);
    let queues = [bench.queue(0), bench.queue(1), bench.queue(2)];
    for queue in queues {
        bench.submit(queue);
    }
    bench.submit(queues[0]);
    let done = bench.running[0].1;
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    bench.drain();
    bench.scheduler.faulted(RingIndex(2), Seqno::ZERO, bench.now);
    bench.scheduler.hw_done(RingIndex(0), done, bench.now);
    let mut order = vec![];
    while let Some(action) = bench.scheduler.poll_action() {
        order.push(match action {
            Action::Signal { .. } => "signal",
            Action::Release { .. } => "release",
            Action::ResetRing { .. } => "reset",
            Action::ResetDevice | Action::GiveUp | Action::LetGo { .. } => panic!("nothing failed"),
            Action::Run { .. } => "run",
        });
    }
    assert_eq!(order, ["signal", "release", "reset", "run"]);
}

#[test]
fn what_has_not_ended_can_be_seen_without_a_change() {
    let mut bench = Bench::new(16, 2, 2);
    let (a, b) = (bench.queue(0), bench.queue(1));
    let jobs: Vec<u32> = (0..4).map(|_| bench.submit(a)).collect();
    let other = bench.submit(b);
    let spec = JobSpec { cost: 1, dependencies: 1, restartable: false, ..JobSpec::default() };
    let (waiting, _) = bench.submit_spec(b, spec).unwrap();
    let seen = |bench: &Bench, ring| -> Vec<_> {
        bench.scheduler.on_ring(RingIndex(ring)).map(|job| (*job.payload, job.queue, job.suspect)).collect()
    };
    assert_eq!(seen(&bench, 0), [(jobs[0], 0, false), (jobs[1], 0, false)]);
    assert_eq!(seen(&bench, 1), [(other, 1, false)]);
    let queued: Vec<_> =
        bench.scheduler.waiting().map(|job| (*job.payload, job.ring.0, job.waits, job.seqno)).collect();
    assert_eq!(queued, [(jobs[2], 0, 0, None), (jobs[3], 0, 0, None), (waiting, 1, 1, None)]);
    let numbers = bench.scheduler.numbers(RingIndex(0)).unwrap();
    assert_eq!((numbers.issued.value(), numbers.completed.value()), (2, 0));
    assert_eq!(
        bench.scheduler.on_ring(RingIndex(0)).map(|job| job.seqno).max_by_key(|n| n.map(Seqno::value)),
        Some(Some(numbers.issued))
    );
    bench.complete(0);
    assert_eq!(seen(&bench, 0), [(jobs[1], 0, false), (jobs[2], 0, false)]);
    let later = bench.now.plus(TIMEOUT);
    bench.scheduler.tick(later);
    assert_eq!(seen(&bench, 0), [(jobs[1], 0, true), (jobs[2], 0, false)]);
    assert!(bench.scheduler.on_ring(RingIndex(9)).next().is_none() && bench.scheduler.numbers(RingIndex(9)).is_none());
}
