//! The protocol of event slots (S3 in docs/conformance.md): their owners, and when they are given back.

use super::*;

/// A scheduler whose firmware has so many event slots.
fn firmware(event_slots: u8) -> Bench {
    Bench::with(16, 2, Limits { event_slots: Some(event_slots), ..Limits::new(8, TIMEOUT) })
}

#[test]
fn sched_2_a_queue_keeps_its_event_slot_until_the_hardware_is_done_with_it() {
    let mut bench = firmware(1);
    let (gone, other) = (bench.queue(0), bench.queue(0));
    let running = bench.submit(gone);
    let starved = bench.submit(other);
    assert_eq!(bench.running(), [running]);
    assert_eq!(bench.events, [EventSlot(0)]);
    // Its user is gone, and with it what was upcoming; the firmware still reports through the slot.
    bench.scheduler.kill_queue(gone);
    bench.drain();
    assert_eq!(bench.running(), [running]);
    bench.complete(0);
    assert_eq!(bench.running(), [starved]);
    bench.complete(0);
    assert_eq!(bench.free_queues(), 3);
}

#[test]
fn sched_2_a_queue_that_loses_its_last_upcoming_jobs_gives_its_event_slot_back() {
    let mut bench = firmware(1);
    let (busy, upcoming, other) = (bench.queue(0), bench.queue(1), bench.queue(0));
    let first = bench.submit(busy);
    let starved = [bench.submit(upcoming), bench.submit(other)];
    // The slot is handed to a queue that cannot run yet: its ring is being reset.
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    bench.complete(0);
    assert!(bench.running.is_empty());
    bench.scheduler.kill_queue(upcoming);
    bench.drain();
    assert_eq!(bench.running(), [starved[1]]);
    assert_eq!((bench.signalled[&first], bench.signalled[&starved[0]]), (Ok(()), Err(FenceError::Canceled)));
}

#[test]
fn sched_7_a_queue_whose_jobs_must_not_run_keeps_no_event_slot() {
    let mut bench = firmware(2);
    let context = bench.scheduler.open_context(1).unwrap();
    let open = |bench: &mut Bench| bench.scheduler.open_queue_of(context, RingIndex(1), Priority::Normal).unwrap();
    let (guilty, banned) = (open(&mut bench), open(&mut bench));
    let (busy, other) = (bench.queue(0), bench.queue(0));
    bench.submit(busy);
    bench.submit(guilty);
    let canceled = bench.submit(banned);
    bench.scheduler.faulted(RingIndex(1), Seqno::ZERO, bench.now);
    // The first slot goes to the queue that waits for its ring's reset, by which it is banned.
    bench.complete(0);
    bench.reset(1);
    assert_eq!(bench.signalled[&canceled], Err(FenceError::Canceled));
    let jobs = [bench.submit(busy), bench.submit(other)];
    assert_eq!(bench.running(), jobs);
}

#[test]
fn sched_8_a_queue_that_waits_for_a_fence_keeps_no_event_slot_from_the_one_it_waits_for() {
    let mut bench = firmware(1);
    let (waits, works) = (bench.queue(0), bench.queue(1));
    bench.submit(waits);
    let (waiting, handle) = bench.submit_spec(waits, spec(1, false)).unwrap();
    let awaited = bench.submit(works);
    bench.complete(0);
    assert_eq!(bench.running(), [awaited]);
    bench.complete(1);
    bench.scheduler.dependency_done(handle, Ok(()));
    bench.drain();
    assert_eq!(bench.running(), [waiting]);
}

#[test]
fn sched_8_starved_queues_come_by_priority_and_then_in_order() {
    let mut bench = firmware(1);
    let busy = bench.queue(0);
    bench.submit(busy);
    let mut starved = |priority| {
        let queue = bench.scheduler.open_queue(RingIndex(0), priority).unwrap();
        (queue, bench.submit(queue))
    };
    let (late, first) = starved(Priority::Normal);
    let (_, second) = starved(Priority::Normal);
    let (_, urgent) = starved(Priority::High);
    // One that leaves its place comes last.
    bench.scheduler.set_priority(late, Priority::Low).unwrap();
    bench.scheduler.set_priority(late, Priority::Normal).unwrap();
    bench.drain();
    for job in [urgent, second, first] {
        bench.complete(0);
        assert_eq!(bench.running(), [job]);
    }
    bench.complete(0);
    assert_eq!(bench.events, [EventSlot(0); 4]);
}

#[test]
fn sched_8_a_queue_that_is_always_busy_keeps_no_event_slot_from_its_betters() {
    for (busy, other) in [(Priority::Low, Priority::High), (Priority::Normal, Priority::Normal)] {
        let mut bench = firmware(1);
        let [busy, other] = [busy, other].map(|it| bench.scheduler.open_queue(RingIndex(0), it).unwrap());
        bench.submit(busy);
        bench.submit(busy);
        let (starved, again) = (bench.submit(other), bench.submit(other));
        let mut turns = 0;
        while !bench.signalled.contains_key(&starved) {
            bench.submit(busy);
            bench.complete(0);
            turns += 1;
            assert!(turns <= 3, "one after the other");
        }
        // And back: the other is busy now.
        while bench.signalled.len() < 6 {
            bench.complete(0);
        }
        assert!(bench.signalled.contains_key(&again));
    }
}

#[test]
fn sched_8_a_lower_priority_waits_for_its_event_slot() {
    let mut bench = firmware(1);
    let [busy, low] = [Priority::High, Priority::Low].map(|it| bench.scheduler.open_queue(RingIndex(0), it).unwrap());
    bench.submit(busy);
    let waits = bench.submit(low);
    for _ in 0..10 {
        bench.submit(busy);
        bench.complete(0);
    }
    assert!(!bench.signalled.contains_key(&waits));
    bench.complete(0);
    assert_eq!(bench.running(), [waits]);
}

#[test]
fn sched_8_queues_that_are_busy_together_have_different_event_slots() {
    let mut bench = firmware(3);
    let queues = [bench.queue(0), bench.queue(0), bench.queue(1), bench.queue(1)];
    for queue in [0, 1, 2, 3, 0] {
        bench.submit(queues[queue]);
    }
    assert_eq!(bench.events, [EventSlot(0), EventSlot(1), EventSlot(2)]);
    bench.complete(1);
    // The third queue is idle, and the fourth has its slot. Nobody is starved any more, so the first keeps its own.
    assert_eq!(bench.events[3..], [EventSlot(2)]);
    bench.complete(0);
    assert_eq!(bench.events[4..], [EventSlot(0)]);
}

#[test]
fn sched_1_a_loss_leaves_nobody_starved() {
    let mut bench = firmware(1);
    let queues = [bench.queue(0), bench.queue(0), bench.queue(1)];
    for queue in queues {
        bench.submit(queue);
    }
    bench.scheduler.lose(FenceError::Lost);
    bench.drain();
    bench.scheduler.hardware_gone();
    bench.drain();
    assert_eq!((bench.signalled.len(), bench.scheduler.job_count()), (3, 0));
    for queue in queues {
        bench.scheduler.kill_queue(queue);
    }
    assert_eq!(bench.free_queues(), 4);
}

#[test]
fn event_slots_are_at_least_one_and_at_most_what_there_is_room_for() {
    for (given, expected) in [(0, 1), (1, 1), (127, 127), (128, 128), (255, 128)] {
        let mut slots = super::super::event_slots::EventSlots::new(Some(given));
        let taken: Vec<_> = core::iter::from_fn(|| slots.take()).collect();
        assert_eq!(taken, (0..expected).map(EventSlot).collect::<Vec<_>>(), "{given}");
    }
}
