//! Queues: where a context's jobs wait for a ring (the kernel calls them entities). Jobs of one queue run in order;
//! queues of one ring take turns.

use std::fmt;
use std::sync::Arc;

use lifeboat_core::sched::{Priority, QueueId};

use crate::context::{self, Context};
use crate::ledger::{Entry, Kind};
use crate::{CallError, Timeline, call};

/// A queue. Dropped, it cancels what has not reached the ring; what has runs on.
pub struct Queue {
    pub(crate) context: Arc<context::Shared>,
    pub(crate) id: QueueId,
    pub(crate) timeline: Timeline,
    ring: u8,
    _entry: Entry,
}

impl Queue {
    pub(crate) fn new(context: &Context, ring: u8, priority: Priority) -> Result<Self, CallError> {
        let device = &context.0.device;
        let _section = call::CREATE_QUEUE.enter_section(&device.0.link)?;
        if ring >= device.0.info.rings {
            return Err(CallError::Invalid("no such ring"));
        }
        let id = device
            .0
            .engine
            .open_queue(context.0.scheduled, ring, priority)
            .ok_or(CallError::Exhausted("queues; close some"))?;
        let ledger = &device.0.ledger;
        let timeline = Timeline::new(ledger, &device.0.name(), &format!("ring{ring}.queue{}", id.index()));
        Ok(Self { context: context.0.clone(), id, timeline, ring, _entry: ledger.enlist(Kind::Queue) })
    }

    /// The ring its jobs run on.
    pub fn ring(&self) -> u8 {
        self.ring
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.context.device.0.engine.kill_queue(self.id);
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("context", &self.context.id).field("ring", &self.ring).finish_non_exhaustive()
    }
}
