//! Whose fault a reset was, and who may not go on: one promise per test.

use super::*;
use crate::errno::Errno;

impl Bench {
    fn queue_of(&mut self, context: ContextId, ring: u8) -> QueueId {
        self.scheduler.open_queue_of(context, RingIndex(ring), Priority::Normal).unwrap()
    }

    /// The oldest job of a ring hangs, and the ring is reset.
    fn hang(&mut self, ring: u8) {
        self.scheduler.faulted(RingIndex(ring), self.scheduler.rings[usize::from(ring)].completed, self.now);
        self.drain();
        self.reset(ring);
    }

    fn stats(&self, context: ContextId) -> (u32, u32, bool) {
        let ResetStats { guilty, innocent, banned, .. } = self.scheduler.reset_stats(context).unwrap();
        (guilty, innocent, banned)
    }
}

#[test]
fn sched_7_a_context_past_its_limit_is_refused_and_no_other_is() {
    let mut bench = Bench::new(16, 2, 8);
    let (bad, good) = (bench.scheduler.open_context(2).unwrap(), bench.scheduler.open_context(2).unwrap());
    let (first, second, fine) = (bench.queue_of(bad, 0), bench.queue_of(bad, 1), bench.queue_of(good, 0));
    let of_none = bench.queue(0);
    bench.submit(first);
    bench.hang(0);
    assert_eq!(bench.stats(bad), (1, 0, false));
    bench.submit(second);
    bench.hang(1);
    assert_eq!(bench.stats(bad), (2, 0, true));
    for queue in [first, second] {
        assert_eq!(bench.scheduler.reserve(queue, spec(0, false)).unwrap_err(), SubmitError::Banned);
    }
    assert_eq!(Errno::from(SubmitError::Banned), Errno::ECANCELED);
    assert_eq!(bench.stats(good), (0, 0, false));
    let (of_good, other) = (bench.submit(fine), bench.submit(of_none));
    assert_eq!(bench.running(), [of_good, other]);
    // A queue more is no way out of it; another context is.
    bench.scheduler.kill_queue(first);
    let again = bench.queue_of(bad, 0);
    assert_eq!(bench.scheduler.reserve(again, spec(0, false)).unwrap_err(), SubmitError::Banned);
}

#[test]
fn sched_7_a_reset_counts_once_per_context_and_the_guilty_is_no_victim() {
    let mut bench = Bench::new(16, 2, 8);
    let (bad, good) = (bench.scheduler.open_context(9).unwrap(), bench.scheduler.open_context(9).unwrap());
    let (bads, goods) = (bench.queue_of(bad, 0), bench.queue_of(good, 0));
    for queue in [bads, bads, goods, goods] {
        bench.submit(queue);
    }
    bench.hang(0);
    assert_eq!((bench.stats(bad), bench.stats(good)), ((1, 0, false), (0, 1, false)));
    for queue in [goods, bads, bads] {
        bench.submit(queue);
    }
    bench.hang(0);
    assert_eq!((bench.stats(bad), bench.stats(good)), ((1, 1, false), (1, 1, false)));
}

#[test]
fn sched_7_who_runs_again_or_was_done_lost_nothing() {
    let mut bench = Bench::new(16, 2, 8);
    let (bad, good) = (bench.scheduler.open_context(9).unwrap(), bench.scheduler.open_context(9).unwrap());
    let (bads, goods, other_ring) = (bench.queue_of(bad, 0), bench.queue_of(good, 0), bench.queue_of(good, 1));
    let done = bench.submit(goods);
    bench.complete(0);
    bench.submit(bads);
    bench.submit_spec(goods, spec(0, true)).unwrap();
    bench.submit(other_ring);
    bench.drain();
    bench.hang(0);
    assert_eq!((bench.stats(bad), bench.stats(good)), ((1, 0, false), (0, 0, false)));
    assert_eq!(bench.signalled[&done], Ok(()));
}

#[test]
fn sched_7_a_suspect_that_got_through_is_not_counted_as_guilty() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(1).unwrap();
    let queue = bench.queue_of(context, 0);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.complete(0);
    bench.end_reset(0);
    assert_eq!(bench.stats(context), (0, 0, false));
    // Nobody is guilty here, but the second job is a victim.
    bench.submit(queue);
    bench.submit(queue);
    bench.pass(TIMEOUT);
    bench.begin_reset(0);
    bench.complete(0);
    bench.end_reset(0);
    assert_eq!(bench.stats(context), (0, 1, false));
}

#[test]
fn sched_7_what_a_banned_context_has_waiting_is_canceled_and_holds_nobody_up() {
    let mut bench = Bench::new(16, 1, 2);
    let (bad, good) = (bench.scheduler.open_context(1).unwrap(), bench.scheduler.open_context(1).unwrap());
    let (bads, goods) = (bench.queue_of(bad, 0), bench.queue_of(good, 0));
    let hung = bench.submit(bads);
    let (lost, _) = bench.submit_spec(bads, spec(0, true)).unwrap();
    let (large, _) =
        bench.submit_spec(bads, JobSpec { cost: 2, dependencies: 0, restartable: true, ..JobSpec::default() }).unwrap();
    let reserved = bench.scheduler.reserve(bads, spec(0, false)).unwrap();
    bench.drain();
    let fine: Vec<u32> = (0..2).map(|_| bench.submit(goods)).collect();
    bench.hang(0);
    // SCHED-3: what was reserved before still commits.
    bench.scheduler.commit(reserved, 90, 90);
    bench.drain();
    assert_eq!(bench.running(), fine, "although there are no credits for the large one");
    let ends = HashMap::from([
        (hung, Err(FenceError::Guilty)),
        (lost, Err(FenceError::Innocent)),
        (large, Err(FenceError::Canceled)),
        (90, Err(FenceError::Canceled)),
    ]);
    assert_eq!(bench.signalled, ends);
}

#[test]
fn sched_7_a_context_lives_as_long_as_its_queues_do_and_its_handle_goes_stale() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(1).unwrap();
    let queue = bench.queue_of(context, 0);
    let (job, other) = (bench.submit(queue), bench.scheduler.open_context(1).unwrap());
    assert_eq!(bench.scheduler.open_context(1), None);
    bench.scheduler.close_context(context);
    bench.scheduler.close_context(context);
    assert_eq!(bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal), Err(QueueError::StaleContext));
    bench.scheduler.kill_queue(queue);
    assert_eq!(bench.stats(context), (0, 0, false), "its job is on the ring");
    bench.hang(0);
    assert_eq!(bench.signalled[&job], Err(FenceError::Guilty));
    assert_eq!(bench.scheduler.reset_stats(context), None);
    // The next one in the same place is another: neither banned nor reached by the old handle.
    let next = bench.scheduler.open_context(1).unwrap();
    assert_eq!((bench.stats(next), bench.stats(other)), ((0, 0, false), (0, 0, false)));
    bench.scheduler.close_context(context);
    assert_eq!(bench.scheduler.open_queue_of(context, RingIndex(0), Priority::Normal), Err(QueueError::StaleContext));
    let queue = bench.queue_of(next, 0);
    bench.submit(queue);
    assert_eq!(bench.running.len(), 1);
}

#[test]
fn sched_7_a_refused_queue_costs_a_context_nothing() {
    let mut bench = Bench::new(16, 1, 8);
    let context = bench.scheduler.open_context(1).unwrap();
    assert_eq!(bench.scheduler.open_queue_of(context, RingIndex(7), Priority::Normal), Err(QueueError::NoSuchRing));
    bench.scheduler.close_context(context);
    assert_eq!(core::iter::from_fn(|| bench.scheduler.open_context(1)).count(), 2);
}
