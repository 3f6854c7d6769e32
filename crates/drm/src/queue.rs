//! Queues: where a context's jobs wait for a ring (the kernel calls them entities). Jobs of one queue run in order;
//! queues of one ring take turns.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use lifeboat::calls::{Arguments, Bound};
use lifeboat::{CallError, Entry, sched};
use lifeboat_core::sched::{Priority, QueueError, RingIndex};
use lifeboat_driver::gpu::Gpu;

use crate::context::{self, Context};
use crate::device::Users;
use crate::job::Job;
use crate::{Device, kinds};

/// A queue. Dropped, it cancels what has not reached the ring; what has runs on.
pub struct Queue<G: Gpu> {
    pub(crate) context: Arc<context::ContextInner<G>>,
    pub(crate) scheduled: sched::Queue<Job<G>>,
    /// For display: the scheduler decides.
    ring: AtomicU8,
    _entry: Entry,
}

/// Arguments of `create-queue`.
pub(crate) struct CreateQueue<'a, G: Gpu> {
    pub(crate) context: &'a Context<G>,
    pub(crate) ring: u8,
    pub(crate) priority: Priority,
}

/// Arguments of `set-priority`.
pub(crate) struct SetPriority<'a, G: Gpu> {
    queue: &'a Queue<G>,
    priority: Priority,
}

/// Arguments of `move-queue`.
pub(crate) struct MoveQueue<'a, G: Gpu> {
    queue: &'a Queue<G>,
    ring: u8,
}

impl<G: Gpu> Arguments<Device<G>> for CreateQueue<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.context.0.device)?;
        users.has_ring(self.ring)
    }
}

impl<G: Gpu> Arguments<Device<G>> for MoveQueue<'_, G> {
    fn check(&self, users: &Users<G>) -> Result<(), CallError> {
        users.owns(&self.queue.context.device)?;
        users.has_ring(self.ring)
    }
}

pub(crate) fn create<G: Gpu>(
    bound: &Bound<'_, Device<G>>,
    arguments: CreateQueue<'_, G>,
) -> Result<Queue<G>, CallError> {
    let CreateQueue { context, ring, priority } = arguments;
    let scheduled = context.0.scheduled.queue(RingIndex(ring), priority).map_err(refused)?;
    Ok(Queue {
        context: context.0.clone(),
        scheduled,
        ring: AtomicU8::new(ring),
        _entry: bound.device().0.ledger.enlist(kinds::QUEUE),
    })
}

fn refused(error: QueueError) -> CallError {
    match error {
        QueueError::NoSuchRing => CallError::Invalid("no such ring"),
        QueueError::TooLarge => CallError::Invalid("a job of the queue does not fit that ring"),
        // A queue keeps its context, and a call keeps its queue.
        QueueError::StaleQueue | QueueError::StaleContext => CallError::Invalid("the queue or context has been closed"),
        QueueError::Full => CallError::Exhausted("queues; close some"),
        QueueError::OverShare => CallError::OverShare("queues; close some of this context"),
    }
}

pub(crate) fn set_priority<G: Gpu>(_: &Users<G>, SetPriority { queue, priority }: SetPriority<'_, G>) {
    queue.scheduled.set_priority(priority);
}

pub(crate) fn move_to<G: Gpu>(_: &Users<G>, MoveQueue { queue, ring }: MoveQueue<'_, G>) -> Result<(), CallError> {
    queue.scheduled.move_to(RingIndex(ring)).map_err(refused)?;
    queue.ring.store(ring, Relaxed);
    Ok(())
}

impl<G: Gpu> Queue<G> {
    /// The ring its next jobs run on.
    pub fn ring(&self) -> u8 {
        self.ring.load(Relaxed)
    }

    /// Changes its turns, from its next job on. It comes last among the queues that are ready at the new priority. Has
    /// no effect on a lost device.
    pub fn set_priority(&self, priority: Priority) {
        self.context.device.ask(SetPriority { queue: self, priority });
    }

    /// Gives it another ring below [`DeviceInfo::rings`](crate::DeviceInfo::rings), from the next job that has not been
    /// given to one. That job waits for those on the old ring, since jobs of one queue run in order.
    ///
    /// # Errors
    /// EINVAL if the device has no such ring. Does not fail for loss.
    pub fn move_to(&self, ring: u8) -> Result<(), CallError> {
        self.context.device.call(MoveQueue { queue: self, ring })
    }
}

impl<G: Gpu> fmt::Debug for Queue<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("context", &self.context.id).field("ring", &self.ring()).finish_non_exhaustive()
    }
}
