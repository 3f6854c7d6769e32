//! Where a queue stands: with which priority, and for which ring.

use core::fmt;

use super::slots::Stands;
use super::{ContextSlot, JobSlot, Priority, QueueId, QueueSlot, RingIndex, RingSlot, Scheduler};
use crate::Slots;

/// Why a queue stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueError {
    /// The queue has been closed.
    StaleQueue,
    /// There is no such ring.
    NoSuchRing,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StaleQueue => "the queue has been closed",
            Self::NoSuchRing => "the device has no such ring",
        })
    }
}

impl core::error::Error for QueueError {}

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// Changes the priority of a queue, from its next job on: what is on the ring runs on. The queue comes last among
    /// those that are ready at the new priority, so that changing back and forth gains no turn; giving it the priority
    /// it has costs it none. O(ready queues of its ring and old priority).
    ///
    /// # Errors
    /// [`QueueError::StaleQueue`]; then nothing has changed.
    pub fn set_priority(&mut self, queue: QueueId, priority: Priority) -> Result<(), QueueError> {
        let slot = self.open_queue_mut(queue)?;
        if slot.priority != priority {
            self.unlist_queue(queue.index);
            self.queues.as_mut()[queue.index as usize].priority = priority;
            self.list_if_ready(queue.index);
        }
        Ok(())
    }

    /// Gives a queue another ring. Jobs that have not been given to a ring go to the new one, as do those that a reset
    /// of the old one returns; those on the old ring stay there, and the queue's next job waits for them, since jobs of
    /// one queue run in order. The queue comes last among those that are ready there; the ring it has costs it no turn.
    /// O(ready queues of its old ring and priority).
    ///
    /// # Errors
    /// Each [`QueueError`]; then nothing has changed.
    pub fn move_queue(&mut self, queue: QueueId, ring: RingIndex) -> Result<(), QueueError> {
        let slot = self.open_queue_mut(queue)?;
        if slot.ring == ring {
            return Ok(());
        }
        if usize::from(ring.0) >= self.rings.as_ref().len() {
            return Err(QueueError::NoSuchRing);
        }
        self.unlist_queue(queue.index);
        self.queues.as_mut()[queue.index as usize].ring = ring;
        self.list_if_ready(queue.index);
        Ok(())
    }

    fn open_queue_mut(&mut self, queue: QueueId) -> Result<&mut QueueSlot, QueueError> {
        self.queue_mut(queue).filter(|slot| !slot.killed).ok_or(QueueError::StaleQueue)
    }

    /// Puts a queue among its ring's ready ones if its oldest job waits for nothing, none of its jobs is on another
    /// ring, its event slot is not due to another queue, and it is not there yet.
    pub(super) fn list_if_ready(&mut self, queue: u32) {
        let yields = self.must_yield(queue);
        let slot = &mut self.queues.as_mut()[queue as usize];
        let Some(oldest) = slot.jobs.front() else { return };
        let held_back = slot.running > 0 && (slot.runs_on != slot.ring || yields);
        if slot.stands != Stands::Nowhere
            || held_back
            || self.jobs.as_ref()[oldest as usize].waits > 0
            || self.lost.is_some()
        {
            return;
        }
        slot.stands = Stands::Ready;
        let (ring, priority) = (slot.ring, slot.priority);
        self.rings.as_mut()[usize::from(ring.0)].ready[priority as usize].push_back(self.queues.as_mut(), queue);
    }

    /// Takes a queue out of the list it stands in, if any.
    pub(super) fn unlist_queue(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        let (ring, priority) = (usize::from(slot.ring.0), slot.priority as usize);
        let list = match core::mem::take(&mut slot.stands) {
            Stands::Nowhere => return,
            Stands::Ready => &mut self.rings.as_mut()[ring].ready[priority],
            Stands::Starved => &mut self.event_slots.starved[priority],
        };
        list.remove(self.queues.as_mut(), queue);
    }

    /// A job of the queue has left its ring, for whatever reason. The last one makes way for those on a new ring.
    pub(super) fn left_ring(&mut self, queue: u32) {
        self.queues.as_mut()[queue as usize].running -= 1;
        self.give_event_slot_back(queue);
        self.list_if_ready(queue);
    }

    /// A queue goes when its user, its last job and its place in a list are gone.
    pub(super) fn free_queue_if_unused(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        if slot.in_use && slot.killed && slot.held == 0 && slot.stands == Stands::Nowhere {
            let (generation, context) = (slot.generation.wrapping_add(1), slot.context);
            *slot = QueueSlot { generation, ..QueueSlot::default() };
            self.free_queues.push_back(self.queues.as_mut(), queue);
            self.left_context(context);
        }
    }
}
