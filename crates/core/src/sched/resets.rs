//! Resets, from the smallest that may help to the largest, and who pays for one (SCHED-4, SCHED-6).

use super::slots::{DeviceState, RingState, State};
use super::{Action, ContextSlot, JobSlot, QueueSlot, RingIndex, RingSlot, Scheduler};
use crate::fence::{FenceError, Seqno};
use crate::{Id, Slots};

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// The shell has carried out [`Action::ResetRing`]. On success the suspect is guilty, unless it completed before
    /// the reset took hold, and the others run again or fail as innocents. On failure the whole device is to be reset,
    /// as soon as no other ring is being reset. O(jobs on the ring).
    pub fn reset_done(&mut self, ring: RingIndex, succeeded: bool) {
        let index = usize::from(ring.0);
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if !matches!(slot.state, RingState::Resetting(_)) {
            return;
        }
        if !succeeded {
            slot.state = RingState::Stuck;
            self.device = DeviceState::Suspect;
            return;
        }
        self.resets += 1;
        self.begin_anew(index);
        self.requeue_innocents(index);
    }

    /// The shell has carried out [`Action::ResetDevice`]. On success each ring's suspect is guilty, if it has one, and
    /// all other jobs that were on rings run again or fail as innocents. On failure the device is given up; jobs end
    /// when the shell then calls [`Scheduler::lose`]. O(jobs on rings).
    pub fn device_reset_done(&mut self, succeeded: bool) {
        if self.device != DeviceState::Resetting || self.lost.is_some() {
            return;
        }
        if !succeeded {
            self.device = DeviceState::Failed;
            self.give_up = true;
            for slot in self.rings.as_mut() {
                slot.state = RingState::Dead;
            }
            return;
        }
        self.device = DeviceState::Running;
        self.resets += 1;
        // Who is to blame anywhere is not counted as a victim elsewhere.
        for index in 0..self.rings.as_ref().len() {
            self.begin_anew(index);
        }
        for index in 0..self.rings.as_ref().len() {
            self.requeue_innocents(index);
        }
    }

    /// The number that a ring is to show after its reset or the device's. It was never given to a job, so that reading
    /// it before the reset is [done](Self::reset_done) completes nothing. `None` if there is no such ring. O(1).
    pub fn number_after_reset(&self, ring: RingIndex) -> Option<Seqno> {
        Some(self.rings.as_ref().get(usize::from(ring.0))?.issued.next())
    }

    /// The next reset that is owed.
    pub(super) fn poll_reset(&mut self) -> Option<Action<F, P>> {
        match self.device {
            DeviceState::Running => self.poll_ring_reset(),
            DeviceState::Suspect => self.poll_device_reset(),
            DeviceState::Resetting | DeviceState::Failed | DeviceState::Gone => None,
        }
    }

    fn poll_ring_reset(&mut self) -> Option<Action<F, P>> {
        let suspect = |slot: &RingSlot| matches!(slot.state, RingState::Suspect(_));
        let index = self.rings.as_ref().iter().position(suspect)?;
        let ring = RingIndex(u8::try_from(index).ok()?);
        let slot = &mut self.rings.as_mut()[index];
        let RingState::Suspect(cause) = slot.state else { return None };
        slot.state = RingState::Resetting(cause);
        let (seqno, suspect) = (slot.issued.next(), slot.suspect.filter(|job| slot.pending.front() == Some(*job)));
        let suspect = suspect.map(|job| Id::new(job, self.jobs.as_ref()[job as usize].generation));
        Some(Action::ResetRing { ring, seqno, suspect })
    }

    /// Waits for resets of single rings that are under way: they would be cut short.
    fn poll_device_reset(&mut self) -> Option<Action<F, P>> {
        let resetting = |slot: &RingSlot| matches!(slot.state, RingState::Resetting(_));
        if self.rings.as_ref().iter().any(resetting) {
            return None;
        }
        self.device = DeviceState::Resetting;
        for slot in self.rings.as_mut() {
            slot.deadline = None;
        }
        Some(Action::ResetDevice)
    }

    /// A ring comes out of a reset with the number it was reset to: those given to abandoned jobs will not be written
    /// any more. Its suspect is guilty, if that is still there.
    fn begin_anew(&mut self, ring: usize) {
        let slot = &mut self.rings.as_mut()[ring];
        slot.state = RingState::Running;
        slot.issued = slot.issued.next();
        slot.completed = slot.issued;
        slot.extensions = 0;
        let suspect = slot.suspect.take();
        if let Some(guilty) = slot.pending.front().filter(|oldest| Some(*oldest) == suspect) {
            self.leave_ring(ring, guilty);
            self.jobs.as_mut()[guilty as usize].on_hardware = false;
            self.finish(guilty, Err(FenceError::Guilty));
            self.count_guilty(self.jobs.as_ref()[guilty as usize].queue);
        }
    }

    /// Jobs that were on a ring when it was reset for another's fault.
    fn requeue_innocents(&mut self, ring: usize) {
        let innocents = self.rings.as_mut()[ring].pending.take();
        // From the last to the first, each to the front of its queue: the order in each queue stays.
        let mut innocents = innocents.reversed(self.jobs.as_mut());
        while let Some(job) = innocents.pop_front(self.jobs.as_mut()) {
            let slot = &mut self.jobs.as_mut()[job as usize];
            slot.on_hardware = false;
            let (queue, cost, restartable) = (slot.queue, slot.cost, slot.restartable);
            self.rings.as_mut()[ring].credits += cost;
            let goes_on = !self.queues.as_ref()[queue as usize].killed && !self.is_banned(queue);
            if restartable && goes_on {
                self.jobs.as_mut()[job as usize].state = State::Queued;
                self.queues.as_mut()[queue as usize].jobs.push_front(self.jobs.as_mut(), job);
            } else {
                self.finish(job, Err(FenceError::Innocent));
                self.count_innocent(queue);
            }
            self.left_ring(queue);
        }
    }
}
