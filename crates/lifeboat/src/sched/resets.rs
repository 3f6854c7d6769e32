//! What the worker does when something hangs: it looks, has the ring give up the job, resets the ring, resets the device;
//! in this order, and no further than the core asks.

use std::sync::Arc;

use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{Abort, Began, RingIndex};

use super::worker::{Guard, Runner};
use crate::panics::contained;

/// What is to be reset.
pub(super) enum Trouble<J> {
    Ring { ring: RingIndex, suspect: Option<Arc<J>> },
    Device,
}

impl<J> Runner<'_, J> {
    /// Sees to it, with the lock released, and tells the core how it went; unless the rings are asked for nothing more.
    pub(super) fn see_to(&mut self, state: &mut Guard<'_, J>, trouble: Trouble<J>) {
        match trouble {
            Trouble::Ring { ring, suspect } => {
                if self.moves(state, ring, suspect) && state.core.still_running(ring, self.shared.now()) {
                    return;
                }
                self.ask_whether_begun(state, ring);
                // The suspect may have completed while the driver looked.
                self.ask_progress(state, ring);
                if self.abort(state, ring) {
                    return;
                }
                // If it is not to be reset, something larger may be: that is the next action.
                let Some(seqno) = state.core.begin_reset(ring) else { return };
                let shared = self.shared;
                if let Some(succeeded) = shared.carry_out(state, || self.reset_ring(ring, seqno)) {
                    state.core.reset_done(ring, succeeded);
                }
            }
            Trouble::Device => {
                let rings = (0..self.shared.rings).map(RingIndex);
                for ring in rings.clone() {
                    self.ask_whether_begun(state, ring);
                    self.ask_progress(state, ring);
                }
                if !state.core.begin_device_reset() {
                    return;
                }
                self.numbers.clear();
                self.numbers.extend(rings.filter_map(|ring| state.core.number_after_reset(ring)));
                let shared = self.shared;
                if let Some(succeeded) = shared.carry_out(state, || self.reset_device()) {
                    state.core.device_reset_done(succeeded);
                }
            }
        }
    }

    /// Asks a ring how far it is, and tells the core.
    pub(super) fn ask_progress(&mut self, state: &mut Guard<'_, J>, ring: RingIndex) {
        let shared = self.shared;
        let progress = shared.carry_out(state, || self.ask("asking a ring", |rings| rings.progress(ring)));
        if let Some(seqno) = progress.flatten() {
            // The next job's time begins now, however long ago the round began.
            state.core.hw_done(ring, seqno, shared.now());
        }
    }

    /// Asks whether a ring has begun the job that is guilty if it is reset now, and tells the core.
    fn ask_whether_begun(&mut self, state: &mut Guard<'_, J>, ring: RingIndex) {
        // A job that has completed is no suspect.
        self.ask_progress(state, ring);
        let Some(suspect) = state.core.suspect(ring) else { return };
        let Some(job) = state.core.payload(suspect).map(|held| held.job.clone()) else { return };
        let shared = self.shared;
        let began = shared.carry_out(state, || {
            let began = self.ask("looking at a ring", |rings| rings.began(ring, &job));
            // In here: it may be the last of the job, which is not for under the lock.
            contained("a job's drop", || drop(job));
            began.unwrap_or_default()
        });
        if began == Began::No {
            tracing::warn!(ring = ring.0, "the ring is not in the job that is overdue or faulted: nobody is to blame");
        }
        state.core.suspect_began(suspect, began);
    }

    /// Whether the driver sees a job move.
    fn moves(&mut self, state: &mut Guard<'_, J>, ring: RingIndex, suspect: Option<Arc<J>>) -> bool {
        let shared = self.shared;
        shared.carry_out(state, || {
            let Some(job) = suspect else { return false };
            let moves = self.ask("looking at a job", |rings| rings.still_running(ring, &job));
            // In here: it may be the last of the job, which is not for under the lock.
            contained("a job's drop", || drop(job));
            moves.unwrap_or(false)
        })
    }

    /// Has a ring give up its suspect, if the core wants that and the driver can.
    fn abort(&mut self, state: &mut Guard<'_, J>, ring: RingIndex) -> bool {
        let Some((suspect, seqno)) = state.core.begin_abort(ring) else { return false };
        let Some(job) = state.core.payload(suspect).map(|held| held.job.clone()) else { return false };
        let shared = self.shared;
        let answer = shared.carry_out(state, || {
            let answer = self.ask("aborting a job", |rings| rings.abort(ring, &job, seqno));
            // In here: it may be the last of the job, which is not for under the lock.
            contained("a job's drop", || drop(job));
            answer.unwrap_or_default()
        });
        if answer != Abort::Cannot {
            tracing::warn!(ring = ring.0, ?answer, "a job is overdue, and is aborted");
        }
        state.core.abort_answered(ring, answer, shared.now())
    }

    fn reset_ring(&mut self, ring: RingIndex, seqno: Seqno) -> Option<bool> {
        self.ask("resetting a ring", |rings| rings.reset_ring(ring, seqno))
    }

    fn reset_device(&mut self) -> Option<bool> {
        let numbers = std::mem::take(&mut self.numbers);
        let result = self.ask("resetting a device", |rings| rings.reset_device(&numbers));
        self.numbers = numbers;
        result
    }
}
