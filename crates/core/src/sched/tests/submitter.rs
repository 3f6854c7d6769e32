//! Jobs that are run by whoever has submitted them, if nothing is in their way.

use super::*;

const RING: RingIndex = RingIndex(0);

impl Bench {
    /// Submits a job, and runs it if the scheduler says so. Gives its number if it was.
    fn submit_and_run(&mut self, queue: QueueId, spec: JobSpec) -> Option<u32> {
        let (number, job) = self.submit_spec(queue, spec).unwrap();
        let action = self.scheduler.run_now(job)?;
        let Action::Run { job: run, ring, seqno, .. } = action else { panic!("{action:?}") };
        assert_eq!((run, *self.scheduler.payload(job).unwrap()), (job, number));
        self.running.push((ring, seqno, number));
        self.scheduler.started(ring, seqno, self.now);
        Some(number)
    }
}

#[test]
fn sched_8_a_job_that_nothing_is_in_the_way_of_may_be_run_at_once() {
    let mut bench = Bench::new(4, 1, 2);
    let queue = bench.queue(0);
    let jobs = [(); 2].map(|()| bench.submit_and_run(queue, spec(0, false)).unwrap());
    assert!(bench.scheduler.poll_action().is_none(), "it was handed out once");
    assert_eq!(bench.running(), jobs);
    bench.complete(0);
    bench.complete(0);
    assert_eq!((bench.signalled.len(), bench.scheduler.job_count()), (2, 0));
}

#[test]
fn sched_8_a_job_waits_for_its_dependencies_its_queue_and_credits_whoever_would_run_it() {
    let mut bench = Bench::new(16, 1, 2);
    let [first, second, third] = [(); 3].map(|()| bench.queue(0));
    assert_eq!(bench.submit_and_run(first, spec(1, false)), None, "it waits for a fence");
    assert_eq!(bench.submit_and_run(first, spec(0, false)), None, "it stands behind another");
    assert!(bench.submit_and_run(second, spec(0, false)).is_some());
    assert_eq!(bench.submit_and_run(third, JobSpec { cost: 2, ..spec(0, false) }), None, "the ring has one credit");
    assert_eq!(bench.submit_and_run(second, spec(0, false)), None, "another queue came before");
    bench.drain();
    assert_eq!(bench.running().len(), 1, "nor does the worker");
}

#[test]
fn sched_9_a_job_takes_no_turn_that_is_due_to_another_context() {
    let mut bench = Bench::new(16, 1, 2);
    let queues = [Priority::Low, Priority::High, Priority::Normal].map(|priority| {
        let context = bench.scheduler.open_context(3);
        match context {
            Some(context) => bench.scheduler.open_queue_of(context, RING, priority).unwrap(),
            None => bench.scheduler.open_queue(RING, priority).unwrap(),
        }
    });
    let (high, _) = bench.submit_spec(queues[1], spec(0, false)).unwrap();
    assert_eq!(bench.submit_and_run(queues[0], spec(0, false)), None);
    assert_eq!(bench.submit_and_run(queues[2], spec(0, false)), None);
    bench.drain();
    assert_eq!(bench.running()[0], high);
}

#[test]
fn sched_4_nothing_is_run_where_something_is_wrong() {
    let submit = |bench: &mut Bench, ring| {
        let queue = bench.queue(ring);
        bench.submit_and_run(queue, spec(0, false)).is_some()
    };
    let mut bench = Bench::new(16, 2, 4);
    assert!(submit(&mut bench, 0));
    bench.pass(TIMEOUT);
    assert!(!submit(&mut bench, 0), "the ring is to be reset");
    assert!(submit(&mut bench, 1), "this one is not");
    bench.scheduler.stop();
    assert!(!submit(&mut bench, 1), "work rests");

    let mut bench = Bench::new(16, 1, 4);
    let queue = bench.queue(0);
    let place = bench.scheduler.reserve(queue, spec(0, false)).unwrap();
    bench.scheduler.lose(FenceError::Lost);
    let job = bench.scheduler.commit(place, 1, 1);
    assert!(bench.scheduler.run_now(job).is_none(), "the device is lost");
}

#[test]
fn sched_7_a_banned_context_runs_nothing_itself() {
    let mut bench = Bench::new(16, 1, 4);
    let context = bench.scheduler.open_context(1).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap();
    let place = bench.scheduler.reserve(queue, spec(0, false)).unwrap();
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.reset(0);
    let job = bench.scheduler.commit(place, 7, 7);
    assert!(bench.scheduler.run_now(job).is_none());
    bench.drain();
    assert_eq!(bench.signalled[&7], Err(FenceError::Canceled));
}

#[test]
fn sched_8_a_queue_without_an_event_slot_waits_for_its_turn() {
    let mut bench = Bench::with(16, 1, Limits { event_slots: Some(1), ..Limits::new(8, TIMEOUT) });
    let queues = [(); 2].map(|()| bench.queue(0));
    assert!(bench.submit_and_run(queues[0], spec(0, false)).is_some());
    assert_eq!(bench.submit_and_run(queues[1], spec(0, false)), None);
    bench.drain();
    assert_eq!(bench.running().len(), 1);
    bench.complete(0);
    assert_eq!(bench.running().len(), 1);
}
