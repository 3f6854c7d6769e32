//! Turns: which queue of a ring is next (SCHED-8, SCHED-9).
//!
//! - *Between priorities*: the highest that has a ready queue. One that was passed by [`PASSES`]
//!   times goes first for one job, so that none is starved for ever.
//! - *Between contexts*: the one that has used least of the ring's time at that priority. Time is
//!   known when a job has ended; when it is given to the ring, the context is charged as much as
//!   its last job took, and the difference later. A context that had nothing to do is counted as
//!   having used as much as the one that was served last: it saves up nothing. A context that is
//!   opened inherits what the last that was closed has used.
//! - *Between queues of a context*: in turn, a job each. Queues of no context are one party
//!   together.
//!
//! So a context with a hundred queues gets as much of a ring as one with a single queue, and one
//! whose jobs are long gets fewer of them. This is least attained service with a floor, as in
//! start-time fair queueing; decision 14 says why, and what the bound is.

use core::time::Duration;

use super::heap::Heap;
use super::list::{List, NONE};
use super::slots::Stands;
use super::{JobSlot, Priority, Scheduler, Storage, PRIORITIES};
use crate::Timestamp;

/// How many jobs of higher priorities a ring is given while one of a lower priority is ready: then
/// the lower has a turn. With 16, the higher ones keep 94 % of the turns.
pub(super) const PASSES: u8 = 16;

/// What a context, or all queues without a context together, have of one ring.
#[derive(Debug, Clone, Default)]
#[cfg_attr(test, derive(PartialEq, Eq, Hash))]
pub(super) struct Turn {
    /// At each priority, for itself: what is used while a higher one waits is not saved up there.
    pub(super) at: [Level; PRIORITIES],
    /// What the last job took: the next one is charged so much in advance.
    pub(super) last: u64,
    /// It has had a queue there since its context was opened.
    pub(super) known: bool,
}

/// The same at one priority. Times are in nanoseconds.
#[derive(Debug, Clone, Default)]
#[cfg_attr(test, derive(PartialEq, Eq, Hash))]
pub(super) struct Level {
    /// Time used, what was charged in advance included.
    pub(super) used: u64,
    /// The part of it that was charged in advance, for jobs that have not ended.
    pub(super) ahead: u64,
    /// Queues whose oldest job can run.
    pub(super) ready: List,
}

/// Whether a queue was among the ready ones a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    Back,
}

/// Storage for the turns of one context on one ring; see [`Stores::turns`](super::Stores::turns).
#[derive(Debug)]
#[cfg_attr(test, derive(Clone, PartialEq, Eq, Hash))]
pub struct TurnSlot {
    pub(super) turn: Turn,
    /// The context at this place of the ring's heaps.
    pub(super) heap: [u32; PRIORITIES],
    /// The place of this context in the ring's heaps.
    pub(super) place: [u32; PRIORITIES],
}

impl Default for TurnSlot {
    fn default() -> Self {
        Self { turn: Turn::default(), heap: [NONE; PRIORITIES], place: [NONE; PRIORITIES] }
    }
}

/// The turns of one ring.
#[derive(Debug, Clone, Default)]
#[cfg_attr(test, derive(PartialEq, Eq, Hash))]
pub(super) struct RingTurns {
    /// Of the queues that belong to no context.
    pub(super) unowned: Turn,
    /// Contexts with ready queues, by priority.
    pub(super) waiting: [u32; PRIORITIES],
    /// How often each priority was passed by since its last turn.
    pub(super) passed: [u8; PRIORITIES],
    /// At each priority the most that any party had used when it was served.
    pub(super) floor: [u64; PRIORITIES],
    /// The most that a context has used which is closed: the next one to be opened inherits it, so
    /// that opening another context does not shed what was used.
    pub(super) left: [u64; PRIORITIES],
    /// What the last job took, of whichever context.
    pub(super) last: u64,
}

impl<S: Storage> Scheduler<S> {
    /// The queue whose turn it is.
    pub(super) fn next_queue(&self, ring: usize) -> Option<u32> {
        let passed = |level: &usize| self.rings.as_ref()[ring].turns.passed[*level] >= PASSES;
        let ready = |level: &usize| self.first_at(ring, *level);
        let overdue = (0..PRIORITIES).filter(passed).find_map(|level| ready(&level));
        overdue.or_else(|| (0..PRIORITIES).find_map(|level| ready(&level)))
    }

    /// The first queue of one priority.
    fn first_at(&self, ring: usize, level: usize) -> Option<u32> {
        let turns = &self.rings.as_ref()[ring].turns;
        let unowned = &turns.unowned.at[level];
        if turns.waiting[level] == 0 {
            return unowned.ready.front();
        }
        // The root of the heap is at the place of the first context.
        let context = self.turns.as_ref()[ring].heap[level];
        let least = &self.turns.as_ref()[self.turn_index(ring, context)?].turn.at[level];
        let first = if !unowned.ready.is_empty() && unowned.used < least.used { unowned } else { least };
        first.ready.front()
    }

    /// A queue is given a turn: priorities below it are passed by.
    pub(super) fn take_turn(&mut self, ring: usize, queue: u32) {
        let (level, context) = {
            let slot = &self.queues.as_ref()[queue as usize];
            (slot.listed as usize, slot.context)
        };
        let used = self.turn(ring, context).at[level].used;
        for lower in level + 1..PRIORITIES {
            let waits = self.first_at(ring, lower).is_some();
            let passed = &mut self.rings.as_mut()[ring].turns.passed[lower];
            *passed = if waits { passed.saturating_add(1) } else { 0 };
        }
        let turns = &mut self.rings.as_mut()[ring].turns;
        turns.passed[level] = 0;
        turns.floor[level] = turns.floor[level].max(used);
    }

    /// Charges a queue's party for a job in advance, and says how much, and at which priority.
    pub(super) fn charge(&mut self, ring: usize, queue: u32) -> (u64, Priority) {
        let slot = &self.queues.as_ref()[queue as usize];
        let (context, level) = (slot.context, slot.listed);
        // At least something, so that jobs that take no time take turns.
        let charge = self.turn(ring, context).last.max(1);
        self.use_time(ring, context, level, |turn| {
            turn.used = turn.used.saturating_add(charge);
            turn.ahead = turn.ahead.saturating_add(charge);
        });
        (charge, level)
    }

    /// A job of the queue has ended, or is none of the ring's any more: what it was charged in
    /// advance is given back, and what it took is charged, if it was executed.
    pub(super) fn settle(&mut self, ring: usize, queue: u32, (charged, level): (u64, Priority), took: Option<u64>) {
        let context = self.queues.as_ref()[queue as usize].context;
        if let Some(took) = took {
            self.rings.as_mut()[ring].turns.last = took;
            Self::turn_of(self.turns.as_mut(), self.rings.as_mut(), ring, context).last = took;
        }
        self.use_time(ring, context, level, |turn| {
            turn.ahead = turn.ahead.saturating_sub(charged);
            turn.used = turn.used.saturating_sub(charged).saturating_add(took.map_or(0, |took| took.max(1)));
        });
    }

    /// The job that is accused, or else the oldest of a ring, has used it since its time began, or
    /// since this was called last: that is charged at once, whatever becomes of the job.
    pub(super) fn charge_so_far(&mut self, ring: usize, now: Timestamp) {
        let slot = &mut self.rings.as_mut()[ring];
        let job = slot.accused().or(slot.pending.front());
        let (Some(job), Some(since)) = (job, slot.since) else { return };
        slot.since = Some(now);
        let JobSlot { queue, charged_at, .. } = self.jobs.as_ref()[job as usize];
        let context = self.queues.as_ref()[queue as usize].context;
        let time = nanoseconds(since, now);
        self.use_time(ring, context, charged_at, |turn| turn.used = turn.used.saturating_add(time));
    }

    /// A queue comes last among the ready ones of its party at its priority.
    pub(super) fn list_ready(&mut self, queue: u32, arrival: Arrival) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        let (ring, level, context) = (usize::from(slot.ring.0), slot.level(), slot.context);
        (slot.stands, slot.listed) = (Stands::Ready, level);
        let level = level as usize;
        if arrival == Arrival::New {
            self.arrives(ring, level, context);
        }
        let turn = &mut Self::turn_of(self.turns.as_mut(), self.rings.as_mut(), ring, context).at[level];
        let first = turn.ready.is_empty();
        turn.ready.push_back(self.queues.as_mut(), queue);
        if first && self.turn_index(ring, context).is_some() {
            self.heap(ring, level).push(context);
        }
    }

    /// Takes a queue out of the ready ones.
    pub(super) fn unlist_ready(&mut self, queue: u32) {
        let slot = &mut self.queues.as_mut()[queue as usize];
        let (ring, level, context) = (usize::from(slot.ring.0), slot.listed as usize, slot.context);
        slot.stands = Stands::Nowhere;
        let turn = &mut Self::turn_of(self.turns.as_mut(), self.rings.as_mut(), ring, context).at[level];
        turn.ready.remove(self.queues.as_mut(), queue);
        let last = turn.ready.is_empty();
        if last && self.turn_index(ring, context).is_some() {
            self.heap(ring, level).remove(context);
        }
    }

    /// A party has come to have work at a priority, where it may have had none. It is in no heap
    /// then.
    fn arrives(&mut self, ring: usize, level: usize, context: u32) {
        let turns = &mut self.rings.as_mut()[ring].turns;
        let (floor, last) = (turns.floor[level], turns.last);
        let turn = Self::turn_of(self.turns.as_mut(), self.rings.as_mut(), ring, context);
        if !turn.at[level].ready.is_empty() {
            return;
        }
        let is_new = context != NONE && !core::mem::replace(&mut turn.known, true);
        if is_new {
            turn.last = last;
        }
        let at = &mut turn.at[level];
        // Nothing is saved up by a party that had nothing to do.
        at.used = at.used.max(floor.saturating_add(at.ahead));
        if is_new {
            let left = core::mem::take(&mut self.rings.as_mut()[ring].turns.left);
            let turn = Self::turn_of(self.turns.as_mut(), self.rings.as_mut(), ring, context);
            for (at, left) in turn.at.iter_mut().zip(left) {
                at.used = at.used.max(left);
            }
        }
    }

    /// A context is closed, and its slot free. The next context takes over what it has used.
    pub(super) fn leave_turns(&mut self, context: u32) {
        for ring in 0..self.rings.as_ref().len() {
            let Some(index) = self.turn_index(ring, context) else { continue };
            let turn = core::mem::take(&mut self.turns.as_mut()[index].turn);
            let left = &mut self.rings.as_mut()[ring].turns.left;
            for (left, at) in left.iter_mut().zip(turn.at) {
                *left = at.used.max(*left);
            }
        }
    }

    fn use_time(&mut self, ring: usize, context: u32, level: Priority, change: impl FnOnce(&mut Level)) {
        let level = level as usize;
        let turn = &mut Self::turn_of(self.turns.as_mut(), self.rings.as_mut(), ring, context).at[level];
        change(turn);
        let waits = !turn.ready.is_empty();
        if waits && self.turn_index(ring, context).is_some() {
            self.heap(ring, level).moved(context);
        }
    }

    /// Where a context's turns on a ring are; `None` for queues of no context, and without
    /// [storage](super::Stores::turns).
    fn turn_index(&self, ring: usize, context: u32) -> Option<usize> {
        let index = (context as usize).checked_mul(self.rings.as_ref().len())?.checked_add(ring)?;
        (context != NONE && index < self.turns.as_ref().len()).then_some(index)
    }

    fn turn(&self, ring: usize, context: u32) -> &Turn {
        match self.turn_index(ring, context) {
            Some(index) => &self.turns.as_ref()[index].turn,
            None => &self.rings.as_ref()[ring].turns.unowned,
        }
    }

    /// The same, for a change; `queues` is not borrowed.
    fn turn_of<'a>(
        turns: &'a mut [TurnSlot],
        rings: &'a mut [super::RingSlot],
        ring: usize,
        context: u32,
    ) -> &'a mut Turn {
        let index = (context as usize).saturating_mul(rings.len()).saturating_add(ring);
        match turns.get_mut(index).filter(|_| context != NONE) {
            Some(slot) => &mut slot.turn,
            None => &mut rings[ring].turns.unowned,
        }
    }

    fn heap(&mut self, ring: usize, level: usize) -> Heap<'_> {
        let rings = self.rings.as_mut();
        let count = rings.len();
        Heap::new(self.turns.as_mut(), &mut rings[ring].turns.waiting[level], [count, ring, level])
    }
}

/// Nanoseconds between two moments; 0 if the second is not later.
pub(super) fn nanoseconds(from: Timestamp, to: Timestamp) -> u64 {
    let time: Duration = to.since_beginning().saturating_sub(from.since_beginning());
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
