//! Contexts: the unit that is held responsible for resets, and that is refused after too many
//! (SCHED-7).
//!
//! A context is a blame domain, usually a user's address space: resets are counted across all its
//! queues. The scheduler counts the resets that its jobs caused and those by which its jobs were
//! lost through another's fault, and refuses a context whose jobs caused too many. It says nothing
//! about what a context is to the hardware.

use super::list::{Linked, Links};
use super::{ContextId, Priority, QueueError, QueueId, RingIndex, Scheduler, Storage};
use crate::Id;

/// Marks a handle to a context.
#[derive(Debug)]
pub enum Context {}

/// Storage for one context.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct ContextSlot {
    generation: u32,
    links: Links,
    /// The user's handle exists.
    open: bool,
    /// Its queues, killed ones included.
    queues: u32,
    /// Its jobs in whatever state.
    pub(super) jobs: u32,
    guilty_limit: u32,
    guilty: u32,
    innocent: u32,
    unknown: u32,
    status: ResetStatus,
    /// The last reset that was counted, so that one counts once however many jobs it took.
    last_reset: u64,
}

impl Default for ContextSlot {
    fn default() -> Self {
        Self {
            generation: 0,
            links: Links::NONE,
            open: false,
            queues: 0,
            jobs: 0,
            guilty_limit: 0,
            guilty: 0,
            innocent: 0,
            unknown: 0,
            status: ResetStatus::None,
            last_reset: 0,
        }
    }
}

impl Linked for ContextSlot {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// What the last reset that a context has seen was to it, in the terms of GL's and Vulkan's
/// robustness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ResetStatus {
    /// It has seen none.
    #[default]
    None,
    /// Its job caused it.
    Guilty,
    /// Another's job did.
    Innocent,
    /// The device was lost, and no context is known to have caused that.
    Unknown,
}

/// What resets a context has seen. The loss of the device is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResetStats {
    /// Resets that its jobs caused, by a hang or a fault, and jobs of it that [could not be
    /// started](Scheduler::start_failed) or were [aborted](Scheduler::aborted).
    pub guilty: u32,
    /// Resets that others caused, and by which jobs of it failed. Jobs that run again do not count;
    /// a device that was lost counts for all of its contexts.
    pub innocent: u32,
    /// Losses of the device that no context is known to have caused: 0 or 1.
    pub unknown: u32,
    /// The last of all these.
    pub status: ResetStatus,
    /// Whether it has caused as many as it may: submissions are refused, and what waits is
    /// canceled.
    pub banned: bool,
}

impl<S: Storage> Scheduler<S> {
    /// Opens a context, or `None` if there is no free slot. The `guilty_limit`-th reset that its
    /// jobs cause bans it, at 0 as at 1 the first: [`Scheduler::reserve`] refuses, and what waits
    /// in its queues is canceled when its turn comes, since it would likely hang as well. What is
    /// on a ring runs on. There is no way back but another context. O(rings).
    pub fn open_context(&mut self, guilty_limit: u32) -> Option<ContextId> {
        let index = self.free_contexts.pop_front(self.contexts.as_mut())?;
        let slot = &mut self.contexts.as_mut()[index as usize];
        let generation = slot.generation;
        *slot = ContextSlot { generation, open: true, guilty_limit, ..ContextSlot::default() };
        Some(Id::new(index, generation))
    }

    /// The user of a context is gone: no more queues are opened in it. It lives until its last
    /// queue does not, and is counted and banned until then. Does not kill its queues. Stale
    /// handles are ignored. O(1).
    pub fn close_context(&mut self, context: ContextId) {
        if let Some(slot) = self.contexts.as_mut().get_mut(context.index as usize) {
            if slot.generation == context.generation {
                slot.open = false;
                self.free_context_if_unused(context.index);
            }
        }
    }

    /// Opens a queue of a context on a ring. O(1).
    ///
    /// # Errors
    /// Each [`QueueError`] but that the queue is closed; then nothing has changed.
    pub fn open_queue_of(
        &mut self,
        context: ContextId,
        ring: RingIndex,
        priority: Priority,
    ) -> Result<QueueId, QueueError> {
        let slot = self.contexts.as_ref().get(context.index as usize);
        let Some(slot) = slot.filter(|slot| slot.generation == context.generation && slot.open) else {
            return Err(QueueError::StaleContext);
        };
        let queue = self.open_queue_held(Some(slot.queues), ring, priority)?;
        self.queues.as_mut()[queue.index as usize].context = context.index;
        self.contexts.as_mut()[context.index as usize].queues += 1;
        Ok(queue)
    }

    /// What resets a context has seen. `None` if the handle is stale: it was closed, and its last
    /// queue is gone. O(1).
    pub fn reset_stats(&self, context: ContextId) -> Option<ResetStats> {
        let slot = self.contexts.as_ref().get(context.index as usize)?;
        (slot.generation == context.generation).then(|| ResetStats {
            guilty: slot.guilty,
            innocent: slot.innocent,
            unknown: slot.unknown,
            status: slot.status,
            banned: slot.is_banned(),
        })
    }

    /// Whether the context of a queue may not go on.
    pub(super) fn is_banned(&self, queue: u32) -> bool {
        let context = self.queues.as_ref()[queue as usize].context;
        self.contexts.as_ref().get(context as usize).is_some_and(ContextSlot::is_banned)
    }

    /// A job of the queue caused the reset that has just been carried out. Counted before the
    /// innocents of the same.
    pub(super) fn count_guilty(&mut self, queue: u32) {
        if let Some(slot) = self.count_reset(queue) {
            slot.guilty = slot.guilty.saturating_add(1);
            slot.status = ResetStatus::Guilty;
        }
    }

    /// A job of the queue could not be started, or was aborted: no other job has failed with it.
    pub(super) fn count_lone_failure(&mut self, queue: u32) {
        let context = self.queues.as_ref()[queue as usize].context;
        if let Some(slot) = self.contexts.as_mut().get_mut(context as usize) {
            slot.guilty = slot.guilty.saturating_add(1);
            slot.status = ResetStatus::Guilty;
        }
    }

    /// A job of the queue failed by the reset that has just been carried out.
    pub(super) fn count_innocent(&mut self, queue: u32) {
        if let Some(slot) = self.count_reset(queue) {
            slot.innocent = slot.innocent.saturating_add(1);
            slot.status = ResetStatus::Innocent;
        }
    }

    /// Charges a loss of the device to its contexts: those that own a suspect job are guilty, the
    /// others innocent; without a suspect all are unknown. Jobs are still on their rings.
    pub(super) fn count_loss(&mut self) {
        self.resets += 1;
        let mut known = false;
        for ring in 0..self.rings.as_ref().len() {
            if let Some(guilty) = self.rings.as_ref()[ring].guilty() {
                known = true;
                self.count_guilty(self.jobs.as_ref()[guilty as usize].queue);
            }
        }
        let this = self.resets;
        for slot in self.contexts.as_mut().iter_mut().filter(|slot| slot.last_reset != this) {
            slot.last_reset = this;
            let (count, status) = if known {
                (&mut slot.innocent, ResetStatus::Innocent)
            } else {
                (&mut slot.unknown, ResetStatus::Unknown)
            };
            *count = count.saturating_add(1);
            slot.status = status;
        }
    }

    /// The queue's context, if it has one and this reset has not been counted for it.
    fn count_reset(&mut self, queue: u32) -> Option<&mut ContextSlot> {
        let (context, reset) = (self.queues.as_ref()[queue as usize].context, self.resets);
        let slot = self.contexts.as_mut().get_mut(context as usize)?;
        (core::mem::replace(&mut slot.last_reset, reset) != reset).then_some(slot)
    }

    /// One of a context's queues is gone. Gives how many are left, if there is such a context.
    pub(super) fn left_context(&mut self, context: u32) -> Option<u32> {
        let slot = self.contexts.as_mut().get_mut(context as usize)?;
        slot.queues -= 1;
        let left = slot.queues;
        self.free_context_if_unused(context);
        Some(left)
    }

    fn free_context_if_unused(&mut self, context: u32) {
        let slot = &mut self.contexts.as_mut()[context as usize];
        if !slot.open && slot.queues == 0 {
            let generation = slot.generation.wrapping_add(1);
            *slot = ContextSlot { generation, ..ContextSlot::default() };
            self.free_contexts.push_back(self.contexts.as_mut(), context);
            self.leave_turns(context);
        }
    }
}

impl ContextSlot {
    fn is_banned(&self) -> bool {
        // A limit of 0 counts as 1: a context that caused no reset is never refused.
        self.guilty >= self.guilty_limit.max(1)
    }
}
