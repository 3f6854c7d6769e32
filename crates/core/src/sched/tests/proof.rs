//! A ring proves itself, nobody is guilty of a job that never began, and what is in vain once is
//! not tried again (RECOV-5): one promise per test.

use super::*;

const RESTARTABLE: JobSpec = JobSpec {
    cost: 1,
    dependencies: 0,
    restartable: true,
    time_limit: None,
    if_dependency_fails: IfDependencyFails::Cancel,
};

/// One ring, and a queue of a context that is banned at its second reset.
fn bench() -> (Bench, ContextId, QueueId) {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(2).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap();
    (bench, context, queue)
}

impl Bench {
    fn submit_restartable(&mut self, queue: QueueId) -> u32 {
        let job = self.submit_spec(queue, RESTARTABLE).unwrap().0;
        self.drain();
        job
    }

    /// Its oldest job is overdue, and the driver finds this of it.
    fn overdue(&mut self, ring: u8, began: Began) {
        self.pass(TIMEOUT);
        self.looked_at(ring, began);
    }

    fn looked_at(&mut self, ring: u8, began: Began) {
        let suspect = self.scheduler.suspect(RingIndex(ring)).expect("somebody is suspect");
        self.scheduler.suspect_began(suspect, began);
    }

    /// The driver asks whether the ring is to be reset, and it is not: something larger is.
    fn is_in_vain(&mut self, ring: u8) {
        assert_eq!(self.scheduler.begin_reset(RingIndex(ring)), None, "what was in vain is tried again");
        self.drain();
    }

    fn guilty(&self, context: ContextId) -> u32 {
        self.scheduler.reset_stats(context).unwrap().guilty
    }
}

#[test]
fn recov_5_a_job_that_never_began_is_not_guilty_and_runs_again() {
    let (mut bench, context, queue) = bench();
    let jobs = [0; 2].map(|_| bench.submit_restartable(queue));
    bench.overdue(0, Began::No);
    bench.reset(0);
    assert_eq!((bench.running(), bench.guilty(context)), (jobs.to_vec(), 0), "both run again");
    assert!(bench.signalled.is_empty());
    bench.complete(0);
    bench.complete(0);
    assert_eq!(bench.signalled, HashMap::from(jobs.map(|job| (job, Ok(())))));
}

#[test]
fn recov_5_one_that_cannot_run_again_is_innocent() {
    let (mut bench, context, queue) = bench();
    let job = bench.submit(queue);
    bench.overdue(0, Began::No);
    bench.reset(0);
    assert_eq!(bench.signalled[&job], Err(FenceError::Innocent));
    let stats = bench.scheduler.reset_stats(context).unwrap();
    assert_eq!((stats.guilty, stats.innocent, stats.banned), (0, 1, false));
}

#[test]
fn recov_5_what_began_or_may_have_is_guilty() {
    for began in [Began::Yes, Began::Unknown] {
        let (mut bench, context, queue) = bench();
        let job = bench.submit_restartable(queue);
        bench.overdue(0, began);
        bench.reset(0);
        assert_eq!((bench.signalled[&job], bench.guilty(context)), (Err(FenceError::Guilty), 1));
    }
}

#[test]
fn recov_5_a_fault_that_names_no_job_of_the_rings_is_nobodys() {
    let (mut bench, context, queue) = bench();
    let job = bench.submit_restartable(queue);
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    bench.looked_at(0, Began::No);
    // Told twice: that is no news.
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.reset(0);
    assert_eq!((bench.running(), bench.guilty(context)), (vec![job], 0));
}

#[test]
fn recov_5_one_that_begins_after_the_look_and_faults_is_guilty() {
    let (mut bench, context, queue) = bench();
    let job = bench.submit_restartable(queue);
    bench.overdue(0, Began::No);
    bench.begin_reset(0);
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.end_reset(0);
    assert_eq!((bench.signalled[&job], bench.guilty(context)), (Err(FenceError::Guilty), 1));
}

#[test]
fn recov_5_who_takes_the_place_of_one_that_never_began_was_not_looked_at() {
    let (mut bench, context, queue) = bench();
    let jobs = [0; 2].map(|_| bench.submit_restartable(queue));
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    bench.looked_at(0, Began::No);
    // The first has completed after all, and the second is what the ring stopped at.
    bench.complete(0);
    bench.reset(0);
    assert_eq!((bench.signalled[&jobs[1]], bench.guilty(context)), (Err(FenceError::Guilty), 1));
}

/// Ring, device, and then the device is given up; nobody is to blame.
#[test]
fn recov_5_resets_without_progress_escalate() {
    let (mut bench, context, queue) = bench();
    let job = bench.submit_restartable(queue);
    bench.overdue(0, Began::No);
    bench.reset(0);
    bench.overdue(0, Began::No);
    bench.is_in_vain(0);
    assert_eq!((bench.resets.len(), bench.device_resets, bench.gave_up), (2, 1, false));
    bench.reset_device();
    assert_eq!(bench.running(), [job]);
    bench.overdue(0, Began::No);
    bench.is_in_vain(0);
    assert_eq!((bench.device_resets, bench.gave_up), (1, true));
    // Nothing is tried any more.
    bench.gave_up = false;
    bench.pass(TIMEOUT * 5);
    assert_eq!((bench.resets.len(), bench.device_resets, bench.gave_up), (3, 1, false));
    assert_eq!(bench.scheduler.next_deadline(), None);
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    let stats = bench.scheduler.reset_stats(context).unwrap();
    assert_eq!(bench.signalled[&job], Err(FenceError::Lost));
    assert_eq!((stats.status, stats.guilty), (ResetStatus::Unknown, 0));
}

#[test]
fn recov_5_a_completion_is_progress() {
    let (mut bench, _, queue) = bench();
    for round in 1..=5 {
        bench.submit_restartable(queue);
        bench.overdue(0, Began::No);
        bench.reset(0);
        bench.complete(0);
        assert_eq!((bench.resets.len(), bench.device_resets), (round, 0));
    }
}

/// Neither is the number of a reset, nor that of its proof.
#[test]
fn recov_5_a_proof_is_no_progress() {
    let (mut bench, _, queue) = bench();
    bench.submit_restartable(queue);
    bench.overdue(0, Began::No);
    bench.begin_reset(0);
    let number = bench.reset_numbers[0];
    bench.scheduler.hw_done(RingIndex(0), number.next(), bench.now);
    bench.end_reset(0);
    for seqno in [number, number.next()] {
        bench.scheduler.hw_done(RingIndex(0), seqno, bench.now);
    }
    bench.drain();
    assert!(bench.signalled.is_empty(), "a proof has completed a user's job");
    bench.overdue(0, Began::No);
    bench.is_in_vain(0);
    assert_eq!(bench.device_resets, 1);
}

#[test]
fn recov_5_what_completes_on_another_ring_is_none() {
    let mut bench = Bench::new(16, 2, 8);
    let (dead, works) = (bench.queue(0), bench.queue(1));
    bench.submit_restartable(dead);
    let work = |bench: &mut Bench| {
        bench.submit_restartable(works);
        bench.complete(1);
    };
    bench.overdue(0, Began::No);
    bench.reset(0);
    work(&mut bench);
    bench.overdue(0, Began::No);
    bench.is_in_vain(0);
    bench.reset_device();
    work(&mut bench);
    bench.overdue(0, Began::No);
    bench.is_in_vain(0);
    assert_eq!((bench.resets.len(), bench.device_resets, bench.gave_up), (3, 1, true), "a dead ring is looped");
}

/// Its context pays, up to its limit; the device is not taken away from others.
#[test]
fn recov_5_hangs_of_jobs_that_began_escalate_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(100).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal).unwrap();
    for round in 1..=20 {
        bench.submit_restartable(queue);
        bench.overdue(0, Began::Yes);
        bench.reset(0);
        assert_eq!((bench.guilty(context), bench.resets.len()), (round, round as usize));
    }
    assert_eq!((bench.device_resets, bench.gave_up), (0, false));
}

/// A reset with somebody to blame was not in vain.
#[test]
fn recov_5_nor_do_they_count_against_the_ring() {
    let (mut bench, _, queue) = bench();
    bench.submit_restartable(queue);
    bench.overdue(0, Began::Yes);
    bench.reset(0);
    let job = bench.submit_restartable(queue);
    bench.overdue(0, Began::No);
    bench.reset(0);
    assert_eq!((bench.running(), bench.device_resets), (vec![job], 0));
}

/// A ring that was reset and does not work is a reset that has failed.
#[test]
fn recov_5_a_ring_that_does_not_prove_itself_has_the_device_reset() {
    let (mut bench, context, queue) = bench();
    let job = bench.submit_restartable(queue);
    bench.overdue(0, Began::No);
    bench.fail_reset(0);
    assert_eq!(bench.device_resets, 1);
    assert!(bench.scheduler.begin_device_reset());
    bench.scheduler.device_reset_done(false);
    bench.drain();
    assert!(bench.gave_up);
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert_eq!((bench.signalled[&job], bench.guilty(context)), (Err(FenceError::Lost), 0));
}

/// Suspects of other rings are looked at as well, before the device is reset.
#[test]
fn recov_5_nobody_is_guilty_on_other_rings_either() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let jobs = queues.map(|queue| bench.submit_restartable(queue));
    bench.pass(TIMEOUT);
    bench.looked_at(0, Began::Yes);
    bench.looked_at(1, Began::No);
    bench.fail_reset(0);
    bench.fail_reset(1);
    bench.reset_device();
    assert_eq!((bench.signalled[&jobs[0]], bench.running()), (Err(FenceError::Guilty), vec![jobs[1]]));
}

#[test]
fn recov_5_a_job_that_moves_is_reset_neither_in_vain_nor_otherwise() {
    let (mut bench, _, queue) = bench();
    bench.scheduler.limits.extensions = 1;
    let job = bench.submit_restartable(queue);
    bench.overdue(0, Began::No);
    bench.reset(0);
    bench.overdue(0, Began::No);
    assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
    bench.drain();
    assert_eq!((bench.device_resets, bench.scheduler.suspect(RingIndex(0))), (0, None));
    bench.complete(0);
    assert_eq!(bench.signalled[&job], Ok(()));
}

#[test]
fn recov_5_what_the_driver_says_of_others_is_ignored() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(0), bench.queue(1)];
    let [(hung, suspect), (_, behind), (_, elsewhere)] =
        queues.map(|queue| bench.submit_spec(queue, RESTARTABLE).unwrap());
    bench.drain();
    bench.scheduler.suspect_began(suspect, Began::No);
    bench.scheduler.faulted(RingIndex(0), Seqno::ZERO, bench.now);
    bench.drain();
    assert_eq!(bench.scheduler.suspect(RingIndex(0)), Some(suspect));
    assert_eq!([1, 9].map(|ring| bench.scheduler.suspect(RingIndex(ring))), [None; 2]);
    for job in [behind, elsewhere] {
        bench.scheduler.suspect_began(job, Began::No);
    }
    bench.begin_reset(0);
    // Too late: what is known of it now is from after the reset.
    bench.scheduler.suspect_began(suspect, Began::No);
    bench.end_reset(0);
    assert_eq!(bench.signalled[&hung], Err(FenceError::Guilty));
    bench.scheduler.suspect_began(suspect, Began::No);
}
