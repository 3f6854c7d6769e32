//! Aborts: a ring gives up one job, before it is reset for that job (SCHED-4).
//!
//! A reset costs everybody on the ring. So a ring that can is asked first to give up the overdue
//! job alone; one that cannot says so, and is reset as if it had not been asked.
//!
//! | the ring's [answer](Abort), and what follows | the job | the ring |
//! |---|---|---|
//! | cannot | guilty, unless it completes before the reset | is reset |
//! | done | guilty: its fence ends, its memory is released | goes on |
//! | asked, then the job is reported as [aborted](Scheduler::aborted) | the same | goes on |
//! | asked, then the job is reported as completed | has completed: it was slow, not hung | goes on |
//! | asked, and neither within the job's own limit, or [`Limits::job_timeout`](super::Limits::job_timeout) if that is shorter | guilty, unless one of them still comes | is reset |
//! | asked, and the ring stops with a fault, or is lost with the device | as without the abort | as without it |
//!
//! Each job is aborted at most once for each time that it runs, and gets no
//! [extension](Scheduler::still_running) afterwards, so that an abort delays a reset by at most its
//! limit. The ring is given no work in that time. Not aborted is a job that the ring has not begun:
//! then the ring itself is suspect. An aborted job is charged to its context as one that caused a
//! reset; no other job is a victim of it.

use core::time::Duration;

use super::slots::{Blame, DeviceState, RingState};
use super::{JobId, RingIndex, Scheduler, Storage};
use crate::fence::{FenceError, Seqno};
use crate::{Id, Timestamp};

/// What a ring that is to give up one job says to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Abort {
    /// It cannot, or has failed to.
    #[default]
    Cannot,
    /// It was told to, and will report how the job has ended.
    Asked,
    /// It has given the job up, and reads nothing of it any more.
    Done,
}

impl<S: Storage> Scheduler<S> {
    /// Asks whether the suspect of an [`Action::ResetRing`](super::Action::ResetRing) is to be
    /// aborted before the ring is reset; called after the shell has looked and before
    /// [`Scheduler::begin_reset`]. Gives the job and its number; the shell then tells the ring, and
    /// the scheduler what that [answers](Scheduler::abort_answered). O(1).
    #[must_use = "if it gives a job, the job is to be aborted"]
    pub fn begin_abort(&mut self, ring: RingIndex) -> Option<(JobId, Seqno)> {
        let slot = self.rings.as_ref().get(usize::from(ring.0))?;
        let Blame::Overdue(suspect) = slot.blame else { return None };
        let stays = slot.state == RingState::Asked && self.device == DeviceState::Running;
        let job = &mut self.jobs.as_mut()[suspect as usize];
        if !stays || slot.acquitted || job.aborted {
            return None;
        }
        job.aborted = true;
        Some((Id::new(suspect, job.generation), job.seqno))
    }

    /// What the ring has answered after [`Scheduler::begin_abort`]. `true` if it is left alone for
    /// now; else [`Scheduler::begin_reset`] is to be asked, which also knows what has come between.
    /// O(1), or O(jobs on the ring) if the job is gone.
    #[must_use = "if false, the reset is still owed"]
    pub fn abort_answered(&mut self, ring: RingIndex, answer: Abort, now: Timestamp) -> bool {
        let Some(slot) = self.rings.as_mut().get_mut(usize::from(ring.0)) else { return false };
        let Blame::Overdue(suspect) = slot.blame else { return false };
        if slot.state != RingState::Asked || !self.jobs.as_ref()[suspect as usize].aborted {
            return false;
        }
        match answer {
            Abort::Cannot => return false,
            Abort::Asked => {
                slot.state = RingState::Aborting;
                self.await_abort(usize::from(ring.0), now);
            }
            Abort::Done => self.aborted(ring, self.jobs.as_ref()[suspect as usize].seqno, now),
        }
        true
    }

    /// A ring has given up the job with this number, and reads nothing of it any more: the job
    /// fails as guilty, and its context is charged. To be told before a number that is
    /// [behind](Scheduler::hw_done) it. Ignored, or taken as a release, as in
    /// [`Scheduler::hw_done_one`]. O(jobs on the ring).
    pub fn aborted(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        let index = usize::from(ring.0);
        let Some(job) = self.leaving_job(index, seqno) else { return };
        let slot = &self.rings.as_ref()[index];
        let (blame, accused) = (slot.blame, slot.accused());
        let was_oldest = slot.pending.front() == Some(job);
        self.was_given(index, seqno);
        self.charge_so_far(index, now);
        self.leave_ring(index, job);
        let slot = &mut self.jobs.as_mut()[job as usize];
        slot.on_hardware = false;
        let queue = slot.queue;
        // Its time was charged when it came under suspicion, and just now.
        self.settle_job(index, job, None);
        self.finish(job, Err(FenceError::Guilty));
        self.count_lone_failure(queue);
        self.has_left(index, seqno, was_oldest);
        self.judge_anew(index, (blame, accused), now);
    }

    /// The time of an abort begins, unless work rests or the device is being reset.
    pub(super) fn await_abort(&mut self, ring: usize, now: Timestamp) {
        if self.is_resting() {
            return;
        }
        let slot = &mut self.rings.as_mut()[ring];
        let Some(suspect) = slot.accused().filter(|_| slot.state == RingState::Aborting) else { return };
        let own = self.jobs.as_ref()[suspect as usize].time_limit.unwrap_or(Duration::MAX);
        slot.deadline = Some(now.plus(own.min(self.limits.job_timeout)));
    }
}
