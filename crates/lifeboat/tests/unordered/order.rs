//! Any order, on a device that does what it is told.

use super::*;
use crate::driver::CREDITS;
use crate::model::{ABORTED, Resets, VALID};

#[test]
fn sched_11_jobs_of_several_queues_end_in_the_order_in_which_a_device_completes_them() {
    for ring in 0..RINGS {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let machine = Machine::new(NEVER);
            let device = machine.added();
            let queues = [0; 3].map(|_| queue(&device, ring));
            let fences = queues.each_ref().map(|queue| machine.plain(queue).1);
            machine.wait_for(ring, &[0, 1, 2]);
            for (at, tag) in order.into_iter().enumerate() {
                machine.complete(tag);
                ends(&fences[tag as usize], Ok(()));
                until("its memory is released", || !machine.is_kept(tag));
                for later in &order[at + 1..] {
                    assert_eq!(fences[*later as usize].status(), None, "{order:?}: {later} has not completed");
                }
            }
            drop((queues, device));
            machine.finish();
        }
    }
}

#[test]
fn sched_11_a_ring_without_order_has_one_job_of_a_queue_at_a_time() {
    for ring in 0..RINGS {
        let machine = Machine::new(NEVER);
        let device = machine.added();
        let queues = [queue(&device, ring), queue(&device, ring)];
        let first: Vec<_> = (0..3).map(|_| machine.plain(&queues[0]).1).collect();
        let (other, others) = machine.plain(&queues[1]);
        for (tag, fence) in (0..).zip(&first) {
            machine.wait_for(ring, &[tag, other]);
            machine.complete(tag);
            ends(fence, Ok(()));
        }
        machine.complete(other);
        ends(&others, Ok(()));
        drop((queues, device));
        machine.finish();
    }
}

#[test]
fn sched_11_credits_come_back_in_whatever_order_jobs_complete() {
    for ring in 0..RINGS {
        let machine = Machine::new(NEVER);
        let device = machine.added();
        // More jobs than entries of the ring, which are used again and again.
        let queues: Vec<_> = (0..30).map(|_| queue(&device, ring)).collect();
        let fences: Vec<_> = queues.iter().map(|queue| machine.plain(queue).1).collect();
        let mut left = fences.len();
        while left > 0 {
            let most = left.min(CREDITS as usize);
            until("it has as many as fit", || machine.card.model().has(ring).len() >= most);
            let has = machine.card.model().has(ring);
            assert_eq!(has.len(), most);
            // The youngest first.
            let tag = *has.last().unwrap();
            machine.complete(tag);
            ends(&fences[tag as usize], Ok(()));
            left -= 1;
        }
        drop((queues, device));
        machine.finish();
    }
}

/// A job that hangs makes the ring be asked, and its own end is not told either.
#[test]
fn drv_2_the_interrupts_of_single_completions_may_get_lost() {
    for ring in 0..RINGS {
        let (machine, device) = Machine::behaving(SOON, Behaviour { is_mute: true, ..Behaviour::default() });
        let queues = [0; 3].map(|_| queue(&device, ring));
        let [quick, slow] = [0, 1].map(|at: usize| machine.submit(&queues[at], |new| new.time_limit = Some(NEVER)));
        machine.wait_for(ring, &[quick.0, slow.0]);
        machine.complete(quick.0);
        let hung = machine.plain(&queues[2]);
        ends(&quick.1, Ok(()));
        ends(&hung.1, Err(FenceError::Guilty));
        let model = machine.card.model();
        assert_eq!((slow.1.status(), model.aborts(), model.resets()), (None, 1, Resets::default()));
        model.behave(Behaviour::default());
        machine.complete(slow.0);
        ends(&slow.1, Ok(()));
        drop((queues, device));
        machine.finish();
    }
}

#[test]
fn drv_3_single_reports_that_cannot_be_true_end_no_job() {
    for ring in 0..RINGS {
        let machine = Machine::new(NEVER);
        let device = machine.added();
        let queues = [queue(&device, ring), queue(&device, ring)];
        let [done, other] = queues.each_ref().map(|queue| machine.plain(queue));
        machine.wait_for(ring, &[0, 1]);
        let seqno = machine.card.model().seqno(done.0);
        machine.complete(done.0);
        ends(&done.1, Ok(()));
        // Again; a number that no job has had; both as an abort.
        for report in [seqno, 0x1234, seqno | ABORTED, 0x1234 | ABORTED] {
            machine.card.upstream(|engine, upstream| engine.report(ring, VALID | report, upstream));
        }
        // On the other ring such a job is not.
        let elsewhere = VALID | machine.card.model().seqno(other.0);
        machine.card.upstream(|engine, upstream| engine.report(1 - ring, elsewhere, upstream));
        // The driver has read these reports before it reads those of a later job.
        let next = machine.plain(&queues[0]);
        machine.wait_for(ring, &[other.0, next.0]);
        machine.complete(next.0);
        ends(&next.1, Ok(()));
        assert_eq!(other.1.status(), None);
        machine.complete(other.0);
        ends(&other.1, Ok(()));
        drop((queues, device));
        machine.finish();
    }
}

#[test]
fn drv_2_a_dump_shows_the_jobs_of_rings_without_order() {
    let machine = Machine::new(NEVER);
    let device = machine.added();
    let queues = [queue(&device, 0), queue(&device, 1), queue(&device, 1)];
    let fences = queues.each_ref().map(|queue| machine.plain(queue).1);
    machine.wait_for(0, &[0]);
    machine.wait_for(1, &[1, 2]);
    let dump = machine.bus.dump(device.minor()).unwrap();
    assert_eq!(dump.device.model, "any-order");
    let of_ring = |ring: u8| dump.jobs.iter().filter(|job| job.ring == ring && job.seqno.is_some()).count();
    assert_eq!([of_ring(0), of_ring(1)], [1, 2], "{dump:?}");
    let shown = |ring: &lifeboat::dump::RingState| ring.registers.iter().map(|register| register.value).collect();
    assert_eq!(dump.rings.iter().map(shown).collect::<Vec<Vec<_>>>(), [vec![Some(1)], vec![Some(2)]]);
    machine.complete(2);
    machine.complete(0);
    machine.complete(1);
    for fence in &fences {
        ends(fence, Ok(()));
    }
    drop((queues, device));
    machine.finish();
}
