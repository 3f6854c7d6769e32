//! The ladder of resets, the driver's word that a job moves, and rests: one promise per test.

use super::*;

const RESTARTABLE: JobSpec = JobSpec {
    cost: 1,
    dependencies: 0,
    restartable: true,
    time_limit: None,
    if_dependency_fails: IfDependencyFails::Cancel,
};

/// Two rings with a job each, and one job more on the first; the first job hung, and its ring's reset failed.
fn stuck() -> (Bench, [u32; 3]) {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let jobs = [0, 0, 1].map(|ring| bench.submit_spec(queues[ring], RESTARTABLE).unwrap().0);
    bench.drain();
    // The other ring's job is younger, and not suspect when the first one is.
    bench.pass(TIMEOUT / 2);
    bench.complete(1);
    let (again, _) = bench.submit_spec(queues[1], RESTARTABLE).unwrap();
    bench.drain();
    bench.pass(TIMEOUT / 2);
    assert_eq!((bench.resets.as_slice(), bench.device_resets), (&[RingIndex(0)][..], 0));
    bench.fail_reset(0);
    (bench, [jobs[0], jobs[1], again])
}

#[test]
fn sched_4_a_failed_ring_reset_leads_to_that_of_the_device() {
    let (mut bench, [hung, behind, elsewhere]) = stuck();
    assert_eq!((bench.device_resets, bench.gave_up), (1, false));
    let numbers = [0, 1].map(|ring| bench.scheduler.number_after_reset(RingIndex(ring)).unwrap());
    bench.reset_device();
    assert_eq!(bench.signalled[&hung], Err(FenceError::Guilty));
    assert_eq!(bench.running(), [elsewhere, behind], "they run again");
    for (ring, seqno, _) in bench.running.clone() {
        assert!(seqno.is_after(numbers[usize::from(ring.0)]));
    }
    assert_eq!(bench.scheduler.number_after_reset(RingIndex(2)), None);
    bench.complete(0);
    bench.complete(1);
    assert_eq!(bench.signalled[&elsewhere], Ok(()));
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn sched_6_who_was_elsewhere_and_cannot_run_again_is_innocent() {
    let mut bench = Bench::new(16, 2, 8);
    let (bad, good) = (bench.queue(0), bench.queue(1));
    let (hung, victim) = (bench.submit(bad), bench.submit(good));
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    bench.fail_reset(0);
    bench.reset_device();
    let ended = HashMap::from([(hung, Err(FenceError::Guilty)), (victim, Err(FenceError::Innocent))]);
    assert_eq!(bench.signalled, ended);
    assert_eq!(bench.released, [hung, victim]);
}

#[test]
fn sched_7_a_reset_of_the_device_counts_once_for_each_context() {
    let mut bench = Bench::new(16, 2, 8);
    let contexts = [bench.scheduler.open_context(5).unwrap(), bench.scheduler.open_context(5).unwrap()];
    let open = |bench: &mut Bench, context, ring| {
        bench.scheduler.open_queue_of(context, RingIndex(ring), Priority::Normal).unwrap()
    };
    // Both contexts on both rings; the first job of each ring is the suspect, and both are of the first context.
    for (context, ring) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let queue = open(&mut bench, contexts[context], ring);
        bench.submit(queue);
    }
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    bench.fail_reset(0);
    assert_eq!(bench.device_resets, 0, "it would cut short the other ring's reset");
    bench.fail_reset(1);
    assert_eq!(bench.device_resets, 1);
    bench.reset_device();
    let stats = contexts.map(|context| bench.scheduler.reset_stats(context).unwrap());
    assert_eq!(stats[0], ResetStats { guilty: 1, status: ResetStatus::Guilty, ..ResetStats::default() });
    assert_eq!(stats[1], ResetStats { innocent: 1, status: ResetStatus::Innocent, ..ResetStats::default() });
}

#[test]
fn sched_4_the_device_is_reset_after_the_reset_of_a_ring_that_is_under_way() {
    let mut bench = Bench::new(16, 3, 8);
    let queues = [bench.queue(0), bench.queue(1), bench.queue(2)];
    for queue in queues {
        bench.submit(queue);
    }
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    bench.drain();
    bench.fail_reset(0);
    let later = bench.submit(queues[2]);
    assert!(!bench.running().contains(&later), "work for a device that is about to be reset");
    // What completes until then has completed.
    bench.complete(2);
    assert_eq!(bench.signalled[&3], Ok(()));
    assert_eq!(bench.device_resets, 0);
    bench.reset(1);
    assert_eq!((bench.signalled[&2], bench.device_resets), (Err(FenceError::Guilty), 1));
    bench.reset_device();
    assert_eq!(bench.running(), [later]);
}

#[test]
fn sched_4_a_suspect_that_completes_before_the_device_is_reset_is_not_guilty() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let (slow, behind) = (bench.submit(queues[0]), bench.submit(queues[0]));
    bench.submit(queues[1]);
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    bench.pass(TIMEOUT);
    bench.fail_reset(0);
    bench.complete(0);
    bench.fail_reset(1);
    bench.reset_device();
    assert_eq!((bench.signalled[&slow], bench.signalled[&behind]), (Ok(()), Err(FenceError::Innocent)));
}

#[test]
fn sched_4_what_a_device_says_during_its_reset_means_nothing() {
    let (mut bench, [hung, ..]) = stuck();
    assert!(bench.scheduler.begin_device_reset());
    for (ring, seqno, _) in bench.running.clone() {
        bench.scheduler.hw_done(ring, seqno, bench.now);
        bench.scheduler.faulted(ring, seqno, bench.now);
    }
    bench.pass(TIMEOUT * 2);
    assert_eq!(bench.scheduler.next_deadline(), None);
    assert_eq!((bench.signalled.len(), bench.resets.len()), (1, 1));
    bench.scheduler.reset_done(RingIndex(0), true);
    bench.drain();
    assert!(!bench.signalled.contains_key(&hung));
    // Nor does it after a loss has cut the reset short: only the cut ends what the hardware may read.
    let numbers: Vec<_> = bench.running.clone();
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    for (ring, seqno, _) in numbers {
        bench.scheduler.hw_done(ring, seqno, bench.now);
    }
    bench.scheduler.device_reset_done(true);
    bench.drain();
    assert_eq!((bench.signalled[&hung], bench.released.len()), (Err(FenceError::Lost), 1));
    bench.scheduler.hardware_gone();
    bench.drain();
    assert_eq!(bench.scheduler.job_count(), 0);
}

#[test]
fn sched_4_a_failed_reset_of_the_device_is_the_last_one() {
    let (mut bench, [hung, ..]) = stuck();
    assert!(bench.scheduler.begin_device_reset());
    bench.scheduler.device_reset_done(false);
    bench.drain();
    assert!(bench.gave_up && !bench.signalled.contains_key(&hung));
    bench.gave_up = false;
    bench.scheduler.device_reset_done(true);
    bench.pass(TIMEOUT);
    assert_eq!((bench.gave_up, bench.device_resets, bench.resets.len()), (false, 1, 1));
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.signalled[&hung], Err(FenceError::Lost));
    assert!(!bench.gave_up);
}

#[test]
fn sched_4_a_job_that_moves_is_no_hang_within_a_bound() {
    let mut bench = Bench::new(16, 1, 8);
    bench.scheduler.limits.extensions = 2;
    let queue = bench.queue(0);
    let (long, hung) = (bench.submit(queue), bench.submit(queue));
    for round in 1..=2 {
        bench.pass(TIMEOUT);
        assert_eq!(bench.resets.len(), round);
        assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
        assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)), "its whole time again");
    }
    bench.pass(TIMEOUT);
    assert!(!bench.scheduler.still_running(RingIndex(0), bench.now), "for ever");
    assert_eq!(bench.scheduler.next_deadline(), None);
    // A reset is owed: it may still complete until that takes hold, but it has no say any more.
    bench.begin_reset(0);
    bench.complete(0);
    assert_eq!(bench.signalled, HashMap::from([(long, Ok(()))]));
    bench.end_reset(0);
    assert_eq!(bench.signalled[&hung], Err(FenceError::Innocent));
}

#[test]
fn sched_4_each_job_has_extensions_of_its_own() {
    let mut bench = Bench::new(16, 1, 8);
    bench.scheduler.limits.extensions = 1;
    let queue = bench.queue(0);
    let jobs = [0; 3].map(|_| bench.submit(queue));
    for job in jobs {
        bench.pass(TIMEOUT);
        assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
        bench.pass(TIMEOUT / 2);
        bench.complete(0);
        assert_eq!(bench.signalled[&job], Ok(()));
    }
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.reset(0);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
}

#[test]
fn sched_4_a_suspect_that_completed_while_the_driver_looked_needs_no_extension() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let (slow, next) = (bench.submit(queue), bench.submit(queue));
    bench.pass(TIMEOUT);
    bench.complete(0);
    // Nothing is owed any more, so the driver's word is not needed, and the next job has its time from now on.
    assert!(!bench.scheduler.still_running(RingIndex(0), bench.now));
    assert_eq!(bench.scheduler.begin_reset(RingIndex(0)), None);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.complete(0);
    assert_eq!(bench.signalled, HashMap::from([(slow, Ok(())), (next, Ok(()))]));
    assert_eq!(bench.scheduler.next_deadline(), None);
}

#[test]
fn sched_4_a_fault_is_not_talked_away_and_neither_is_peace() {
    let mut bench = Bench::new(16, 1, 8);
    bench.scheduler.limits.extensions = 5;
    let queue = bench.queue(0);
    bench.submit(queue);
    assert!(!bench.scheduler.still_running(RingIndex(0), bench.now), "nobody asked");
    assert!(!bench.scheduler.still_running(RingIndex(7), bench.now));
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    assert!(!bench.scheduler.still_running(RingIndex(0), bench.now));
    bench.reset(0);
    assert_eq!(bench.signalled[&1], Err(FenceError::Guilty));
}

#[test]
fn a_stopped_scheduler_gives_nothing_to_rings_and_judges_no_time() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let (first, second) = (bench.submit(queues[0]), bench.submit(queues[1]));
    bench.pass(TIMEOUT / 2);
    bench.scheduler.stop();
    let waiting = bench.submit(queues[0]);
    assert_eq!(bench.running(), [first, second]);
    bench.pass(TIMEOUT * 5);
    assert_eq!((bench.resets.len(), bench.scheduler.next_deadline()), (0, None));
    bench.complete(0);
    assert_eq!(bench.signalled, HashMap::from([(first, Ok(()))]));
    bench.scheduler.start(bench.now);
    bench.drain();
    assert_eq!(bench.running(), [second, waiting]);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    // Started already: that begins no job's time anew.
    let deadline = bench.scheduler.next_deadline();
    bench.now = bench.now.plus(TIMEOUT / 2);
    bench.scheduler.start(bench.now);
    assert_eq!(bench.scheduler.next_deadline(), deadline);
}

#[test]
fn a_stopped_scheduler_resets_what_had_faulted_and_can_be_lost() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let (bad, again) = (bench.submit(queue), bench.submit_spec(queue, RESTARTABLE).unwrap().0);
    bench.drain();
    bench.scheduler.stop();
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    bench.reset(0);
    assert_eq!((bench.signalled[&bad], bench.running.len()), (Err(FenceError::Guilty), 0));
    bench.scheduler.lose(FenceError::Lost);
    bench.scheduler.start(bench.now);
    bench.drain();
    assert_eq!((bench.signalled[&again], bench.scheduler.next_deadline()), (Err(FenceError::Lost), None));
}

#[test]
fn sched_6_who_takes_the_place_of_a_job_that_was_suspect_is_not() {
    let mut bench = Bench::new(2, 2, 8);
    let (a, b) = (bench.queue(0), bench.queue(1));
    let slow = bench.submit(a);
    bench.now = bench.now.plus(TIMEOUT);
    bench.scheduler.tick(bench.now);
    bench.complete(0);
    assert_eq!(bench.signalled[&slow], Ok(()));
    // There are two slots: the first is used again.
    let (hung, innocent) = (bench.submit(b), bench.submit(a));
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    bench.drain();
    bench.fail_reset(1);
    bench.reset_device();
    assert_eq!(
        (bench.signalled[&hung], bench.signalled[&innocent]),
        (Err(FenceError::Guilty), Err(FenceError::Innocent))
    );
}

#[test]
fn sched_4_a_fault_while_the_driver_looks_is_one() {
    let mut bench = Bench::with(4, 1, Limits { extensions: 4, ..Limits::new(8, TIMEOUT) });
    let queue = bench.queue(0);
    let bad = bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    assert!(!bench.scheduler.still_running(RingIndex(0), bench.now));
    bench.reset(0);
    assert_eq!(bench.signalled[&bad], Err(FenceError::Guilty));
}

#[test]
fn a_start_during_the_reset_of_the_device_starts_no_clock() {
    let (mut bench, _) = stuck();
    assert!(bench.scheduler.begin_device_reset());
    bench.scheduler.stop();
    bench.scheduler.start(bench.now);
    assert_eq!(bench.scheduler.next_deadline(), None);
    bench.end_device_reset();
    assert!(bench.scheduler.next_deadline().is_some());
}

#[test]
fn sched_1_a_scheduler_can_be_torn_down_with_jobs_reserved_waiting_queued_and_running() {
    let mut bench = Bench::new(16, 1, 1);
    let queue = bench.queue(0);
    let running = bench.submit(queue);
    let queued = bench.submit(queue);
    let (waiting, _) = bench.submit_spec(queue, spec(1, true)).unwrap();
    let reserved = bench.scheduler.reserve(queue, spec(0, true)).unwrap();
    bench.scheduler.tear_down();
    bench.scheduler.commit(reserved, 77, 77);
    bench.pass(TIMEOUT);
    for job in [running, queued, waiting, 77] {
        assert_eq!(bench.signalled[&job], Err(FenceError::Canceled));
    }
    assert!(!bench.released.contains(&running), "the hardware may still read it");
    assert_eq!((bench.running.len(), bench.resets.len(), bench.gave_up), (1, 0, false));
    bench.complete(0);
    assert_eq!(bench.scheduler.job_count(), 0);
    let refused = bench.scheduler.reserve(queue, spec(0, true)).unwrap_err();
    assert_eq!(refused, SubmitError::Ended(FenceError::Canceled));
}

#[test]
fn a_job_declared_to_run_after_a_failure_waits_for_all_and_runs() {
    let mut bench = Bench::new(16, 1, 8);
    let queue = bench.queue(0);
    let spec = JobSpec { dependencies: 2, if_dependency_fails: IfDependencyFails::Run, ..RESTARTABLE };
    let (job, handle) = bench.submit_spec(queue, spec).unwrap();
    bench.scheduler.dependency_done(handle, Err(FenceError::Guilty));
    bench.drain();
    assert!(bench.running.is_empty(), "it waits for the other one too");
    bench.scheduler.dependency_done(handle, Err(FenceError::Lost));
    bench.drain();
    assert_eq!(bench.running(), [job]);
    bench.complete(0);
    assert_eq!(bench.signalled[&job], Ok(()));
}

/// What the reset status of two contexts is, of which the first has a job that hangs, after the device is lost; `known`: its
/// ring could not be reset, nor could the device.
fn status_after_loss(known: bool) -> [ResetStatus; 2] {
    let mut bench = Bench::new(16, 2, 8);
    let contexts = [bench.scheduler.open_context(5).unwrap(), bench.scheduler.open_context(5).unwrap()];
    let queue = bench.scheduler.open_queue_of(contexts[0], RingIndex(0), Priority::Normal).unwrap();
    bench.submit(queue);
    if known {
        bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
        bench.drain();
        bench.fail_reset(0);
        assert!(bench.scheduler.begin_device_reset());
        bench.scheduler.device_reset_done(false);
    }
    // The first word counts.
    bench.scheduler.lose(FenceError::Lost);
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    let stats = contexts.map(|context| bench.scheduler.reset_stats(context).unwrap());
    assert!(stats.iter().all(|stats| stats.guilty + stats.innocent + stats.unknown == 1));
    stats.map(|stats| stats.status)
}

#[test]
fn sched_7_a_loss_is_somebodys_fault_if_the_last_reset_was() {
    assert_eq!(status_after_loss(true), [ResetStatus::Guilty, ResetStatus::Innocent]);
    assert_eq!(status_after_loss(false), [ResetStatus::Unknown; 2]);
}

#[test]
fn sched_7_giving_the_scheduler_up_is_no_reset() {
    let mut bench = Bench::new(16, 2, 8);
    let context = bench.scheduler.open_context(5).unwrap();
    bench.scheduler.tear_down();
    assert_eq!(bench.scheduler.reset_stats(context), Some(ResetStats::default()));
}
