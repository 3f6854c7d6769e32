// SPDX-License-Identifier: GPL-2.0 OR MIT

//! How long the rings have worked for a client.
//!
//! A job has had its ring from when it was written there, or from the end of the one before it, until
//! the hardware was found to be done with it. So the times of all clients add up to that of the ring.

use kernel::{
    prelude::*,
    sync::atomic::{Atomic, Relaxed},
};

/// Nanoseconds by ring.
pub(crate) struct Usage(KVec<Atomic<u64>>);

/// When each ring was last done with a job, in nanoseconds of the scheduler's time.
pub(crate) struct LastEnds(KVec<Atomic<u64>>);

fn zeroes(rings: u8) -> Result<KVec<Atomic<u64>>> {
    let mut zeroes = KVec::with_capacity(rings.into(), GFP_KERNEL)?;
    for _ in 0..rings {
        zeroes.push(Atomic::new(0), GFP_KERNEL)?;
    }
    Ok(zeroes)
}

impl Usage {
    pub(crate) fn new(rings: u8) -> Result<Self> {
        zeroes(rings).map(Self)
    }

    pub(crate) fn add(&self, ring: u8, nanoseconds: u64) {
        if let Some(used) = self.0.get(usize::from(ring)) {
            used.fetch_add(nanoseconds, Relaxed);
        }
    }

    /// By ring.
    pub(crate) fn all(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().map(|used| used.load(Relaxed))
    }
}

impl LastEnds {
    pub(crate) fn new(rings: u8) -> Result<Self> {
        zeroes(rings).map(Self)
    }

    /// A ring is done with a job that was written to it at `began`. Returns how long the job has had
    /// the ring. Called by the scheduler's worker alone.
    pub(crate) fn end(&self, ring: u8, began: u64, now: u64) -> u64 {
        let Some(last) = self.0.get(usize::from(ring)) else { return 0 };
        let since = began.max(last.load(Relaxed));
        last.store(now, Relaxed);
        now.saturating_sub(since)
    }
}
