//! Many who submit at the same time.

use std::thread;

use crate::rig::{Job, Lane, SMALL, numbers};
use crate::*;

const WORKERS: usize = 16;
const IN_FLIGHT: usize = 8;

#[test]
fn drm_sched_parallel_submit() {
    let rig = Rig::new();
    let lanes = rig.lanes(WORKERS);
    let submit = |lane: &Lane| (0..IN_FLIGHT).map(|_| rig.small(lane)).collect::<Vec<Job>>();
    let jobs: Vec<Vec<Job>> = thread::scope(|scope| {
        let workers: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| submit(lane))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    rig.settle();
    let all = WORKERS * IN_FLIGHT;
    assert_eq!(rig.given(0), u32::try_from(all).unwrap() * SMALL, "all are on the ring");
    rig.all_done(jobs.iter().flatten());
    let log = rig.log();
    assert_eq!(log.len(), all);
    for jobs in &jobs {
        assert_eq!(of_these(&log, jobs), numbers(jobs));
    }
    drop((lanes, jobs));
    rig.finish();
}

/// Each worker has the same share of the ring's time in jobs of its own length, and keeps eight of them in flight.
#[test]
fn drm_sched_interleaved_submit() {
    for at_once in [1, 2, 255] {
        let rig = Rig::with(Options { entries: 1024, ..Options::default() });
        rig.hold.open();
        let lanes = rig.lanes(WORKERS);
        let least = rig.credits_of(at_once);
        let work = |lane: &Lane, length: u32| {
            let mut jobs: Vec<Job> = vec![];
            for number in 0..(64 / length as usize).max(1) {
                if let Some(oldest) = number.checked_sub(IN_FLIGHT) {
                    assert_eq!(jobs[oldest].fence.wait(LONG), Ok(()));
                }
                // As many more as leave the number of jobs that fit as it is.
                jobs.push(rig.submit(lane, &Spec { credits: least + length - 1, ..Spec::default() }));
            }
            jobs
        };
        let jobs: Vec<Vec<Job>> = thread::scope(|scope| {
            let work = &work;
            let workers = lanes.iter().zip(1..).map(|(lane, length)| scope.spawn(move || work(lane, length)));
            let workers: Vec<_> = workers.collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        rig.all_done(jobs.iter().flatten());
        let log = rig.log();
        assert_eq!(log.len(), jobs.iter().map(Vec::len).sum::<usize>());
        for jobs in &jobs {
            assert_eq!(of_these(&log, jobs), numbers(jobs));
        }
        drop((lanes, jobs));
        rig.finish();
    }
}

/// What of the log is of these jobs.
fn of_these(log: &[u32], jobs: &[Job]) -> Vec<u32> {
    log.iter().copied().filter(|number| jobs.iter().any(|job| job.number == *number)).collect()
}
