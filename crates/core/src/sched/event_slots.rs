//! Event slots: what a firmware reports completions through, where there are fewer than queues.
//!
//! Some firmware schedules queues itself and has a limited number of places to report through. The
//! protocol is that of Asahi's driver, as told in S3 (docs/conformance.md): a queue has a slot
//! while it is busy, the slot keeps the queue alive, and a queue that becomes idle, or loses its
//! last upcoming jobs, gives it back. Here a queue whose oldest job waits for a fence is idle too:
//! if it kept its slot, it could keep it from the very queue that it waits for. And a queue that is
//! busy for ever must not keep other queues of its priority from theirs.

use super::list::List;
use super::slots::Stands;
use super::{Scheduler, Storage, PRIORITIES};

/// Number of an event slot, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventSlot(pub u8);

/// The most event slots that a scheduler hands out.
pub const MAX_EVENT_SLOTS: u8 = 128;

/// The free event slots, and the queues that wait for one.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct EventSlots {
    /// Not all hardware has them.
    needed: bool,
    /// One bit each.
    free: u128,
    /// Queues that could run if they had one. Empty while one is free.
    pub(super) starved: [List; PRIORITIES],
}

impl EventSlots {
    pub(super) fn new(count: Option<u8>) -> Self {
        let free = match count {
            Some(count) if count < MAX_EVENT_SLOTS => (1 << count.max(1)) - 1,
            _ => u128::MAX,
        };
        Self { needed: count.is_some(), free, starved: [List::EMPTY; PRIORITIES] }
    }

    /// Whether a queue that has no slot can be given one, or needs none.
    pub(super) const fn may_take(&self) -> bool {
        !self.needed || self.free != 0
    }

    pub(super) fn take(&mut self) -> Option<EventSlot> {
        let lowest = self.free.trailing_zeros();
        self.free &= self.free.wrapping_sub(1);
        u8::try_from(lowest).ok().filter(|slot| *slot < MAX_EVENT_SLOTS).map(EventSlot)
    }
}

impl<S: Storage> Scheduler<S> {
    /// Gives a slot to a queue whose turn it is, if it has none. Without a free slot the queue
    /// stands among the starved.
    pub(super) fn take_event_slot(&mut self, queue: u32) -> bool {
        let slot = &mut self.queues.as_mut()[queue as usize];
        if !self.event_slots.needed || slot.event.is_some() {
            return true;
        }
        slot.event = self.event_slots.take();
        if slot.event.is_none() {
            (slot.stands, slot.listed) = (Stands::Starved, slot.level());
            let priority = slot.listed as usize;
            self.event_slots.starved[priority].push_back(self.queues.as_mut(), queue);
            return false;
        }
        true
    }

    /// A queue with nothing on a ring gives its slot to the first that is starved, if it has
    /// nothing that may run, or if a queue of its priority or a higher one is starved: then it
    /// waits for a slot as those did.
    pub(super) fn give_event_slot_back(&mut self, queue: u32) {
        let yields = self.must_yield(queue);
        let slot = &mut self.queues.as_mut()[queue as usize];
        let may_run = slot.jobs.front().is_some_and(|job| self.jobs.as_ref()[job as usize].waits == 0);
        if slot.running > 0 || may_run && !yields {
            return;
        }
        let Some(event) = slot.event.take() else { return };
        for priority in 0..PRIORITIES {
            if let Some(next) = self.event_slots.starved[priority].pop_front(self.queues.as_mut()) {
                let slot = &mut self.queues.as_mut()[next as usize];
                slot.event = Some(event);
                slot.stands = Stands::Nowhere;
                self.list_if_ready(next);
                return;
            }
        }
        self.event_slots.free |= 1 << event.0;
    }

    /// Whether a queue has a slot that another one has a better right to by now. Then it is given
    /// no more work: its slot is handed on when what it has on a ring is done.
    pub(super) fn must_yield(&self, queue: u32) -> bool {
        let slot = &self.queues.as_ref()[queue as usize];
        let wanted = |list: &List| !list.is_empty();
        slot.event.is_some() && self.event_slots.starved[..=slot.level() as usize].iter().any(wanted)
    }
}
