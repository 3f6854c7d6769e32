//! One job, queues of jobs, chains of them, and users who leave.

use lifeboat::core::errno::Errno;
use lifeboat::core::unplug::Loss;
use lifeboat_lb1_hosted::command::Work;

use crate::rig::Job;
use crate::*;

#[test]
fn drm_sched_basic_submit() {
    let rig = Rig::new();
    let lane = rig.lane(0, Priority::Normal);
    let job = rig.small(&lane);
    rig.hold.wait_begun(1);
    rig.settle();
    assert_eq!(job.fence.status(), None, "nothing completes by itself");
    rig.hold.allow(1);
    assert_eq!(job.fence.wait(LONG), Ok(()));
    rig.all_done_in_order(&[job]);
    drop(lane);
    rig.finish();
}

/// The kernel's `drm_sched_basic_test`: 100 jobs, spread over the queues, each after the one before or not; as many on
/// the ring at a time as fit, or three, or one.
fn basic_test(queues: usize, chained: bool) {
    for fit in [1, 3, 255] {
        let rig = Rig::new();
        let lanes = rig.lanes(queues);
        let credits = rig.credits_of(fit);
        let mut jobs: Vec<Job> = vec![];
        for number in 0..100 {
            let spec = Spec { credits, after: jobs.last().filter(|_| chained), ..Spec::default() };
            let job = rig.submit(&lanes[number % lanes.len()], &spec);
            jobs.push(job);
        }
        rig.hold.wait_begun(1);
        rig.settle();
        let on_ring = if chained { 1 } else { fit.min(100) };
        assert_eq!(rig.given(0), on_ring * credits, "the ring has all it may have");
        // In order of submission, which is that of turns.
        rig.all_done_in_order(&jobs);
        drop((lanes, jobs));
        rig.finish();
    }
}

#[test]
fn drm_sched_basic_queue() {
    basic_test(1, false);
}

#[test]
fn drm_sched_basic_chain() {
    basic_test(1, true);
}

#[test]
fn drm_sched_basic_multi() {
    basic_test(4, false);
}

#[test]
fn drm_sched_basic_inter_dependent() {
    basic_test(4, true);
}

/// On two rings, which share nothing but the fences.
#[test]
fn inter_dependent_jobs_of_two_rings_run_one_after_the_other() {
    let rig = Rig::new();
    rig.hold.open();
    let lanes = [0, 1, 0, 1].map(|ring| rig.lane(ring, Priority::Normal));
    let mut jobs: Vec<Job> = vec![];
    for number in 0..200 {
        jobs.push(rig.submit(&lanes[number % 4], &Spec { after: jobs.last(), ..Spec::default() }));
    }
    rig.all_done_in_order(&jobs);
    let rings = rig.hold.turns().into_iter().map(|turn| turn.ring);
    assert_eq!(rings.collect::<Vec<_>>(), [0, 1].repeat(100));
    drop((lanes, jobs));
    rig.finish();
}

#[test]
fn drm_sched_basic_entity_cleanup() {
    let rig = Rig::new();
    let lanes = rig.lanes(4);
    let mut jobs: Vec<Job> = vec![];
    for number in 0..100 {
        jobs.push(rig.submit(&lanes[number % 4], &Spec { after: jobs.last(), ..Spec::default() }));
    }
    rig.hold.allow(51);
    // Half of the jobs are still pending when all users leave; one of them is on the ring.
    rig.hold.wait_begun(52);
    drop(lanes);
    for job in &jobs[52..] {
        assert_eq!(job.fence.wait(LONG), CANCELED);
    }
    rig.settle();
    assert_eq!(jobs[51].fence.status(), None, "the ring has it");
    rig.all_done(&jobs[..52]);
    assert_eq!(rig.log(), (0..52).collect::<Vec<_>>());
    drop(jobs);
    rig.finish();
}

/// The kernel's driver has a callback for jobs that are on the ring when the scheduler ends. Here the end is that of
/// the device: what waits for the ring is canceled with its queue, what is on the ring ends with the device, and both
/// without the driver's help.
#[test]
fn drm_sched_basic_cancel() {
    for loss in [Loss::Unbound, Loss::Unplugged] {
        let rig = Rig::new();
        rig.hold.open();
        let lane = rig.lane(0, Priority::Normal);
        let on_ring = rig.submit(&lane, &Spec { credits: rig.all_credits(), then: &[Work::Hang], ..Spec::default() });
        let waiting = rig.small(&lane);
        rig.hold.wait_begun(1);
        drop(lane);
        assert_eq!(waiting.fence.wait(LONG), CANCELED);
        assert_eq!(waiting.fence.wait(LONG).map_err(Errno::from), Err(Errno::ECANCELED));
        rig.settle();
        assert_eq!(on_ring.fence.status(), None, "the ring may still complete it");
        match loss {
            Loss::Unplugged => rig.machine.slot.remove(),
            _ => rig.machine.bus().unbind_all(),
        }
        assert_eq!(on_ring.fence.wait(LONG), LOST);
        let report = rig.machine.removed();
        assert_eq!((report.loss, report.fences_retired), (loss, 1));
        // What the ring could read went with the device, and not before; see the counts at the end.
        drop((on_ring, waiting));
        rig.finish();
    }
}
