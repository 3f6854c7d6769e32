//! Where a queue stands: with which priority, and for which ring.

use core::fmt;

use super::slots::{Hold, Stands};
use super::turns::Arrival;
use super::{Priority, QueueId, QueueSlot, RingIndex, Scheduler, Storage};

/// Why a queue is not opened, or stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueError {
    /// The queue has been closed.
    StaleQueue,
    /// There is no such ring.
    NoSuchRing,
    /// A job of the queue, waiting, running or ended since the queue was last empty, needs more
    /// credits than the ring has. Try again when all jobs of the queue have ended.
    TooLarge,
    /// The context has been closed.
    StaleContext,
    /// There is no place for another queue; close some.
    Full,
    /// The context has its whole [share](super::Shares) of queues; close some of its own.
    OverShare,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StaleQueue => "the queue has been closed",
            Self::NoSuchRing => "the device has no such ring",
            Self::TooLarge => "a job of the queue does not fit that ring; move the queue when it is empty",
            Self::StaleContext => "the context has been closed",
            Self::Full => "out of queues; close some",
            Self::OverShare => "the context has its share of queues; close some of its own",
        })
    }
}

impl core::error::Error for QueueError {}

impl<S: Storage> Scheduler<S> {
    /// Changes the priority of a queue, from its next job on: what is on the ring runs on. The
    /// queue comes last among those that are ready at the new priority, so that changing back and
    /// forth gains no turn; giving it the priority it has costs it none, nor does a lower one while
    /// a [loan](Scheduler::lend_to) keeps it where it is. O(log contexts), and what it lends to
    /// what its oldest job waits for.
    ///
    /// # Errors
    /// [`QueueError::StaleQueue`]; then nothing has changed.
    pub fn set_priority(&mut self, queue: QueueId, priority: Priority) -> Result<(), QueueError> {
        self.open_queue_mut(queue)?.priority = priority;
        self.relist(queue.index);
        self.lend_on(queue.index);
        Ok(())
    }

    /// Gives a queue another ring. Jobs that have not been given to a ring go to the new one, as do
    /// those that a reset of the old one returns; those on the old ring stay there, and the queue's
    /// next job waits for them, since jobs of one queue run in order. The queue comes last among
    /// those that are ready there; the ring it has costs it no turn. O(log contexts).
    ///
    /// # Errors
    /// Each [`QueueError`]; then nothing has changed.
    pub fn move_queue(&mut self, queue: QueueId, ring: RingIndex) -> Result<(), QueueError> {
        let slot = self.open_queue_mut(queue)?;
        if slot.ring == ring {
            return Ok(());
        }
        let largest = slot.largest;
        let most = self.rings.as_ref().get(usize::from(ring.0)).ok_or(QueueError::NoSuchRing)?.most;
        // A job that can never be given to its ring would never end.
        if largest > most {
            return Err(QueueError::TooLarge);
        }
        self.unlist_queue(queue.index);
        self.queues.as_mut()[queue.index as usize].ring = ring;
        self.list_if_ready(queue.index);
        Ok(())
    }

    fn open_queue_mut(&mut self, queue: QueueId) -> Result<&mut QueueSlot<S::Payload>, QueueError> {
        self.queue_mut(queue).filter(|slot| !slot.killed).ok_or(QueueError::StaleQueue)
    }

    /// Puts a queue among the ready queues of its ring, if it has become ready.
    pub(super) fn list_if_ready(&mut self, queue: u32) {
        if self.is_ready(queue) {
            self.list_ready(queue, Arrival::New);
        }
    }

    /// The same for a queue that was taken out of them just now.
    pub(super) fn list_again(&mut self, queue: u32) {
        if self.is_ready(queue) {
            self.list_ready(queue, Arrival::Back);
        }
    }

    /// Whether a queue that stands nowhere can be given a turn: its oldest job waits for nothing,
    /// none of its jobs is on another ring or on one that keeps no order, and its event slot is not
    /// due to another queue.
    fn is_ready(&self, queue: u32) -> bool {
        let slot = &self.queues.as_ref()[queue as usize];
        let Some(oldest) = slot.jobs.front() else { return false };
        let unordered = self.rings.as_ref()[usize::from(slot.ring.0)].unordered;
        let held_back = slot.running > 0 && (slot.runs_on != slot.ring || unordered || self.must_yield(queue));
        slot.stands == Stands::Nowhere
            && !held_back
            && self.jobs.as_ref()[oldest as usize].waits == 0
            && self.lost.is_none()
    }

    /// Takes a queue out of the list it stands in, if any.
    pub(super) fn unlist_queue(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        match slot.stands {
            Stands::Nowhere => {}
            Stands::Ready => self.unlist_ready(queue),
            Stands::Starved => {
                slot.stands = Stands::Nowhere;
                let level = slot.listed as usize;
                self.event_slots.starved[level].remove(self.queues.as_mut(), queue);
            }
        }
    }

    /// A job of the queue has left its ring, for whatever reason. The last one makes way for those
    /// on a new ring.
    pub(super) fn left_ring(&mut self, queue: u32) {
        self.queues.as_mut()[queue as usize].running -= 1;
        self.give_event_slot_back(queue);
        self.list_if_ready(queue);
        self.owe_question(queue);
    }

    /// A queue goes when its user, its last job, its place in a list and what a firmware holds of
    /// it are gone.
    pub(super) fn free_queue_if_unused(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        let unused = slot.held == 0 && slot.stands == Stands::Nowhere && slot.hold == Hold::Nothing;
        if slot.in_use && slot.killed && unused {
            let (generation, context) = (slot.generation.wrapping_add(1), slot.context);
            *slot = QueueSlot { generation, ..QueueSlot::default() };
            self.free_queues.push_back(self.queues.as_mut(), queue);
            let held = self.left_context(context);
            self.queue_places.give_back(held);
        }
    }
}
