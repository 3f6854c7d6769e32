//! Aborts: a ring gives up one job before it is reset (SCHED-4).

use super::*;

const RING: RingIndex = RingIndex(0);

/// A ring with two queues of two contexts that are banned at their second fault, and a job of each on it.
fn overdue() -> (Bench, [ContextId; 2], [u32; 2]) {
    let mut bench = Bench::new(16, 1, 8);
    let contexts = [0; 2].map(|_| bench.scheduler.open_context(2).unwrap());
    let jobs = contexts.map(|context| {
        let queue = bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap();
        let (job, _) = bench.submit_spec(queue, spec(0, false)).unwrap();
        bench.drain();
        job
    });
    bench.pass(TIMEOUT);
    assert_eq!(bench.suspects, [Some(jobs[0])]);
    (bench, contexts, jobs)
}

impl Bench {
    /// The ring is asked to give up its suspect, and answers.
    fn abort(&mut self, answer: Abort) -> bool {
        let (job, seqno) = self.scheduler.begin_abort(RING).expect("it is to be asked");
        assert_eq!(self.scheduler.suspect(RING), Some(job));
        assert_eq!(self.running.first().map(|(_, number, _)| *number), Some(seqno));
        let left_alone = self.scheduler.abort_answered(RING, answer, self.now);
        if answer == Abort::Done {
            self.running.remove(0);
        }
        self.drain();
        left_alone
    }

    fn report_aborted(&mut self) {
        let (_, seqno, _) = self.running.remove(0);
        self.scheduler.aborted(RING, seqno, self.now);
        self.drain();
    }
}

/// The first job has failed alone; the second has its time from now on, and completes.
fn assert_only_the_first_failed(bench: &mut Bench, contexts: [ContextId; 2], jobs: [u32; 2]) {
    assert_eq!(
        (&bench.signalled, &bench.released),
        (&HashMap::from([(jobs[0], Err(FenceError::Guilty))]), &vec![jobs[0]])
    );
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    assert_eq!(bench.scheduler.begin_reset(RING), None, "there is nothing to reset any more");
    let stats = contexts.map(|context| bench.scheduler.reset_stats(context).unwrap());
    assert_eq!(stats.map(|stats| (stats.guilty, stats.innocent)), [(1, 0), (0, 0)]);
    assert_eq!(stats[0].status, ResetStatus::Guilty);
    bench.complete(0);
    assert_eq!((bench.signalled[&jobs[1]], bench.scheduler.job_count()), (Ok(()), 0));
    assert_eq!(bench.resets.len(), 1, "it was asked about once");
}

#[test]
fn sched_4_a_job_that_is_given_up_fails_alone() {
    let (mut bench, contexts, jobs) = overdue();
    assert!(bench.abort(Abort::Done));
    assert_only_the_first_failed(&mut bench, contexts, jobs);
}

#[test]
fn sched_4_a_job_that_is_reported_as_aborted_fails_alone() {
    let (mut bench, contexts, jobs) = overdue();
    assert!(bench.abort(Abort::Asked));
    assert!(bench.signalled.is_empty() && bench.released.is_empty(), "the ring may read it still");
    bench.pass(TIMEOUT / 2);
    bench.report_aborted();
    assert_only_the_first_failed(&mut bench, contexts, jobs);
}

#[test]
fn sched_4_a_ring_that_cannot_abort_is_reset_at_once() {
    let (mut bench, contexts, jobs) = overdue();
    assert!(!bench.abort(Abort::Cannot));
    assert_eq!(bench.scheduler.begin_abort(RING), None, "it has answered");
    bench.reset(0);
    let expected = [(jobs[0], Err(FenceError::Guilty)), (jobs[1], Err(FenceError::Innocent))];
    assert_eq!(bench.signalled, HashMap::from(expected));
    let stats = contexts.map(|context| bench.scheduler.reset_stats(context).unwrap());
    assert_eq!(stats.map(|stats| (stats.guilty, stats.innocent)), [(1, 0), (0, 1)]);
}

#[test]
fn sched_4_an_abort_that_does_not_help_in_time_is_followed_by_a_reset() {
    let (mut bench, _, jobs) = overdue();
    bench.scheduler.limits.extensions = 5;
    assert!(bench.abort(Abort::Asked));
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.pass(TIMEOUT.checked_sub(Duration::from_nanos(1)).unwrap());
    assert_eq!(bench.resets.len(), 1);
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.suspects, [Some(jobs[0]); 2]);
    assert!(!bench.scheduler.still_running(RING, bench.now), "whether it moves is not asked any more");
    assert_eq!(bench.scheduler.begin_abort(RING), None, "it was aborted already");
    bench.reset(0);
    assert_eq!(bench.signalled[&jobs[0]], Err(FenceError::Guilty));
    assert_eq!(bench.signalled[&jobs[1]], Err(FenceError::Innocent));
}

/// One with a short limit is not waited for longer because it is aborted.
#[test]
fn sched_4_an_abort_takes_no_longer_than_the_job_may() {
    for (own, limit) in [(TIMEOUT / 4, TIMEOUT / 4), (TIMEOUT * 4, TIMEOUT)] {
        let mut bench = Bench::new(4, 1, 4);
        let queue = bench.queue(0);
        bench.submit_spec(queue, JobSpec { time_limit: Some(own), ..spec(0, false) }).unwrap();
        bench.drain();
        bench.pass(own);
        assert!(bench.abort(Abort::Asked));
        assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(limit)));
    }
}

#[test]
fn sched_4_a_job_that_completes_although_it_is_to_be_aborted_has_completed() {
    let (mut bench, contexts, jobs) = overdue();
    assert!(bench.abort(Abort::Asked));
    bench.complete(0);
    assert_eq!(bench.signalled, HashMap::from([(jobs[0], Ok(()))]));
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    assert_eq!(bench.scheduler.reset_stats(contexts[0]).unwrap().guilty, 0);
}

/// While the ring is asked, its suspect completes: what it answers then is about nobody.
#[test]
fn sched_4_an_answer_that_comes_too_late_aborts_nobody() {
    for answer in [Abort::Cannot, Abort::Asked, Abort::Done] {
        let (mut bench, _, jobs) = overdue();
        let (_, seqno) = bench.scheduler.begin_abort(RING).unwrap();
        bench.complete(0);
        assert!(!bench.scheduler.abort_answered(RING, answer, bench.now));
        bench.scheduler.aborted(RING, seqno, bench.now);
        assert_eq!(bench.scheduler.begin_reset(RING), None);
        bench.complete(0);
        assert_eq!(bench.signalled, HashMap::from(jobs.map(|job| (job, Ok(())))));
    }
}

#[test]
fn sched_4_a_ring_that_faults_is_reset_whatever_was_to_be_aborted() {
    let (mut bench, _, jobs) = overdue();
    assert!(bench.abort(Abort::Asked));
    bench.scheduler.faulted(RING, Seqno::ZERO, bench.now);
    bench.drain();
    assert_eq!((bench.suspects.last(), bench.scheduler.begin_abort(RING)), (Some(&None), None));
    bench.reset(0);
    assert_eq!(bench.signalled[&jobs[0]], Err(FenceError::Guilty));
}

#[test]
fn sched_4_a_job_that_comes_back_aborted_while_its_ring_is_reset_is_guilty_once() {
    let (mut bench, contexts, jobs) = overdue();
    assert!(bench.abort(Abort::Asked));
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.report_aborted();
    bench.end_reset(0);
    let expected = [(jobs[0], Err(FenceError::Guilty)), (jobs[1], Err(FenceError::Innocent))];
    assert_eq!(bench.signalled, HashMap::from(expected));
    assert_eq!(bench.scheduler.reset_stats(contexts[0]).unwrap().guilty, 1);
}

#[test]
fn recov_5_a_job_that_never_began_is_not_aborted() {
    let (mut bench, _, _) = overdue();
    bench.scheduler.suspect_began(bench.scheduler.suspect(RING).unwrap(), Began::No);
    assert_eq!(bench.scheduler.begin_abort(RING), None);
    bench.reset(0);
}

#[test]
fn sched_7_a_context_whose_jobs_are_aborted_too_often_is_banned() {
    let mut bench = Bench::new(16, 1, 1);
    let context = bench.scheduler.open_context(2).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap();
    for banned in [false, true] {
        bench.submit(queue);
        bench.pass(TIMEOUT);
        assert!(bench.abort(Abort::Done));
        assert_eq!(bench.scheduler.reset_stats(context).unwrap().banned, banned);
    }
    assert_eq!(bench.submit_spec(queue, spec(0, false)), Err(SubmitError::Banned));
}

#[test]
fn sched_5_a_loss_ends_an_abort_and_its_job_is_released_when_it_comes_back() {
    let (mut bench, _, jobs) = overdue();
    assert!(bench.abort(Abort::Asked));
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    assert_eq!(bench.signalled, HashMap::from(jobs.map(|job| (job, Err(FenceError::Lost)))));
    assert_eq!((bench.scheduler.next_deadline(), &bench.released), (None, &vec![]));
    bench.report_aborted();
    assert_eq!(bench.released, [jobs[0]]);
}

#[test]
fn sched_4_no_time_passes_for_an_abort_while_work_rests() {
    let (mut bench, _, _) = overdue();
    assert!(bench.abort(Abort::Asked));
    bench.scheduler.stop();
    bench.pass(TIMEOUT * 3);
    bench.scheduler.start(bench.now);
    assert_eq!((bench.resets.len(), bench.scheduler.next_deadline()), (1, Some(bench.now.plus(TIMEOUT))));
}

/// Work stops while the ring is still being asked.
#[test]
fn sched_4_no_time_passes_for_an_abort_that_is_answered_while_work_rests() {
    let (mut bench, _, _) = overdue();
    bench.scheduler.stop();
    assert!(bench.abort(Abort::Asked));
    assert_eq!(bench.scheduler.next_deadline(), None);
    bench.pass(TIMEOUT * 3);
    bench.scheduler.start(bench.now);
    assert_eq!((bench.resets.len(), bench.scheduler.next_deadline()), (1, Some(bench.now.plus(TIMEOUT))));
}

/// The device is reset for another ring: the job that is to be aborted hangs all the same.
#[test]
fn sched_4_a_reset_of_the_device_ends_an_abort() {
    let mut bench = Bench::new(16, 2, 8);
    let queues = [bench.queue(0), bench.queue(1)];
    let jobs = queues.map(|queue| bench.submit(queue));
    bench.pass(TIMEOUT);
    assert!(bench.abort(Abort::Asked));
    bench.fail_reset(1);
    bench.reset_device();
    assert_eq!(bench.signalled, HashMap::from(jobs.map(|job| (job, Err(FenceError::Guilty)))));
    assert_eq!((bench.scheduler.next_deadline(), bench.scheduler.job_count()), (None, 0));
}

/// Of several jobs that a ring works on, only the overdue one ends; and the ring is given no new one meanwhile.
#[test]
fn sched_4_and_11_the_others_on_an_unordered_ring_do_not_notice() {
    let mut bench = Bench::new(16, 1, 8);
    bench.scheduler.rings[0].unordered = true;
    let queues = [0; 3].map(|_| bench.queue(0));
    let limits = [Some(TIMEOUT * 5), Some(TIMEOUT), None];
    let [slow, hangs, late] = [0, 1, 2].map(|index| {
        let job = JobSpec { time_limit: limits[index], ..spec(0, false) };
        move |bench: &mut Bench| bench.submit_spec(queues[index], job).unwrap().0
    });
    let (slow, hangs) = (slow(&mut bench), hangs(&mut bench));
    bench.drain();
    let due = bench.now.plus(TIMEOUT * 5);
    bench.pass(TIMEOUT);
    let (_, seqno) = bench.scheduler.begin_abort(RING).unwrap();
    assert!(bench.scheduler.abort_answered(RING, Abort::Asked, bench.now));
    let late = late(&mut bench);
    bench.drain();
    assert_eq!(bench.running(), [slow, hangs], "a ring under suspicion is given no work");
    bench.scheduler.aborted(RING, seqno, bench.now);
    bench.drain();
    assert_eq!(bench.running(), [slow, hangs, late]);
    assert_eq!(bench.signalled, HashMap::from([(hangs, Err(FenceError::Guilty))]));
    bench.pass(TIMEOUT);
    assert_eq!(bench.suspects, [Some(hangs), Some(late)]);
    bench.scheduler.hw_done_one(RING, bench.running[2].1, bench.now);
    bench.drain();
    assert_eq!(bench.scheduler.next_deadline(), Some(due));
}

/// The time from the suspicion to the abort is the aborted job's, and nobody else's.
#[test]
fn sched_4_and_9_an_aborted_job_is_charged_until_it_is_gone() {
    let (mut bench, _, _) = overdue();
    assert!(bench.abort(Abort::Asked));
    bench.pass(TIMEOUT / 2);
    bench.report_aborted();
    bench.complete(0);
    let used = |context: usize| bench.scheduler.turns[context].turn.at[Priority::Normal as usize].used;
    assert_eq!([0, 1].map(|context| used(context) / 1000), [150_000, 0], "microseconds");
}

#[test]
fn sched_4_a_ring_whose_only_job_is_aborted_has_nothing_left() {
    let mut bench = Bench::new(4, 1, 4);
    let queue = bench.queue(0);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    assert!(bench.abort(Abort::Done));
    let numbers = bench.scheduler.numbers(RING).unwrap();
    assert_eq!(numbers.completed, numbers.issued);
}

/// The driver finds out late that the ring has not begun it, so that it runs a second time, and hangs.
#[test]
fn sched_4_a_job_that_runs_again_can_be_aborted_again() {
    let mut bench = Bench::new(4, 1, 4);
    let queue = bench.queue(0);
    let (job, _) = bench.submit_spec(queue, spec(0, true)).unwrap();
    bench.drain();
    bench.pass(TIMEOUT);
    assert!(!bench.abort(Abort::Cannot));
    bench.scheduler.suspect_began(bench.scheduler.suspect(RING).unwrap(), Began::No);
    bench.reset(0);
    assert_eq!(bench.running(), [job]);
    bench.pass(TIMEOUT);
    assert!(bench.abort(Abort::Done));
    assert_eq!(bench.signalled, HashMap::from([(job, Err(FenceError::Guilty))]));
}
