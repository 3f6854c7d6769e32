//! What makes a ring suspect, and what clears it (SCHED-4).

use super::list::NONE;
use super::slots::{Blame, DeviceState, RingState};
use super::{JobId, RingIndex, Scheduler, Storage};
use crate::fence::Seqno;
use crate::{Id, Timestamp};

/// Whether a ring is in a job, as far as its driver can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Began {
    /// The ring has begun the job, and has not come to its end: the job is at fault.
    Yes,
    /// The ring has not begun the job, or has all of it behind: the job is not at fault.
    No,
    /// The driver cannot tell. Taken as yes.
    #[default]
    Unknown,
}

impl<S: Storage> Scheduler<S> {
    /// A ring stopped with a fault, and must be reset. Guilty is the job that the ring stopped at:
    /// its oldest, when all that it completed before has been reported, also if that is told after
    /// the fault. `seqno` is the ring's number, read together with the fault, and completes jobs as
    /// in [`Scheduler::hw_done`]; if the ring has been reset since, the news is old and no job is
    /// blamed. O(jobs completed).
    pub fn faulted(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        self.hw_done(ring, seqno, now);
        let void = self.numbers_are_void();
        let Some(slot) = self.rings.as_mut().get_mut(usize::from(ring.0)).filter(|_| !void) else { return };
        // From before the last reset, or from after the one that is under way.
        if slot.completed.is_after(seqno) || seqno.is_after(slot.issued) {
            return;
        }
        match slot.state {
            RingState::Running | RingState::Suspect | RingState::Aborting => {
                slot.state = RingState::Suspect;
                slot.deadline = None;
            }
            // The driver may be looking whether it moves: it does not.
            RingState::Asked | RingState::Resetting => {}
            RingState::Stuck | RingState::Dead => return,
        }
        if core::mem::replace(&mut slot.blame, Blame::Oldest) != Blame::Oldest {
            slot.acquitted = false;
        }
        self.charge_so_far(usize::from(ring.0), now);
    }

    /// Time has passed. Feed [`Scheduler::hw_done`] with each ring's current number first: then a
    /// completion whose interrupt was lost is honoured, and is no hang. O(rings), and for rings
    /// that complete out of order O(jobs on them).
    pub fn tick(&mut self, now: Timestamp) {
        for index in 0..self.rings.as_ref().len() {
            let slot = &self.rings.as_ref()[index];
            let overdue = slot.deadline.is_some_and(|deadline| deadline <= now);
            let suspect = match slot.state {
                RingState::Running => self.next_due(index).map(|(_, job)| job),
                // The abort has not helped.
                RingState::Aborting => slot.accused(),
                _ => None,
            };
            self.tick_let_go(index, now);
            let Some(suspect) = suspect.filter(|_| overdue) else { continue };
            let slot = &mut self.rings.as_mut()[index];
            (slot.state, slot.blame, slot.deadline) = (RingState::Suspect, Blame::Overdue(suspect), None);
            self.charge_so_far(index, now);
        }
    }

    /// The driver's answer to [`super::Action::ResetRing`], instead of a reset: it has looked, and
    /// the suspect moves. The ring goes on, and the job has its time again. `false` if that cannot
    /// be: the job has had all its [extensions](super::Limits::extensions), each as long as its
    /// limit, or was to be aborted, or the ring stopped with a fault; then
    /// [`Scheduler::begin_reset`] is to be asked. O(1).
    #[must_use = "if false, the reset is still owed"]
    pub fn still_running(&mut self, ring: RingIndex, now: Timestamp) -> bool {
        let index = usize::from(ring.0);
        let extensions = self.limits.extensions;
        let Some(slot) = self.rings.as_ref().get(index).filter(|slot| slot.state == RingState::Asked) else {
            return false;
        };
        let Blame::Overdue(suspect) = slot.blame else { return false };
        let job = &mut self.jobs.as_mut()[suspect as usize];
        if job.extensions >= extensions || job.aborted {
            return false;
        }
        job.extensions += 1;
        job.deadline = None;
        self.charge_so_far(index, now);
        self.clear(index, now);
        true
    }

    /// The job that is guilty if a ring is reset, for the driver to find out whether the ring has
    /// [begun](Scheduler::suspect_began) it. `None` if there is none, or if its reset has begun.
    /// O(1).
    pub fn suspect(&self, ring: RingIndex) -> Option<JobId> {
        let slot = self.rings.as_ref().get(usize::from(ring.0))?;
        let job = slot.accused().filter(|_| matches!(slot.state, RingState::Suspect | RingState::Asked))?;
        Some(Id::new(job, self.jobs.as_ref()[job as usize].generation))
    }

    /// The driver has looked whether the ring has begun the [suspect](Scheduler::suspect). To be
    /// told before [`Scheduler::begin_reset`] or [`Scheduler::begin_device_reset`] of that ring:
    /// afterwards the hardware knows nothing of it. Nobody is guilty of a job that never began;
    /// then the ring itself is suspect, and a second reset of it without a completion in between is
    /// one of the device. Ignored for a job that is no suspect. O(1).
    pub fn suspect_began(&mut self, job: JobId, began: Began) {
        let Some(ring) = self.job_mut(job).map(|slot| slot.ring) else { return };
        if self.suspect(ring) == Some(job) {
            self.rings.as_mut()[usize::from(ring.0)].acquitted = began == Began::No;
        }
    }

    /// There is nothing wrong with a ring after all.
    pub(super) fn clear(&mut self, ring: usize, now: Timestamp) {
        let slot = &mut self.rings.as_mut()[ring];
        (slot.state, slot.blame, slot.acquitted) = (RingState::Running, Blame::Nobody, false);
        self.watch(ring, now);
        self.doubt_firmware(ring);
    }

    /// `run` has returned for a job: the hardware has all jobs up to this number, and the time of
    /// the oldest begins, if it has not begun; on a ring that completes [out of
    /// order](super::RingSlot::unordered), that of all of them. A job that ran for long before, or
    /// a callback, is not counted against it. O(1), or there O(jobs on the ring).
    pub fn started(&mut self, ring: RingIndex, seqno: Seqno, now: Timestamp) {
        let index = usize::from(ring.0);
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if seqno.is_after(slot.issued) || !seqno.is_after(slot.given) {
            return;
        }
        slot.given = seqno;
        self.watch(index, now);
    }

    /// The time begins of those jobs of a ring that can be judged, where it has not begun; and the
    /// ring is due when the first of them is.
    pub(super) fn watch(&mut self, ring: usize, now: Timestamp) {
        let resting = self.is_resting();
        let slot = &self.rings.as_ref()[ring];
        let (given, unordered, mut next) = (slot.given, slot.unordered, slot.pending.front());
        while let Some(job) = next {
            let job = &mut self.jobs.as_mut()[job as usize];
            if job.seqno.is_after(given) {
                break;
            }
            let limit = job.time_limit.unwrap_or(self.limits.job_timeout);
            job.deadline.get_or_insert(now.plus(limit));
            next = Some(job.links.next).filter(|next| unordered && *next != NONE);
        }
        let due = self.next_due(ring);
        let slot = &mut self.rings.as_mut()[ring];
        let judged = slot.state == RingState::Running && !resting;
        slot.since = due.and(slot.since.or(Some(now)));
        if slot.state != RingState::Aborting {
            slot.deadline = due.filter(|_| judged).map(|(deadline, _)| deadline);
        }
    }

    /// Tells whether no time counts: work is stopped, or the whole device is being reset.
    pub(super) fn is_resting(&self) -> bool {
        self.stopped || self.device == DeviceState::Resetting
    }

    /// The job of a ring whose time is over first, of those whose time has begun: the oldest, on a
    /// ring that keeps the order.
    fn next_due(&self, ring: usize) -> Option<(Timestamp, u32)> {
        let slot = &self.rings.as_ref()[ring];
        let mut next = slot.pending.front();
        let mut first: Option<(Timestamp, u32)> = None;
        while let Some(index) = next {
            let job = &self.jobs.as_ref()[index as usize];
            let Some(deadline) = job.deadline else { break };
            if first.is_none_or(|(earliest, _)| deadline < earliest) {
                first = Some((deadline, index));
            }
            next = Some(job.links.next).filter(|next| slot.unordered && *next != NONE);
        }
        first
    }
}
