//! Letting go: a firmware that holds something of a queue is asked before that is released (SCHED-12).

use super::*;

const RING: RingIndex = RingIndex(0);
/// What a queue keeps alive, in these tests.
const KEPT: u32 = 1000;

/// Two rings; a queue of the first that a firmware holds something of.
fn holding(firmware: Firmware) -> (Bench, QueueId) {
    let mut bench = Bench::with(16, 2, Limits { firmware, let_go: TIMEOUT * 2, ..Limits::new(8, TIMEOUT) });
    let queue = bench.queue(0);
    bench.scheduler.firmware_holds(queue, KEPT).unwrap();
    (bench, queue)
}

/// The same after the firmware was told to let go, and has not answered.
fn asked(firmware: Firmware) -> (Bench, QueueId) {
    let (mut bench, queue) = holding(firmware);
    bench.kill(queue);
    bench.answer(queue, LetGo::Asked);
    (bench, queue)
}

/// The same after its time, and a last look that has found nothing.
fn kept(firmware: Firmware) -> (Bench, QueueId) {
    let (mut bench, queue) = asked(firmware);
    bench.pass(TIMEOUT * 2);
    bench.answer(queue, LetGo::Asked);
    (bench, queue)
}

impl Bench {
    fn kill(&mut self, queue: QueueId) {
        self.scheduler.kill_queue(queue);
        self.drain_all();
    }

    fn answer(&mut self, queue: QueueId, answer: LetGo) {
        self.scheduler.let_go_answered(queue, answer, self.now);
        self.drain_all();
    }

    fn firmware_lets_go(&mut self, queue: QueueId) {
        self.scheduler.firmware_let_go(queue, self.now);
        self.drain_all();
    }

    /// As [`Bench::drain`], where a payload may be a queue's, which has no fence.
    fn drain_all(&mut self) {
        self.signalled.insert(KEPT, Ok(()));
        self.drain();
    }

    fn released_queue(&self) -> bool {
        self.released.contains(&KEPT)
    }
}

#[test]
fn sched_12_a_queue_is_owned_until_the_firmware_has_answered() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.kill(queue);
    assert_eq!(bench.let_go, [(queue, false)]);
    assert_eq!(bench.scheduler.held(queue), Some(&KEPT));
    bench.answer(queue, LetGo::Asked);
    assert_eq!((bench.released_queue(), bench.free_queues()), (false, 3), "its slot stays taken");
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT * 2)));
    bench.firmware_lets_go(queue);
    assert_eq!((bench.released_queue(), bench.scheduler.held(queue)), (true, None));
    assert_eq!((bench.free_queues(), bench.scheduler.next_deadline()), (1, None));
    assert_eq!(bench.resets, []);
}

#[test]
fn sched_12_a_firmware_that_never_knew_of_the_queue_holds_nothing() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.kill(queue);
    bench.answer(queue, LetGo::Done);
    assert_eq!((bench.released_queue(), bench.free_queues()), (true, 4));
}

#[test]
fn sched_12_a_firmware_is_not_asked_while_a_job_is_on_hardware() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    let jobs = [(); 2].map(|()| bench.submit(queue));
    bench.kill(queue);
    bench.complete(0);
    assert_eq!(bench.let_go, []);
    bench.complete(0);
    assert_eq!((bench.let_go.len(), &bench.released[..]), (1, &jobs[..]), "jobs are released as ever");
}

/// A job that waits, one that has only a place, and one on a ring that is reset.
#[test]
fn sched_12_jobs_that_never_end_on_hardware_hold_up_nobody() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    let place = bench.scheduler.reserve(queue, spec(0, false)).unwrap();
    bench.submit_spec(queue, spec(1, false)).unwrap();
    bench.kill(queue);
    assert_eq!(bench.let_go.len(), 1);
    bench.answer(queue, LetGo::Done);
    assert!(bench.released_queue());
    assert_eq!(bench.free_queues(), 3, "the place belongs to it");
    bench.scheduler.cancel(place);
    assert_eq!(bench.free_queues(), 1);

    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.submit(queue);
    bench.kill(queue);
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert_eq!(bench.let_go.len(), 1, "the reset was before the question, and the driver may have set the queue up");
}

#[test]
fn sched_12_an_answer_that_overtakes_the_driver_counts() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.kill(queue);
    bench.firmware_lets_go(queue);
    assert!(bench.released_queue());
    bench.answer(queue, LetGo::Asked);
    assert_eq!((bench.scheduler.next_deadline(), bench.free_queues()), (None, 4));
}

#[test]
fn sched_12_an_answer_to_nothing_is_ignored() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.firmware_lets_go(queue);
    bench.answer(queue, LetGo::Done);
    bench.submit(queue);
    bench.kill(queue);
    bench.firmware_lets_go(queue);
    assert!(!bench.released_queue(), "a job is on the hardware");
    bench.complete(0);
    bench.answer(queue, LetGo::Done);
    assert!(bench.released_queue());
}

#[test]
fn sched_12_a_last_look_begins_after_the_limit() {
    let (mut bench, queue) = asked(Firmware::OfEachRing);
    bench.pass((TIMEOUT * 2).checked_sub(Duration::from_nanos(1)).unwrap());
    assert_eq!(bench.let_go.len(), 1);
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.let_go, [(queue, false), (queue, true)]);
    bench.answer(queue, LetGo::Done);
    assert!(bench.released_queue() && bench.resets.is_empty());
}

#[test]
fn sched_12_a_firmware_that_never_answers_is_reset_with_its_ring() {
    let (mut bench, queue) = kept(Firmware::OfEachRing);
    assert_eq!((&bench.resets[..], &bench.suspects[..]), (&[RING][..], &[None][..]));
    assert!(!bench.released_queue());
    bench.begin_reset(0);
    bench.scheduler.reset_done(RING, true);
    bench.drain_all();
    assert!(bench.released_queue());
    assert_eq!((bench.free_queues(), bench.scheduler.held(queue)), (4, None));
}

/// Others' jobs are innocent of that, and run again.
#[test]
fn sched_12_and_6_nobody_is_guilty_of_a_silent_firmware() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    let context = bench.scheduler.open_context(1).unwrap();
    let other = bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap();
    let (job, _) = bench.submit_spec(other, spec(0, true)).unwrap();
    bench.kill(queue);
    bench.answer(queue, LetGo::Cannot);
    assert_eq!(bench.resets, [RING], "it cannot be asked");
    bench.begin_reset(0);
    bench.running.clear();
    bench.scheduler.reset_done(RING, true);
    bench.drain_all();
    assert_eq!(bench.running(), [job]);
    assert_eq!(bench.scheduler.reset_stats(context).unwrap().guilty, 0);
}

#[test]
fn sched_12_an_answer_before_the_reset_begins_spares_it() {
    let (mut bench, queue) = kept(Firmware::OfEachRing);
    bench.firmware_lets_go(queue);
    assert!(bench.released_queue());
    assert_eq!(bench.scheduler.begin_reset(RING), None);

    let (mut bench, queue) = kept(Firmware::OfTheDevice);
    assert_eq!((bench.device_resets, &bench.resets[..]), (1, &[][..]));
    bench.firmware_lets_go(queue);
    assert!(bench.released_queue() && !bench.scheduler.begin_device_reset());
    let other = bench.queue(1);
    bench.submit(other);
    assert_eq!(bench.running().len(), 1, "work goes on");
}

#[test]
fn sched_12_a_firmware_of_the_device_survives_the_reset_of_a_ring() {
    let (mut bench, queue) = asked(Firmware::OfTheDevice);
    let other = bench.queue(0);
    bench.submit(other);
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert!(!bench.released_queue());
    bench.pass(TIMEOUT);
    bench.answer(queue, LetGo::Asked);
    assert_eq!(bench.device_resets, 1);
    assert!(bench.scheduler.begin_device_reset());
    bench.scheduler.device_reset_done(true);
    bench.drain_all();
    assert!(bench.released_queue());
}

#[test]
fn sched_12_a_reset_for_another_reason_counts_as_the_answer() {
    let (mut bench, _) = asked(Firmware::OfEachRing);
    let other = bench.queue(0);
    bench.submit(other);
    bench.pass(TIMEOUT);
    bench.reset(0);
    assert!(bench.released_queue());
    assert_eq!(bench.scheduler.next_deadline(), None);
}

/// Nor does what is in vain repeat itself for ever: the ring, the device, then the device is given up.
#[test]
fn sched_12_and_4_a_firmware_that_goes_on_being_silent_is_given_up() {
    let (mut bench, _) = kept(Firmware::OfEachRing);
    bench.begin_reset(0);
    bench.scheduler.reset_done(RING, true);
    bench.drain_all();
    for expected in [(1, false), (1, true)] {
        let queue = bench.queue(0);
        bench.scheduler.firmware_holds(queue, bench.next + 2000).unwrap();
        bench.next += 1;
        bench.scheduler.kill_queue(queue);
        bench.drain();
        bench.answer(queue, LetGo::Cannot);
        assert_eq!(bench.scheduler.begin_reset(RING), None, "it was in vain");
        bench.drain();
        if bench.scheduler.begin_device_reset() {
            bench.scheduler.device_reset_done(true);
        }
        bench.signalled.extend([(2000, Ok(())), (2001, Ok(()))]);
        bench.drain();
        assert_eq!((bench.device_resets, bench.gave_up), expected);
    }

    let (mut bench, _) = kept(Firmware::OfTheDevice);
    assert!(bench.scheduler.begin_device_reset());
    bench.scheduler.device_reset_done(true);
    bench.drain_all();
    let queue = bench.queue(0);
    bench.scheduler.firmware_holds(queue, 2000).unwrap();
    bench.kill(queue);
    bench.answer(queue, LetGo::Cannot);
    assert_eq!((bench.device_resets, bench.gave_up), (1, true));
}

#[test]
fn sched_12_and_5_a_loss_waits_for_no_answer_and_releases_at_the_end() {
    for before in 0..3 {
        let (mut bench, queue) = match before {
            0 => holding(Firmware::OfEachRing),
            1 => asked(Firmware::OfEachRing),
            _ => kept(Firmware::OfEachRing),
        };
        bench.scheduler.lose(FenceError::Lost);
        bench.kill(queue);
        let questions = bench.let_go.len();
        assert_eq!((bench.scheduler.next_deadline(), bench.released_queue()), (None, false));
        bench.pass(TIMEOUT * 5);
        assert_eq!(bench.let_go.len(), questions, "nobody is asked any more");
        bench.scheduler.hardware_gone();
        bench.drain_all();
        assert_eq!((bench.released_queue(), bench.free_queues()), (true, 4));
    }
}

/// The user's handle may outlive the hardware.
#[test]
fn sched_12_and_2_what_an_open_queue_keeps_is_released_when_the_hardware_is_gone() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.scheduler.tear_down();
    bench.scheduler.hardware_gone();
    bench.drain_all();
    assert!(bench.released_queue());
    assert_eq!(bench.scheduler.firmware_holds(queue, 7), Err(7), "too late to tell a firmware");
    bench.kill(queue);
    assert_eq!(bench.free_queues(), 4);
}

#[test]
fn sched_12_a_firmware_that_answers_after_the_loss_releases_at_once() {
    let (mut bench, queue) = asked(Firmware::OfEachRing);
    bench.scheduler.lose(FenceError::Lost);
    bench.firmware_lets_go(queue);
    assert!(bench.released_queue());
}

#[test]
fn sched_12_no_time_passes_for_a_firmware_while_work_rests() {
    let (mut bench, queue) = asked(Firmware::OfEachRing);
    bench.scheduler.stop();
    bench.pass(TIMEOUT * 5);
    assert_eq!((bench.let_go.len(), bench.scheduler.next_deadline()), (1, None));
    bench.scheduler.start(bench.now);
    assert_eq!(bench.scheduler.next_deadline(), Some(bench.now.plus(TIMEOUT * 2)));
    bench.firmware_lets_go(queue);
    assert!(bench.released_queue());
}

#[test]
fn sched_12_a_queue_that_moved_stays_with_the_firmware_that_was_told() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    bench.scheduler.move_queue(queue, RingIndex(1)).unwrap();
    bench.kill(queue);
    bench.answer(queue, LetGo::Cannot);
    assert_eq!(bench.resets, [RING]);
}

#[test]
fn sched_12_a_firmware_is_told_of_a_queue_once() {
    let (mut bench, queue) = holding(Firmware::OfEachRing);
    assert_eq!(bench.scheduler.firmware_holds(queue, 7), Err(7));
    let closed = bench.queue(0);
    bench.kill(closed);
    assert_eq!(bench.scheduler.firmware_holds(closed, 7), Err(7));
}

/// A context counts as long as a firmware holds something of one of its queues.
#[test]
fn sched_12_and_9_what_a_firmware_holds_counts_for_the_share_of_its_context() {
    let mut bench = Bench::new(4, 1, 4);
    let context = bench.scheduler.open_context(1).unwrap();
    let queue = bench.scheduler.open_queue_of(context, RING, Priority::Normal).unwrap();
    bench.scheduler.firmware_holds(queue, KEPT).unwrap();
    bench.scheduler.close_context(context);
    bench.kill(queue);
    assert!(bench.scheduler.reset_stats(context).is_some());
    bench.answer(queue, LetGo::Done);
    assert!(bench.scheduler.reset_stats(context).is_none());
}
