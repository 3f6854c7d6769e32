//! Hardware that completes every job when it is given the job, or never completes one. Tests and
//! benchmarks share it.

use std::convert::Infallible;
use std::sync::Arc;

use lifeboat::core::fence::Seqno;
use lifeboat::sched::{AtRest, Events, Options, RingIndex, Rings, Scheduler};

struct AtOnce<J> {
    events: Events<J>,
    completes: bool,
}

impl<J: Send + Sync + 'static> Rings for AtOnce<J> {
    type Job = J;
    type Error = Infallible;

    fn run(&mut self, ring: RingIndex, _: &Arc<J>, seqno: Seqno) -> Result<(), Infallible> {
        if self.completes {
            self.events.hw_done(ring, seqno);
        }
        Ok(())
    }

    fn reset_ring(&mut self, _: RingIndex, _: Seqno) -> Result<(), Infallible> {
        Ok(())
    }

    fn reset_device(&mut self, _: &[Seqno]) -> Result<(), Infallible> {
        Ok(())
    }

    fn progress(&mut self, _: RingIndex) -> Option<Seqno> {
        None
    }

    fn give_up(&mut self) {}

    fn quiesce(&mut self) -> AtRest {
        AtRest::Yes
    }
}

/// Opens a scheduler for such hardware, which completes every job or none.
pub(crate) fn open<J: Send + Sync + 'static>(options: &Options, completes: bool) -> Scheduler<J> {
    let rings = |events: &Events<J>| Ok::<_, Infallible>(AtOnce { events: events.clone(), completes });
    Scheduler::open(options, rings).unwrap()
}
