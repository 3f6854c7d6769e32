//! Queues: where a context's jobs wait for a ring (the kernel calls them entities). Jobs of one queue run in order;
//! queues of one ring take turns.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use lifeboat_core::sched::{Priority, RingIndex};

use crate::context::{self, Context};
use crate::ledger::{Entry, Kind};
use crate::submit::Job;
use crate::{CallError, call, sched};

/// A queue. Dropped, it cancels what has not reached the ring; what has runs on.
pub struct Queue {
    pub(crate) context: Arc<context::Shared>,
    pub(crate) scheduled: sched::Queue<Job>,
    /// For display: the scheduler decides.
    ring: AtomicU8,
    _entry: Entry,
}

impl Queue {
    pub(crate) fn new(context: &Context, ring: u8, priority: Priority) -> Result<Self, CallError> {
        let device = &context.0.device;
        let _section = call::CREATE_QUEUE.enter_section(&device.0.link)?;
        if ring >= device.0.info.rings {
            return Err(CallError::Invalid("no such ring"));
        }
        let scheduled = context.0.scheduled.queue(RingIndex(ring), priority);
        Ok(Self {
            context: context.0.clone(),
            scheduled: scheduled.ok_or(CallError::Exhausted("queues; close some"))?,
            ring: AtomicU8::new(ring),
            _entry: device.0.ledger.enlist(Kind::Queue),
        })
    }

    /// The ring its next jobs run on.
    pub fn ring(&self) -> u8 {
        self.ring.load(Relaxed)
    }

    /// Changes its turns, from its next job on. It comes last among the queues that are ready at the new priority. Never
    /// fails, also not after loss.
    ///
    /// # Errors
    /// None: it returns a result as every call does.
    pub fn set_priority(&self, priority: Priority) -> Result<(), CallError> {
        let device = &self.context.device.0;
        call::SET_PRIORITY.enter(&device.link)?;
        self.scheduled.set_priority(priority);
        Ok(())
    }

    /// Gives it another ring below [`DeviceInfo::rings`](crate::DeviceInfo::rings), from the next job that has not been
    /// given to one. That job waits for those on the old ring, since jobs of one queue run in order.
    ///
    /// # Errors
    /// EINVAL if the device has no such ring. Does not fail for loss.
    pub fn move_to(&self, ring: u8) -> Result<(), CallError> {
        let device = &self.context.device.0;
        call::MOVE_QUEUE.enter(&device.link)?;
        self.scheduled.move_to(RingIndex(ring)).map_err(|_| CallError::Invalid("no such ring"))?;
        self.ring.store(ring, Relaxed);
        Ok(())
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("context", &self.context.id).field("ring", &self.ring()).finish_non_exhaustive()
    }
}
