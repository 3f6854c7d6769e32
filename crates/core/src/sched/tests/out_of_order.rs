//! Completion out of order: one rule per test (SCHED-11).

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// One ring with so many credits, and a queue for each of them.
fn bench(credits: u32, unordered: bool) -> (Bench, Vec<QueueId>) {
    let mut stores = stores([16, 8, 1, 2]);
    let ring = RingSlot::with_credits(credits);
    stores.rings = vec![if unordered { ring.unordered() } else { ring }];
    let mut bench = Bench { scheduler: Scheduler::new(stores, Limits::new(1, TIMEOUT)), ..Bench::new(1, 1, 1) };
    let queues = (0..credits).map(|_| bench.queue(0)).collect();
    (bench, queues)
}

fn job(time_limit: Option<Duration>, restartable: bool) -> JobSpec {
    JobSpec { cost: 1, time_limit, restartable, ..JobSpec::default() }
}

impl Bench {
    fn submit_job(&mut self, queue: QueueId, spec: JobSpec) -> u32 {
        let (job, _) = self.submit_spec(queue, spec).unwrap();
        self.drain();
        job
    }

    fn number_of(&self, job: u32) -> Seqno {
        self.running.iter().find(|(.., running)| *running == job).unwrap().1
    }

    /// The ring reports one number, and no other.
    fn report_one(&mut self, seqno: Seqno) {
        self.scheduler.hw_done_one(RingIndex(0), seqno, self.now);
        self.drain();
    }

    fn complete_one(&mut self, job: u32) {
        let seqno = self.number_of(job);
        self.running.retain(|(.., running)| *running != job);
        self.report_one(seqno);
    }
}

#[test]
fn sched_11_one_job_completes_and_those_before_and_behind_it_stay() {
    for unordered in [false, true] {
        let (mut bench, queues) = bench(3, unordered);
        let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
        let waits = bench.submit(queues[1]);
        assert_eq!(bench.running(), jobs, "the ring is full");
        bench.complete_one(jobs[1]);
        assert_eq!((&bench.signalled, &bench.released), (&HashMap::from([(jobs[1], Ok(()))]), &vec![jobs[1]]));
        assert_eq!(bench.running(), [jobs[0], jobs[2], waits], "its credit is the next job's");
        for job in [waits, jobs[2], jobs[0]] {
            bench.complete_one(job);
        }
        assert_eq!(bench.released, [jobs[1], waits, jobs[2], jobs[0]]);
        assert_eq!((bench.scheduler.job_count(), bench.scheduler.next_deadline()), (0, None));
    }
}

#[test]
fn sched_11_a_number_that_is_no_jobs_on_the_ring_completes_nothing() {
    let (mut bench, queues) = bench(2, false);
    let jobs = [0, 1].map(|queue| bench.submit_job(queues[queue], job(None, true)));
    let [first, second] = jobs.map(|job| bench.number_of(job));
    bench.complete_one(jobs[1]);
    // Twice, never given out, and of the reset that never was.
    for seqno in [second, second.next(), second.next().next(), Seqno::ZERO] {
        bench.report_one(seqno);
    }
    assert_eq!(bench.signalled, HashMap::from([(jobs[1], Ok(()))]));
    // The first runs again with another number: the old one is of the past.
    bench.pass(TIMEOUT);
    bench.scheduler.suspect_began(bench.scheduler.suspect(RingIndex(0)).unwrap(), Began::No);
    bench.begin_reset(0);
    bench.report_one(bench.reset_numbers[0]);
    bench.report_one(bench.reset_numbers[0].next());
    bench.end_reset(0);
    assert_eq!(bench.running(), [jobs[0]]);
    bench.report_one(first);
    assert_eq!(bench.signalled.len(), 1, "a report from before the reset");
    bench.complete_one(jobs[0]);
    assert_eq!(bench.signalled[&jobs[0]], Ok(()));
}

#[test]
fn sched_11_a_job_that_completes_during_a_reset_is_neither_guilty_nor_runs_again() {
    let (mut bench, queues) = bench(3, false);
    let jobs = [0, 1, 2].map(|queue| bench.submit_job(queues[queue], job(None, true)));
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    for job in [jobs[2], jobs[0]] {
        bench.report_one(bench.number_of(job));
    }
    bench.end_reset(0);
    assert_eq!(bench.signalled, HashMap::from([(jobs[0], Ok(())), (jobs[2], Ok(()))]));
    assert_eq!(bench.running(), [jobs[1]]);
}

#[test]
fn sched_11_jobs_of_a_queue_complete_in_their_order_whatever_the_ring_says() {
    let (mut bench, queues) = bench(3, false);
    let [earlier, later] = [0; 2].map(|_| bench.submit(queues[0]));
    let other = bench.submit(queues[1]);
    bench.report_one(bench.number_of(later));
    assert!(bench.signalled.is_empty(), "it cannot be true");
    bench.complete_one(other);
    bench.complete_one(earlier);
    bench.complete_one(later);
    assert_eq!(bench.released, [other, earlier, later]);
}

#[test]
fn sched_11_an_unordered_ring_has_one_job_of_each_queue() {
    let (mut bench, queues) = bench(4, true);
    let jobs = [0; 3].map(|_| bench.submit(queues[0]));
    let other = bench.submit(queues[1]);
    assert_eq!(bench.running(), [jobs[0], other], "they may run in any order");
    bench.complete_one(other);
    for (index, job) in jobs.into_iter().enumerate() {
        assert_eq!(bench.running(), [job]);
        bench.complete_one(job);
        assert_eq!(bench.released.len(), index + 2);
    }
}

/// Also when it comes from a ring that keeps the order, or goes to one.
#[test]
fn sched_11_a_queue_that_is_moved_keeps_its_order() {
    let mut stores = stores([16, 4, 2, 2]);
    stores.rings[1] = RingSlot::default().unordered();
    let mut bench = Bench { scheduler: Scheduler::new(stores, Limits::new(4, TIMEOUT)), ..Bench::new(1, 1, 1) };
    let queue = bench.queue(0);
    let jobs = [0; 2].map(|_| bench.submit(queue));
    bench.scheduler.move_queue(queue, RingIndex(1)).unwrap();
    let moved = [0; 2].map(|_| bench.submit(queue));
    assert_eq!(bench.running(), jobs);
    bench.complete(0);
    bench.complete(0);
    assert_eq!(bench.running(), [moved[0]]);
    bench.scheduler.move_queue(queue, RingIndex(0)).unwrap();
    bench.drain();
    assert_eq!(bench.running(), [moved[0]]);
    bench.complete(1);
    assert_eq!(bench.running(), [moved[1]]);
}

#[test]
fn sched_11_what_completes_behind_the_oldest_does_not_renew_its_time() {
    let (mut bench, queues) = bench(3, false);
    let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
    let due = bench.now.plus(TIMEOUT);
    bench.pass(TIMEOUT / 2);
    bench.complete_one(jobs[2]);
    assert_eq!(bench.scheduler.next_deadline(), Some(due));
    bench.pass(TIMEOUT / 2);
    assert_eq!(bench.suspects, [Some(jobs[0])]);
    // Nor does it clear it.
    bench.report_one(bench.number_of(jobs[1]));
    bench.reset(0);
    assert_eq!((bench.signalled[&jobs[0]], bench.signalled[&jobs[1]]), (Err(FenceError::Guilty), Ok(())));
}

#[test]
fn sched_11_the_next_oldest_that_is_left_has_its_whole_time_on_a_ring_that_keeps_the_order() {
    let (mut bench, queues) = bench(3, false);
    let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
    bench.complete_one(jobs[1]);
    bench.pass(TIMEOUT / 2);
    bench.complete_one(jobs[0]);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.pass(TIMEOUT);
    assert_eq!(bench.suspects, [Some(jobs[2])]);
}

#[test]
fn sched_11_on_an_unordered_ring_the_time_of_each_job_begins_when_the_ring_has_it() {
    let (mut bench, queues) = bench(3, true);
    let slow = bench.submit_job(queues[0], job(Some(HOUR), true));
    bench.pass(TIMEOUT / 2);
    let hangs = bench.submit_job(queues[1], job(Some(TIMEOUT), true));
    let due = bench.now.plus(TIMEOUT);
    bench.pass(TIMEOUT / 2);
    let other = bench.submit_job(queues[2], job(None, false));
    assert_eq!(bench.scheduler.next_deadline(), Some(due), "a job behind an older one is waited for no longer");
    bench.pass(TIMEOUT / 2);
    assert_eq!(bench.suspects, [Some(hangs)]);
    bench.reset(0);
    let lost = HashMap::from([(hangs, Err(FenceError::Guilty)), (other, Err(FenceError::Innocent))]);
    assert_eq!((&bench.signalled, bench.running()), (&lost, vec![slow]), "the oldest is innocent");
}

#[test]
fn sched_11_a_suspect_of_an_unordered_ring_that_completes_is_no_hang_and_the_others_keep_their_time() {
    let (mut bench, queues) = bench(3, true);
    let slow = bench.submit_job(queues[0], job(Some(TIMEOUT * 3), false));
    let late = bench.submit_job(queues[1], job(None, false));
    let due = bench.now.plus(TIMEOUT * 3);
    bench.pass(TIMEOUT);
    assert_eq!(bench.suspects, [Some(late)]);
    bench.complete_one(late);
    assert_eq!((bench.signalled[&late], bench.scheduler.begin_reset(RingIndex(0))), (Ok(()), None));
    assert_eq!(bench.scheduler.next_deadline(), Some(due));
    bench.pass(TIMEOUT * 2);
    assert_eq!(bench.suspects, [Some(late), Some(slow)]);
}

#[test]
fn sched_11_extensions_are_each_jobs_own() {
    let (mut bench, queues) = bench(2, true);
    bench.scheduler.limits.extensions = 1;
    let jobs = [0, 1].map(|queue| bench.submit_job(queues[queue], job(None, false)));
    bench.pass(TIMEOUT);
    // The one after the other, each once.
    for _ in jobs {
        assert!(bench.scheduler.still_running(RingIndex(0), bench.now));
        bench.pass(Duration::ZERO);
    }
    assert_eq!((&bench.suspects, bench.resets.len()), (&jobs.map(Some).to_vec(), 2));
    bench.pass(TIMEOUT);
    assert!(!bench.scheduler.still_running(RingIndex(0), bench.now), "it has had its extension");
}

#[test]
fn sched_11_a_stop_gives_all_jobs_of_an_unordered_ring_their_whole_time_again() {
    let (mut bench, queues) = bench(2, true);
    let jobs = [Some(HOUR), None].map(|limit| job(limit, false));
    let jobs = [0, 1].map(|index| bench.submit_job(queues[index], jobs[index]));
    bench.scheduler.stop();
    bench.pass(HOUR);
    assert!(bench.suspects.is_empty());
    bench.scheduler.start(bench.now);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
    bench.complete_one(jobs[1]);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(HOUR)));
}

#[test]
fn sched_11_what_completes_was_there_and_so_was_what_was_written_before_it() {
    let (mut bench, queues) = bench(2, false);
    for queue in &queues {
        bench.submit_spec(*queue, job(None, false)).unwrap();
    }
    let mut numbers = vec![];
    while let Some(Action::Run { seqno, .. }) = bench.scheduler.poll_action() {
        numbers.push(seqno);
    }
    assert_eq!(bench.scheduler.next_deadline(), None);
    // Told before `run` has returned.
    bench.scheduler.hw_done_one(RingIndex(0), numbers[1], bench.now);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT)));
}

#[test]
fn sched_11_a_number_that_is_still_in_use_is_not_given_out_again() {
    let (mut bench, queues) = bench(3, false);
    let jobs = [0, 1].map(|queue| bench.submit(queues[queue]));
    let used = bench.number_of(jobs[1]);
    let (_, refused) = bench.submit_spec(queues[2], job(None, false)).unwrap();
    assert!(matches!(bench.scheduler.poll_action(), Some(Action::Run { .. })));
    bench.complete_one(jobs[1]);
    bench.scheduler.start_failed(refused);
    let next = bench.submit(queues[1]);
    assert!(bench.number_of(next).is_after(used));
    // A second report of the same completion.
    bench.report_one(used);
    assert!(!bench.signalled.contains_key(&next));
}

#[test]
fn sched_11_a_number_up_to_which_all_is_done_completes_what_single_reports_have_left() {
    let (mut bench, queues) = bench(4, false);
    let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
    let third = bench.number_of(jobs[2]);
    bench.complete_one(jobs[2]);
    bench.scheduler.hw_done(RingIndex(0), third, bench.now);
    bench.drain();
    assert_eq!(bench.released, [jobs[2], jobs[0], jobs[1]]);
    bench.complete_one(jobs[3]);
    let completed = bench.scheduler.numbers(RingIndex(0)).unwrap();
    assert_eq!(completed.completed, completed.issued, "the ring has nothing left");
}

#[test]
fn sched_11_sequence_numbers_wrap() {
    let (mut bench, queues) = bench(4, true);
    let last = Seqno::from_register(u32::MAX - 3).unwrap();
    let slot = &mut bench.scheduler.rings[0];
    (slot.issued, slot.completed, slot.given) = (last, last, last);
    for _ in 0..3 {
        let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
        for job in [jobs[3], jobs[0], jobs[2], jobs[1]] {
            bench.complete_one(job);
            assert_eq!((bench.signalled[&job], bench.released.last()), (Ok(()), Some(&job)));
        }
    }
    assert!(bench.scheduler.numbers(RingIndex(0)).unwrap().issued.value() < 16, "they have wrapped");
}

#[test]
fn sched_2_and_11_after_a_loss_each_job_is_released_when_the_ring_is_done_with_it() {
    let (mut bench, queues) = bench(3, true);
    let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
    let numbers: Vec<Seqno> = jobs.iter().map(|job| bench.number_of(*job)).collect();
    bench.scheduler.tear_down();
    // Its fence is owed still: it is released with the others at the end.
    bench.scheduler.hw_done_one(RingIndex(0), numbers[0], bench.now);
    bench.drain();
    assert_eq!((bench.signalled.len(), bench.released.len()), (3, 0));
    for seqno in [numbers[2], numbers[2], numbers[2].next()] {
        bench.report_one(seqno);
        assert_eq!(bench.released, [jobs[2]]);
    }
    bench.scheduler.hardware_gone();
    bench.drain();
    assert_eq!((bench.released.len(), bench.scheduler.job_count()), (3, 0));
}

#[test]
fn sched_11_what_a_device_reports_during_its_reset_means_nothing() {
    let (mut bench, queues) = bench(2, true);
    let jobs = [0, 1].map(|queue| bench.submit_job(queues[queue], job(None, true)));
    let number = bench.number_of(jobs[1]);
    bench.pass(TIMEOUT);
    bench.fail_reset(0);
    assert!(bench.scheduler.begin_device_reset());
    bench.report_one(number);
    assert!(bench.signalled.is_empty());
    bench.end_device_reset();
    assert_eq!(bench.running(), [jobs[1]]);
    assert_eq!(bench.signalled, HashMap::from([(jobs[0], Err(FenceError::Guilty))]));
}

#[test]
fn sched_11_a_completion_elsewhere_on_the_ring_is_progress_and_acquits_nobody_else() {
    let (mut bench, queues) = bench(2, false);
    let jobs = [0, 1].map(|queue| bench.submit_job(queues[queue], job(None, true)));
    bench.pass(TIMEOUT);
    bench.scheduler.suspect_began(bench.scheduler.suspect(RingIndex(0)).unwrap(), Began::No);
    bench.report_one(bench.number_of(jobs[1]));
    bench.reset(0);
    assert_eq!(bench.running(), [jobs[0]], "the driver's word about it counts still");
    // A second reset without progress would be in vain.
    let other = bench.submit_job(queues[1], job(None, true));
    bench.complete_one(other);
    bench.pass(TIMEOUT);
    bench.scheduler.suspect_began(bench.scheduler.suspect(RingIndex(0)).unwrap(), Began::No);
    bench.reset(0);
    assert_eq!((bench.running(), bench.device_resets), (vec![jobs[0]], 0));
}

/// A job behind the suspect takes no time of the suspect's, and is charged its own.
#[test]
fn sched_9_and_11_a_ring_charges_all_of_its_time_and_none_of_it_twice() {
    let (mut bench, queues) = bench(3, true);
    let jobs: Vec<u32> = queues.iter().map(|queue| bench.submit(*queue)).collect();
    for (job, millis) in [(jobs[2], 3), (jobs[0], 5), (jobs[1], 7)] {
        bench.pass(Duration::from_millis(millis));
        bench.complete_one(job);
    }
    let used = bench.scheduler.rings[0].turns.unowned.at[Priority::Normal as usize].used;
    assert_eq!(used / 1000, 15_000, "microseconds");
}

/// The oldest of a ring is found at once, and a ring that keeps the order costs what it did.
#[test]
fn sched_13_the_oldest_job_completes_alone_however_many_are_on_the_ring() {
    let cost = |count: u32| {
        let limits = Limits::new(count, TIMEOUT);
        let mut scheduler: TestScheduler = Scheduler::new(stores([count as usize, 1, 1, 0]), limits);
        let queue = scheduler.open_queue(RingIndex(0), Priority::Normal).unwrap();
        for _ in 0..count {
            let reservation = scheduler.reserve(queue, spec(0, false)).unwrap();
            scheduler.commit(reservation, 0, 0);
        }
        while scheduler.poll_action().is_some() {}
        steps(|| {
            for number in 1..=count {
                let seqno = Seqno::from_register(number).unwrap();
                scheduler.hw_done_one(RingIndex(0), seqno, Timestamp::default());
                while scheduler.poll_action().is_some() {}
            }
        }) / u64::from(count)
    };
    assert_eq!(cost(10), cost(1000));
}
