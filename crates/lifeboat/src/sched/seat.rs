//! The seat: whoever has it asks the rings, and nobody else does.
//!
//! The worker has it while it has anything to do. When it rests, the seat is in the scheduler's state, under the lock;
//! then a thread that submits a job that nothing is in the way of takes it, runs the job itself, and puts it back.
//! So nobody is woken for such a job. Which job that is, the core says
//! ([`run_now`](lifeboat_core::sched::Scheduler::run_now)).
//!
//! Numbers are given to a ring in their order, because one thread at a time has the seat, and what it was handed out is
//! written before it gives the seat back. A worker that finds it taken still gives all signals, which need no rings.

use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{Abort, Began, ErrorScope, JobId, LetGo, QueueId, RingIndex};

use super::{AtRest, Rings};
use crate::panics::{caught, contained};

/// A job to be given to its ring.
pub(super) struct Run<J> {
    pub(super) id: JobId,
    pub(super) ring: RingIndex,
    pub(super) job: Arc<J>,
    pub(super) seqno: Seqno,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// The ring has it.
    Given,
    /// It fails alone.
    Refused,
    /// The device is given up, now or before.
    GivenUp,
}

/// [`Rings`] of whatever type, whose errors are in the log already.
pub(super) trait Asked<J>: Send {
    fn run(&mut self, ring: RingIndex, job: &Arc<J>, seqno: Seqno) -> Result<(), ErrorScope>;
    fn reset_ring(&mut self, ring: RingIndex, seqno: Seqno) -> bool;
    fn still_running(&mut self, ring: RingIndex, job: &Arc<J>) -> bool;
    fn began(&mut self, ring: RingIndex, job: &Arc<J>) -> Began;
    fn abort(&mut self, ring: RingIndex, job: &Arc<J>, seqno: Seqno) -> Abort;
    fn let_go(&mut self, ring: RingIndex, queue: QueueId, kept: &Arc<J>, last_look: bool) -> LetGo;
    fn reset_device(&mut self, numbers: &[Seqno]) -> bool;
    fn progress(&mut self, ring: RingIndex) -> Option<Seqno>;
    fn give_up(&mut self);
    fn look(&mut self) -> Option<Instant>;
    fn quiesce(&mut self) -> AtRest;
}

impl<R: Rings> Asked<R::Job> for R {
    fn run(&mut self, ring: RingIndex, job: &Arc<R::Job>, seqno: Seqno) -> Result<(), ErrorScope> {
        Rings::run(self, ring, job, seqno).map_err(|error| {
            let scope = self.scope(&error);
            tracing::warn!(ring = ring.0, %error, ?scope, "a job could not be given to the device");
            scope
        })
    }

    fn reset_ring(&mut self, ring: RingIndex, seqno: Seqno) -> bool {
        let reset = Rings::reset_ring(self, ring, seqno).inspect_err(|error| {
            tracing::warn!(ring = ring.0, %error, "a ring could not be reset, or does not work; the whole device is next");
        });
        reset.is_ok()
    }

    fn still_running(&mut self, ring: RingIndex, job: &Arc<R::Job>) -> bool {
        Rings::still_running(self, ring, job)
    }

    fn began(&mut self, ring: RingIndex, job: &Arc<R::Job>) -> Began {
        Rings::began(self, ring, job)
    }

    fn abort(&mut self, ring: RingIndex, job: &Arc<R::Job>, seqno: Seqno) -> Abort {
        Rings::abort(self, ring, job, seqno)
    }

    fn let_go(&mut self, ring: RingIndex, queue: QueueId, kept: &Arc<R::Job>, last_look: bool) -> LetGo {
        Rings::let_go(self, ring, queue, kept, last_look)
    }

    fn reset_device(&mut self, numbers: &[Seqno]) -> bool {
        let reset = Rings::reset_device(self, numbers).inspect_err(|error| {
            tracing::warn!(%error, "the device could not be reset, or does not work; it is given up");
        });
        reset.is_ok()
    }

    fn progress(&mut self, ring: RingIndex) -> Option<Seqno> {
        Rings::progress(self, ring)
    }

    fn give_up(&mut self) {
        Rings::give_up(self);
    }

    fn look(&mut self) -> Option<Instant> {
        Rings::look(self)
    }

    fn quiesce(&mut self) -> AtRest {
        Rings::quiesce(self)
    }
}

/// The rings, for one thread at a time.
pub(super) struct Seat<J> {
    /// `None` at the end of their life.
    rings: Option<Box<dyn Asked<J>>>,
    /// They are asked for nothing more.
    given_up: bool,
}

impl<J> Seat<J> {
    pub(super) fn new<R: Rings<Job = J>>(rings: R) -> Self {
        Self { rings: Some(Box::new(rings)), given_up: false }
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Asks something of the rings, unless they are given up.
    pub(super) fn ask<T>(&mut self, what: &str, f: impl FnOnce(&mut dyn Asked<J>) -> T) -> Option<T> {
        if self.given_up {
            return None;
        }
        self.contain(what, |seat| {
            let rings = seat.rings.as_deref_mut()?;
            Some(f(rings))
        })
        .flatten()
    }

    /// Gives a job to its ring.
    pub(super) fn run(&mut self, run: &Run<J>) -> Ran {
        let Run { ring, job, seqno, .. } = run;
        match self.ask("running a job", |rings| rings.run(*ring, job, *seqno)) {
            Some(Ok(())) => Ran::Given,
            Some(Err(ErrorScope::Job)) => Ran::Refused,
            Some(Err(ErrorScope::Device)) => {
                self.give_up();
                Ran::GivenUp
            }
            None => Ran::GivenUp,
        }
    }

    pub(super) fn give_up(&mut self) {
        if !self.given_up {
            self.ask("giving up a device", |rings| rings.give_up());
            self.given_up = true;
        }
    }

    /// The last that is asked of them; then they are dropped.
    pub(super) fn quiesce(&mut self) -> AtRest {
        let at_rest =
            self.contain("bringing a device to rest", |seat| seat.rings.as_deref_mut().map(|rings| rings.quiesce()));
        self.contain("dropping the rings", |seat| drop(seat.rings.take()));
        at_rest.flatten().unwrap_or(AtRest::NotYet)
    }

    /// A driver's panic ends the device, not the duty to signal: what state the rings are in is no longer known.
    fn contain<T>(&mut self, what: &str, f: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let result = caught(what, || f(self));
        if result.is_none() && !self.given_up {
            self.given_up = true;
            contained("giving up a device", || {
                if let Some(rings) = self.rings.as_deref_mut() {
                    rings.give_up();
                }
            });
        }
        result
    }
}

/// Where it is left by a panic of the core or of the worker, the device is given up.
impl<J> Drop for Seat<J> {
    fn drop(&mut self) {
        if self.rings.is_some() && !self.given_up {
            self.give_up();
        }
        contained("dropping the rings", || drop(self.rings.take()));
    }
}
