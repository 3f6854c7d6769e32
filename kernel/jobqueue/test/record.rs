// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What was called, in its order. Noting it allocates nothing.

use core::time::Duration;

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_jobqueue::clock::Clock;
use lifeboat_jobqueue::Ledger;

use crate::model::RINGS;

/// Most calls of one scenario.
const MOST: usize = 256;

/// What can happen. Jobs, and what firmware holds, are named by their numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// A ring was given a job.
    Run(u32),
    /// The scenario has a ring complete a job.
    Completed(u32),
    /// A ring was told to give up a job.
    Abort(u32),
    /// The firmware was asked to let go of the queue that it holds this of.
    LetGo(u32),
    /// The same, as a last look.
    LastLook(u32),
    /// The scenario has the firmware let go.
    HasLetGo(u32),
    /// A ring was reset.
    ResetRing(u8),
    /// The device was reset.
    ResetDevice,
    /// The device was given up.
    GiveUp,
    /// What a job or a firmware kept alive was dropped.
    Dropped(u32),
}

struct Entry {
    call: Call,
    at: Duration,
}

/// A job's place on a ring.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    job: u32,
    pub(crate) ring: u8,
    pub(crate) seqno: Seqno,
    cost: u32,
    is_there: bool,
}

struct Inner {
    entries: KVec<Entry>,
    places: KVec<Place>,
    /// The most that there was on each ring at a time.
    most: [u32; RINGS],
}

/// The record of one scenario.
#[pin_data]
pub(crate) struct Record {
    #[pin]
    inner: SpinLock<Inner>,
    clock: Clock,
    /// Fences that have signalled.
    ended: Atomic<u32>,
    /// Things that were made.
    made: Atomic<u32>,
    /// Calls that there was no room for.
    missed: Atomic<u32>,
}

impl Record {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let entries = KVec::with_capacity(MOST, GFP_KERNEL)?;
        let places = KVec::with_capacity(MOST, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                inner <- new_spinlock!(Inner { entries, places, most: [0; RINGS] }, "lifeboat_test::record"),
                clock: Clock::start(),
                ended: Atomic::new(0),
                made: Atomic::new(0),
                missed: Atomic::new(0),
            }),
            GFP_KERNEL,
        )
    }

    pub(crate) fn note(&self, call: Call) {
        let mut inner = self.inner.lock();
        let entry = Entry { call, at: self.clock.elapsed() };
        if inner.entries.push_within_capacity(entry).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn made_one(&self) {
        self.made.fetch_add(1, Relaxed);
    }

    /// A ring has been given a job.
    pub(crate) fn enters(&self, job: u32, cost: u32, ring: u8, seqno: Seqno) {
        let place = Place { job, ring, seqno, cost, is_there: true };
        let mut inner = self.inner.lock();
        if inner.places.push_within_capacity(place).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
        let there = inner.places.iter().filter(|place| place.is_there && place.ring == ring).map(|place| place.cost);
        let there: u32 = there.sum();
        if let Some(most) = inner.most.get_mut(usize::from(ring)) {
            *most = there.max(*most);
        }
    }

    /// A job leaves its ring. Says where it was.
    pub(crate) fn leaves(&self, job: u32) -> Option<Place> {
        let mut inner = self.inner.lock();
        let place = inner.places.iter_mut().find(|place| place.is_there && place.job == job)?;
        place.is_there = false;
        Some(*place)
    }

    /// A ring has nothing left, or all rings have.
    pub(crate) fn is_empty(&self, ring: Option<u8>) {
        let mut inner = self.inner.lock();
        let places = inner.places.iter_mut().filter(|place| ring.is_none_or(|ring| place.ring == ring));
        places.for_each(|place| place.is_there = false);
    }

    /// Whether a job is on a ring.
    pub(crate) fn has(&self, job: u32) -> bool {
        self.inner.lock().places.iter().any(|place| place.is_there && place.job == job)
    }

    /// The most that there was on a ring at a time.
    pub(crate) fn most(&self, ring: usize) -> u32 {
        self.inner.lock().most.get(ring).copied().unwrap_or(0)
    }

    /// How often something was called.
    pub(crate) fn times(&self, call: Call) -> usize {
        self.inner.lock().entries.iter().filter(|entry| entry.call == call).count()
    }

    /// Whether something has happened.
    pub(crate) fn saw(&self, call: Call) -> bool {
        self.times(call) > 0
    }

    /// Whether anything was reset or given up.
    pub(crate) fn saw_reset(&self) -> bool {
        let is_reset = |call| matches!(call, Call::ResetRing(_) | Call::ResetDevice | Call::GiveUp);
        self.inner.lock().entries.iter().any(|entry| is_reset(entry.call))
    }

    /// Whether these calls came once each, and in this order; others may have come between them.
    pub(crate) fn is_in_order(&self, calls: &[Call]) -> bool {
        let inner = self.inner.lock();
        let all = || inner.entries.iter().map(|entry| entry.call).filter(|call| calls.contains(call));
        all().count() == calls.len() && all().eq(calls.iter().copied())
    }

    /// The time from one call to another; `None` unless both have come.
    pub(crate) fn between(&self, first: Call, then: Call) -> Option<Duration> {
        let inner = self.inner.lock();
        let at = |call| inner.entries.iter().find(|entry| entry.call == call).map(|entry| entry.at);
        at(then)?.checked_sub(at(first)?)
    }

    /// Fences that have signalled.
    pub(crate) fn signalled(&self) -> u32 {
        self.ended.load(Relaxed)
    }

    /// Things that were made and not dropped.
    pub(crate) fn alive(&self) -> usize {
        let is_drop = |entry: &&Entry| matches!(entry.call, Call::Dropped(_));
        let dropped = self.inner.lock().entries.iter().filter(is_drop).count();
        (self.made.load(Relaxed) as usize).wrapping_sub(dropped)
    }

    /// Whether all calls were noted.
    pub(crate) fn is_whole(&self) -> bool {
        self.missed.load(Relaxed) == 0
    }
}

impl Ledger for Record {
    fn ended(&self, _outcome: Result<(), FenceError>) {
        self.ended.fetch_add(1, Relaxed);
    }
}
