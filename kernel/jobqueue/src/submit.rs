// SPDX-License-Identifier: GPL-2.0 OR MIT

//! A job on its way in. [`Scheduler::prepare`] may fail, and changes nothing then; what it gives can
//! be committed, which cannot fail and allocates nothing (SCHED-3).

use kernel::{prelude::*, sync::Arc};
use lifeboat_core::sched::{JobSpec, QueueId, Reservation};

use crate::errno::from_core;
use crate::glue::{Fence, Unsignalled};
use crate::hardware::Hardware;
use crate::heap::Held;
use crate::scheduler::Scheduler;
use crate::wait::Wait;

/// A place for a job, and all memory that it needs. Dropped, it is given back.
pub struct Prepared<H: Hardware> {
    scheduler: Arc<Scheduler<H>>,
    /// Taken by the commit or by the drop.
    place: Option<(Reservation, KBox<Held<H>>)>,
}

impl<H: Hardware> Scheduler<H> {
    /// Reserves a place for a job in a queue, which waits for these fences. `spec.dependencies` is
    /// filled in. O(fences).
    ///
    /// # Errors
    /// ENOMEM, or what the core says ([`lifeboat_core::sched::SubmitError`]) by its number.
    pub fn prepare(self: &Arc<Self>, queue: QueueId, spec: JobSpec, after: &[Fence]) -> Result<Prepared<H>> {
        let dependencies = u32::try_from(after.len())?;
        let held = Held::new()?;
        let place = self.reserve(queue, JobSpec { dependencies, ..spec }).map_err(from_core)?;
        let job = place.job();
        // From here on the place is given back if anything fails.
        let mut prepared = Prepared { scheduler: self.clone(), place: Some((place, held)) };
        for fence in after {
            let wait = Wait::new(self.clone(), job, fence.clone())?;
            if let Some((place, held)) = &mut prepared.place {
                held.waits.push(wait)?;
                self.lend(place, fence);
            }
        }
        Ok(prepared)
    }
}

impl<H: Hardware> Prepared<H> {
    /// The point of no return: from here on the fence will signal. If the device was lost or the queue
    /// closed meanwhile, it signals that.
    pub fn commit(mut self, fence: Unsignalled, job: Arc<H::Job>) {
        if let Some((place, mut held)) = self.place.take() {
            held.job = Some(job);
            held.waits.begin();
            self.scheduler.commit(place, fence, held);
        }
    }
}

impl<H: Hardware> Drop for Prepared<H> {
    fn drop(&mut self) {
        if let Some((place, _)) = self.place.take() {
            self.scheduler.cancel(place);
        }
    }
}
