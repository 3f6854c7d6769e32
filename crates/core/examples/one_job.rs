//! The whole life of one job: submitted, run, signalled, released.

use lifeboat_core::sched::{Action, Array, JobSpec, Limits, Priority, RingIndex, Scheduler, Sizes, Storage, Stores};
use lifeboat_core::Timestamp;

enum Small {}

impl Storage for Small {
    type Fence = &'static str; // what signals the end of a job
    type Payload = &'static str; // what the hardware reads
    type Slots<T> = Array<T, 8>;

    fn slots<T: Default>(count: usize) -> Option<Array<T, 8>> {
        Array::new(count)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now = Timestamp::default();
    let stores = Stores::new(Sizes { jobs: 8, queues: 1, rings: 1, contexts: 0 }).ok_or("too large")?;
    let mut scheduler = Scheduler::<Small>::new(stores, Limits::new(4, core::time::Duration::from_secs(2)));
    let queue = scheduler.open_queue(RingIndex(0), Priority::Normal)?;
    let place = scheduler.reserve(queue, JobSpec { cost: 1, ..JobSpec::default() })?;
    scheduler.commit(place, "a fence", "commands"); // cannot fail
    while let Some(action) = scheduler.poll_action() {
        match action {
            Action::Run { ring, seqno, .. } => scheduler.hw_done(ring, seqno, now), // by hardware that takes no time
            Action::Signal { fence, result } => println!("{fence}: {result:?}"),
            Action::Release { payload } => println!("{payload}: not read any more"),
            _ => unreachable!("nothing hangs or fails here"),
        }
    }
    Ok(())
}
