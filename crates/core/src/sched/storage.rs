//! The caller's storage: one slot for each object that there may be at a time.

use super::{ContextSlot, JobSlot, QueueSlot, RingSlot, TurnSlot, WaitSlot};
use crate::Slots;

/// What a scheduler is made of: the only type that its user names.
///
/// # Examples
/// On a machine with a heap:
/// ```
/// use lifeboat_core::sched::{Limits, Scheduler, Sizes, Storage, Stores};
///
/// enum Heap {}
///
/// impl Storage for Heap {
///     type Fence = u32;
///     type Payload = String;
///     type Slots<T> = Vec<T>;
///
///     fn slots<T: Default>(count: usize) -> Option<Vec<T>> {
///         let mut slots = Vec::new();
///         slots.try_reserve_exact(count).ok()?;
///         slots.resize_with(count, T::default);
///         Some(slots)
///     }
/// }
///
/// let sizes = Sizes { jobs: 4096, queues: 64, rings: 2, contexts: 16 };
/// let stores = Stores::new(sizes).expect("there is memory for it");
/// let scheduler: Scheduler<Heap> = Scheduler::new(stores, Limits::new(256, std::time::Duration::from_secs(2)));
/// ```
/// Without a heap, see [`Array`].
pub trait Storage {
    /// The signalling side of a fence.
    type Fence;
    /// What a job or a queue keeps alive for the hardware.
    type Payload;
    /// A fixed number of slots for whatever there is.
    type Slots<T>: Slots<T>;

    /// So many new slots. `None` if there is no memory for them.
    fn slots<T: Default>(count: usize) -> Option<Self::Slots<T>>;
}

/// How many objects there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Jobs in all states, up to 2^32 - 2.
    pub jobs: usize,
    /// Queues, those included that are closed and whose last job has not ended, up to 2^32 - 2.
    pub queues: usize,
    /// Rings, up to 256.
    pub rings: usize,
    /// Contexts, up to 2^32 - 2. Without contexts, queues belong to none, and nobody is refused for
    /// what they did.
    pub contexts: usize,
}

/// The slots themselves, all of them new.
#[derive(Debug)]
pub struct Stores<S: Storage> {
    /// One slot for each job.
    pub jobs: S::Slots<JobSlot<S::Fence, S::Payload>>,
    /// One slot for each queue.
    pub queues: S::Slots<QueueSlot<S::Payload>>,
    /// One slot for each ring. A ring that differs from others is put here: see
    /// [`RingSlot::with_credits`] and [`RingSlot::unordered`].
    pub rings: S::Slots<RingSlot>,
    /// One slot for each context.
    pub contexts: S::Slots<ContextSlot>,
    /// One slot for each ring of each context. Contexts for which there are too few take turns
    /// queue by queue, with the queues that belong to no context.
    pub turns: S::Slots<TurnSlot>,
    /// One slot for each wait of a job for another that is remembered, to
    /// [lend](super::Scheduler::lend_to) priority.
    pub waits: S::Slots<WaitSlot>,
}

impl<S: Storage> Stores<S> {
    /// Slots of all kinds: turns for each ring of each context, and a wait for each job. `None` if
    /// there is no memory for them. O(slots).
    pub fn new(sizes: Sizes) -> Option<Self> {
        let Sizes { jobs, queues, rings, contexts } = sizes;
        Some(Self {
            jobs: S::slots(jobs)?,
            queues: S::slots(queues)?,
            rings: S::slots(rings)?,
            contexts: S::slots(contexts)?,
            turns: S::slots(contexts.checked_mul(rings)?)?,
            // A job that waits for another waits for one as a rule.
            waits: S::slots(jobs)?,
        })
    }
}

/// Slots without a heap: up to `N` of them, all within the value.
///
/// # Examples
/// ```
/// use lifeboat_core::sched::{Array, Storage};
///
/// /// Up to eight of everything.
/// enum Small {}
///
/// impl Storage for Small {
///     type Fence = u32;
///     type Payload = u32;
///     type Slots<T> = Array<T, 8>;
///
///     fn slots<T: Default>(count: usize) -> Option<Array<T, 8>> {
///         Array::new(count)
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Array<T, const N: usize> {
    slots: [T; N],
    count: usize,
}

impl<T: Default, const N: usize> Array<T, N> {
    /// So many new slots; `None` if they are more than `N`.
    pub fn new(count: usize) -> Option<Self> {
        (count <= N).then(|| Self { slots: core::array::from_fn(|_| T::default()), count })
    }
}

impl<T, const N: usize> AsRef<[T]> for Array<T, N> {
    fn as_ref(&self) -> &[T] {
        &self.slots[..self.count]
    }
}

impl<T, const N: usize> AsMut<[T]> for Array<T, N> {
    fn as_mut(&mut self) -> &mut [T] {
        &mut self.slots[..self.count]
    }
}
