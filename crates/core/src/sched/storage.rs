//! The caller's storage: one slot for each object that there may be at a time.

use super::{ContextSlot, JobSlot, QueueSlot, RingSlot, TurnSlot, WaitSlot};
use crate::Slots;

/// Which storage a scheduler has. A marker names the types; a [`Stores`] brings the values.
///
/// # Examples
/// ```
/// use lifeboat_core::sched::{ContextSlot, JobSlot, QueueSlot, RingSlot, Storage, TurnSlot, WaitSlot};
///
/// /// One ring, eight jobs, two queues, no contexts.
/// struct Small;
///
/// impl Storage for Small {
///     type Fence = u32;
///     type Payload = u32;
///     type Jobs = [JobSlot<u32, u32>; 8];
///     type Queues = [QueueSlot; 2];
///     type Rings = [RingSlot; 1];
///     type Contexts = [ContextSlot; 0];
///     type Turns = [TurnSlot; 0];
///     type Waits = [WaitSlot; 8];
/// }
/// ```
pub trait Storage {
    /// The signalling side of a fence.
    type Fence;
    /// What a job keeps alive for the hardware.
    type Payload;
    /// One slot for each job.
    type Jobs: Slots<JobSlot<Self::Fence, Self::Payload>>;
    /// One slot for each queue.
    type Queues: Slots<QueueSlot>;
    /// One slot for each ring.
    type Rings: Slots<RingSlot>;
    /// One slot for each context. Without contexts, queues belong to none, and nobody is refused for what they did.
    type Contexts: Slots<ContextSlot>;
    /// One slot for each ring of each context. Contexts for which there are too few take turns queue by queue, with
    /// those that belong to none.
    type Turns: Slots<TurnSlot>;
    /// One slot for each wait of a job for another that is remembered, to [lend](super::Scheduler::lend_to) priority.
    type Waits: Slots<WaitSlot>;
}

/// The slots themselves, all of them new.
#[derive(Debug)]
pub struct Stores<S: Storage> {
    /// See [`Storage::Jobs`].
    pub jobs: S::Jobs,
    /// See [`Storage::Queues`].
    pub queues: S::Queues,
    /// See [`Storage::Rings`].
    pub rings: S::Rings,
    /// See [`Storage::Contexts`].
    pub contexts: S::Contexts,
    /// See [`Storage::Turns`].
    pub turns: S::Turns,
    /// See [`Storage::Waits`].
    pub waits: S::Waits,
}
