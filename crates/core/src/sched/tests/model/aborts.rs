//! Aborts: a ring gives up one job before it is reset (SCHED-4).

use super::*;

impl Model {
    /// The job that a ring is to give up, and its number there.
    pub(in super::super) fn begin_abort(&mut self, ring: usize) -> Option<(JobId, Seqno)> {
        let slot = &self.rings[ring];
        let RingIs::Asked(Cause::Overdue(suspect)) = slot.is else { return None };
        let job = &mut self.jobs[suspect];
        if slot.acquitted || job.aborted || self.device != DeviceIs::Running {
            return None;
        }
        job.aborted = true;
        Some((job.handle, job.seqno))
    }

    /// Tells whether the ring is left alone for now.
    pub(in super::super) fn abort_answered(&mut self, ring: usize, answer: Abort, now: Timestamp) -> bool {
        let RingIs::Asked(cause @ Cause::Overdue(suspect)) = self.rings[ring].is else { return false };
        if !self.jobs[suspect].aborted {
            return false;
        }
        match answer {
            Abort::Cannot => {}
            Abort::Asked => self.rings[ring].is = RingIs::Aborting(cause, now.plus(self.abort_limit(suspect))),
            Abort::Done => self.aborted(ring, self.jobs[suspect].seqno, now),
        }
        answer != Abort::Cannot
    }

    /// A ring has given up a job, asked or not.
    pub(in super::super) fn aborted(&mut self, ring: usize, seqno: Seqno, now: Timestamp) {
        let Some(job) = self.one_left(ring, seqno, Err(FenceError::Guilty), now) else { return };
        if let Some(context) = self.queues[self.jobs[job].queue].context {
            self.contexts[context].guilty += 1;
            self.contexts[context].status = ResetStatus::Guilty;
        }
    }

    fn abort_limit(&self, job: usize) -> Duration {
        self.jobs[job].spec.time_limit.unwrap_or(TIMEOUT).min(TIMEOUT)
    }

    /// Work goes on after a rest: every abort has its whole time again.
    pub(super) fn renew_aborts(&mut self, now: Timestamp) {
        for ring in 0..self.rings.len() {
            if let RingIs::Aborting(cause @ Cause::Overdue(job), _) = self.rings[ring].is {
                self.rings[ring].is = RingIs::Aborting(cause, now.plus(self.abort_limit(job)));
            }
        }
    }
}
