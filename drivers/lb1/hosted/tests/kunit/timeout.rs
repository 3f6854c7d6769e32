//! Jobs that take too long, and one that only seems to.

use std::time::{Duration, Instant};

use lifeboat::core::errno::Errno;
use lifeboat_gpu::Fault;
use lifeboat_lb1_hosted::command::Work;

use crate::*;

const TIMEOUT: Duration = Duration::from_millis(400);

fn rig() -> Rig {
    Rig::with(Options { timeout: TIMEOUT, ..Options::default() })
}

#[test]
fn drm_sched_basic_timeout() {
    let rig = rig();
    rig.hold.open();
    let lane = rig.lane(0, Priority::Normal);
    let resets = rig.machine.card().counters().resets;
    let began = Instant::now();
    let hung = rig.submit(&lane, &Spec { then: &[Work::Hang], ..Spec::default() });
    rig.hold.wait_begun(1);
    rig.settle();
    assert_eq!((hung.fence.status(), rig.machine.card().counters().resets), (None, resets));
    assert_eq!(hung.fence.wait(LONG), GUILTY);
    assert_eq!(hung.fence.wait(LONG).map_err(Errno::from), Err(Errno::ETIME));
    assert!(began.elapsed() >= TIMEOUT, "it had its time");
    assert_eq!(rig.machine.card().counters().resets, resets + 1);
    let stats = rig.space.context.reset_stats();
    assert_eq!((stats.guilty, stats.innocent, stats.banned), (1, 0, false));
    // The queue and the ring live on.
    let next = rig.small(&lane);
    rig.all_done([&next]);
    assert_eq!(rig.log(), [hung.number, next.number]);
    assert_eq!(rig.machine.card().counters().resets, resets + 1, "it was reset once");
    drop((lane, hung, next));
    rig.finish();
}

/// The interrupt of a job is lost; when its time is over it is found to have completed.
#[test]
fn drm_sched_skip_reset() {
    let rig = rig();
    let lane = rig.lane(0, Priority::Normal);
    let resets = rig.machine.card().counters().resets;
    let (slow, next) = (rig.small(&lane), rig.small(&lane));
    rig.hold.wait_begun(1);
    let began = Instant::now();
    // The next one, which is on the ring too, goes on when the first is known to have completed, and not earlier: its
    // own interrupt would tell.
    let go_on = rig.hold.allower();
    slow.fence.on_signal(|_| go_on());
    rig.machine.card().inject(Fault::LostInterrupt);
    rig.hold.allow(1);
    assert_eq!(slow.fence.wait(LONG), Ok(()));
    // The next one is not blamed for the time that the first one took.
    assert_eq!(next.fence.wait(LONG), Ok(()));
    assert!(began.elapsed() >= TIMEOUT / 2, "nobody told");
    assert_eq!(rig.machine.card().counters().resets, resets, "a false hang");
    let stats = rig.space.context.reset_stats();
    assert_eq!((stats.guilty, stats.innocent), (0, 0));
    rig.all_done_in_order(&[slow, next]);
    drop(lane);
    rig.finish();
}
