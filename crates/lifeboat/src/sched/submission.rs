//! Submission: how jobs get their places in the core, and how a submitter runs its job itself.

use lifeboat_core::sched::{Action, JobId, JobSpec, QueueId, Reservation, SubmitError};
use lifeboat_sync::lint::MutexGuard;

use super::in_hand::has_work_in_hand;
use super::seat::{Ran, Run, Seat};
use super::shared::{Core, SchedulerInner, SchedulerState, Worker};
use super::waits::Held;
use crate::fence::{Origin, Unsignalled, is_delivering};
use crate::panics::contained;

/// A job that is built and refers to a fence, but has no place yet.
pub(super) struct Built<J> {
    pub(super) spec: JobSpec,
    pub(super) promise: Unsignalled,
    pub(super) held: Held<J>,
}

impl<J> SchedulerInner<J> {
    /// Reserves and commits, under one lock: for a job that waits for nothing. If the worker rests and nothing is in the
    /// job's way, this thread runs it.
    pub(super) fn submit(&self, queue: QueueId, built: Built<J>) -> Result<(), SubmitError> {
        // `built` outlives the lock if it is refused: what it holds may be somebody else's code.
        let mut state = self.state.lock();
        let reservation = state.core.reserve(queue, built.spec)?;
        let job = self.commit_one(&mut state.core, reservation, built);
        if let Some((seat, run)) = self.run_now(&mut state, job) {
            self.run_here(state, seat, run);
        } else {
            self.fed(state);
        }
        Ok(())
    }

    /// Takes the seat for a job that was committed just now, if this thread may run it. A thread that carries out
    /// something, or is in a fence's callback, may not: its caller waits for it.
    fn run_now(&self, state: &mut SchedulerState<J>, job: JobId) -> Option<(Seat<J>, Run<J>)> {
        if !self.run_by_submitter || has_work_in_hand() || is_delivering() {
            return None;
        }
        if state.seat.as_ref().is_none_or(Seat::is_given_up) {
            return None;
        }
        // The job comes along, as the worker's do.
        let held = state.core.payload(job)?.job.clone();
        let Some(Action::Run { job: id, ring, seqno, .. }) = state.core.run_now(job) else { return None };
        let seat = state.seat.take()?;
        Some((seat, Run { id, ring, job: held, seqno }))
    }

    /// Runs a job on this thread, with the lock released, and gives the seat back. The worker is woken only if there is
    /// something for it: its next deadline comes sooner than it wakes, it waits for the seat, or the job has failed.
    fn run_here(&self, mut state: MutexGuard<'_, SchedulerState<J>>, mut seat: Seat<J>, run: Run<J>) {
        let (id, ring, seqno) = (run.id, run.ring, run.seqno);
        let (ran, at) = self.carry_out(&mut state, || {
            let ran = seat.run(&run);
            let at = self.now();
            // Perhaps the last of it.
            contained("a job's drop", || drop(run));
            (ran, at)
        });
        match ran {
            Ran::Given => state.core.started(ring, seqno, at),
            Ran::Refused => state.core.start_failed(id),
            Ran::GivenUp => {}
        }
        if state.worker == Worker::Ended {
            // The worker has panicked, and nobody else will end the rings.
            drop(state);
            return drop(seat);
        }
        state.seat = Some(seat);
        let due = state.core.next_deadline();
        let too_late = due.is_some_and(|due| state.sleeps_until.is_none_or(|wakes| due < wakes));
        if ran != Ran::Given || state.worker_stands || too_late {
            self.wake_worker(state);
        }
    }

    /// Reserves a place for each, or for none. `places` has room for them.
    pub(super) fn reserve(
        &self,
        queue: QueueId,
        specs: impl Iterator<Item = JobSpec>,
        places: &mut Vec<Reservation>,
    ) -> Result<(), SubmitError> {
        let mut state = self.state.lock();
        for spec in specs {
            match state.core.reserve(queue, spec) {
                Ok(place) => places.push(place),
                Err(error) => {
                    places.drain(..).for_each(|place| state.core.cancel(place));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// A reserved job waits for these of the same scheduler, and lends them its priority.
    pub(super) fn lend(&self, place: &Reservation, jobs: &[JobId]) {
        let mut state = self.state.lock();
        for job in jobs {
            state.core.lend_to(place, *job);
        }
    }

    /// Commits what was reserved, in order, under one lock.
    pub(super) fn commit(&self, places: &mut Vec<Reservation>, jobs: &mut Vec<Built<J>>) {
        let mut state = self.state.lock();
        for (place, built) in places.drain(..).zip(jobs.drain(..)) {
            self.commit_one(&mut state.core, place, built);
        }
        self.fed(state);
    }

    /// Numbers and places in the queue are given under one lock, so that they have one order.
    fn commit_one(&self, core: &mut Core<J>, place: Reservation, built: Built<J>) -> JobId {
        built.promise.number();
        built.promise.set_origin(Origin { scheduler: self.number, job: place.job() });
        core.commit(place, built.promise, built.held)
    }
}
