//! Shares: what one context may have of what all need (SCHED-9).
//!
//! Two rules, so that no context locks out the others, whatever its jobs wait for. A context has at
//! most its share: that bounds a greedy one. And so many places are set aside for each context that
//! there may be: those nobody else gets, so that a context can always go on, also if all others
//! together are greedy. Both are asked for in O(1).

use super::{QueueError, Scheduler, Storage, SubmitError};
use crate::share::Share;

/// What one context may have at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shares {
    /// Jobs in whatever state, at most. Beyond it [`SubmitError::OverShare`].
    pub jobs: Share,
    /// Of them, places that are set aside for each context that there may be.
    pub own_jobs: u32,
    /// Queues, at most, closed ones that still have jobs included. Beyond it
    /// [`QueueError::OverShare`].
    pub queues: Share,
    /// Of them, places that are set aside for each context that there may be.
    pub own_queues: u32,
}

impl Shares {
    /// A context may have all that there is.
    pub const ALL: Self = Self { jobs: Share::ALL, own_jobs: 0, queues: Share::ALL, own_queues: 0 };
}

/// How far places of one kind are set aside.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub(super) struct Pool {
    most: Share,
    own: u32,
    /// Free places.
    free: u32,
    /// Of them, places that are set aside for contexts that do not use them now.
    unused: u32,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    OverShare,
}

impl Pool {
    /// `places` for `contexts`. If there are too few, as many are set aside for each as all can
    /// have.
    pub(super) fn new(places: usize, contexts: usize, most: Share, own: u32) -> Self {
        let places = u32::try_from(places).unwrap_or(u32::MAX);
        let contexts = u32::try_from(contexts).unwrap_or(u32::MAX);
        let own = own.min(places.checked_div(contexts).unwrap_or(0));
        // Not more than `places`, by the division.
        Self { most, own, free: places, unused: own * contexts }
    }

    /// Whether a context that has so many may have another, or a user that is none.
    pub(super) fn admits(&self, held: Option<u32>) -> Result<(), NoPlace> {
        match held {
            Some(held) if held < self.own => Ok(()),
            Some(held) if !self.most.admits(held) => Err(NoPlace::OverShare),
            _ if self.free > self.unused => Ok(()),
            _ => Err(NoPlace::Full),
        }
    }

    /// A place is taken by a context that had `held` of them; `None` for no context.
    pub(super) fn take(&mut self, held: Option<u32>) {
        self.free -= 1;
        self.unused -= u32::from(held.is_some_and(|held| held < self.own));
    }

    /// A place is free again; its owner has so many now.
    pub(super) fn give_back(&mut self, held: Option<u32>) {
        self.free += 1;
        self.unused += u32::from(held.is_some_and(|held| held < self.own));
    }
}

impl From<NoPlace> for SubmitError {
    fn from(no_place: NoPlace) -> Self {
        match no_place {
            NoPlace::Full => Self::Full,
            NoPlace::OverShare => Self::OverShare,
        }
    }
}

impl From<NoPlace> for QueueError {
    fn from(no_place: NoPlace) -> Self {
        match no_place {
            NoPlace::Full => Self::Full,
            NoPlace::OverShare => Self::OverShare,
        }
    }
}

impl<S: Storage> Scheduler<S> {
    /// Jobs that the context of a queue holds.
    pub(super) fn jobs_of_context(&mut self, queue: u32) -> Option<&mut u32> {
        let context = self.queues.as_ref()[queue as usize].context;
        Some(&mut self.contexts.as_mut().get_mut(context as usize)?.jobs)
    }
}
