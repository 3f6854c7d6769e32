//! What makes a ring suspect, and what clears it (SCHED-4).

use super::slots::{Cause, DeviceState, RingState};
use super::{ContextSlot, JobSlot, QueueSlot, RingIndex, RingSlot, Scheduler};
use crate::fence::Seqno;
use crate::{Slots, Timestamp};

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// A ring stopped with a fault: its oldest job is guilty, and the ring must be reset. `seqno` is the ring's number,
    /// read together with the fault: if the ring has been reset since, the news is old and nobody is blamed. Feed
    /// [`Scheduler::hw_done`] with it first. O(1).
    pub fn fault(&mut self, ring: RingIndex, seqno: Seqno) {
        let void = self.numbers_are_void();
        let Some(slot) = self.rings.as_mut().get_mut(usize::from(ring.0)).filter(|_| !void) else { return };
        let current = !slot.completed.is_after(seqno);
        if !current {
            return;
        }
        match slot.state {
            RingState::Running | RingState::Suspect(Cause::Overdue) => slot.suspect_oldest(Cause::Fault),
            // The driver may be looking whether it moves: it does not.
            RingState::Resetting(Cause::Overdue) => slot.state = RingState::Resetting(Cause::Fault),
            RingState::Suspect(Cause::Fault)
            | RingState::Resetting(Cause::Fault)
            | RingState::Stuck
            | RingState::Dead => {}
        }
    }

    /// Time has passed. Feed [`Scheduler::hw_done`] with each ring's current number first: then a completion whose
    /// interrupt was lost is honoured, and is no hang. O(rings).
    pub fn tick(&mut self, now: Timestamp) {
        for slot in self.rings.as_mut() {
            if slot.deadline.is_some_and(|deadline| deadline <= now) && slot.state == RingState::Running {
                slot.suspect_oldest(Cause::Overdue);
            }
        }
    }

    /// The driver's answer to [`super::Action::ResetRing`], instead of a reset: it has looked, and the suspect moves. The
    /// ring goes on, and the job has its time again. `false` if that cannot be: the job has had all its
    /// [extensions](super::Limits::extensions), or the ring stopped with a fault; then the reset must be carried out.
    /// O(1).
    #[must_use = "if false, the reset is still owed"]
    pub fn still_running(&mut self, ring: RingIndex, now: Timestamp) -> bool {
        let index = usize::from(ring.0);
        let extensions = self.limits.extensions;
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return false };
        // One that has completed meanwhile needs no extension.
        let moved_on = slot.pending.front() != slot.suspect;
        if slot.state != RingState::Resetting(Cause::Overdue) || !moved_on && slot.extensions >= extensions {
            return false;
        }
        slot.extensions += u32::from(!moved_on);
        slot.state = RingState::Running;
        slot.suspect = None;
        self.watch(index, now);
        true
    }

    /// The time of a ring's oldest job begins, if it has one that can be judged.
    pub(super) fn watch(&mut self, ring: usize, now: Timestamp) {
        let overdue = now.plus(self.limits.job_timeout);
        let resting = self.stopped || self.device == DeviceState::Resetting;
        let slot = &mut self.rings.as_mut()[ring];
        let judged = slot.state == RingState::Running && !slot.pending.is_empty() && !resting;
        slot.deadline = judged.then_some(overdue);
    }
}
