//! Resets, from the smallest that may help to the largest, and the job that is guilty of each
//! (SCHED-4, SCHED-6).
//!
//! At most one job of a ring is guilty:
//!
//! | what was told before the ring's reset, or the device's, was done | guilty |
//! |---|---|
//! | the oldest job was overdue, and nothing since | that job |
//! | it was overdue, and completed before [`Scheduler::begin_reset`] | nobody; nothing is reset |
//! | it was overdue, and completed after that, before the reset took hold | nobody |
//! | the ring stopped with a fault, before or during the reset, whether a job was overdue or not | the oldest job that has not completed, whichever of fault and completions was told first |
//! | the ring stopped with a fault and has nothing | nobody; a job that was handed out for it ([`Action::Run`]) counts as on it |
//! | a fault from before the last reset | nobody; nothing is reset |
//! | the driver has found that the ring is [not in that job](Scheduler::suspect_began) | nobody; the ring is suspect itself |
//! | nothing of this ring, when the device is reset for another's | nobody of this ring |
//!
//! All other jobs on the ring are innocent. `tests/exhaustive` has every order of these events.
//!
//! # What is in vain once is not tried again
//!
//! A reset has succeeded when the ring has proven itself by a job of its driver's own (RECOV-5).
//! One that nobody was to blame for is in vain if no job of a user's completes on the ring
//! afterwards. Of a ring that is suspect again, and again nobody is to blame, the next larger thing
//! is reset: after the ring the device; and after the device it is given up, so that the bus
//! recovers it, or wedges it. So between two completions there are at most two such resets of a
//! ring.
//!
//! A hang of a job that began escalates nothing, however often it happens: it ends that job, and
//! its context's limit bounds it. Else one client could have the device taken away from all the
//! others.
//!
//! # A reset's own numbers
//!
//! A ring comes out of a reset with a number that was never given to a job, and its proof writes
//! the one after that. The next job's is the one after both, so that neither completes a job,
//! whenever it is read.

use super::slots::{Blame, DeviceState, JobState, RingState, Tried};
use super::{Action, Firmware, Priority, RingIndex, RingSlot, Scheduler, Storage};
use crate::fence::{FenceError, Seqno};
use crate::Id;

impl<S: Storage> Scheduler<S> {
    /// Asks whether the ring of an [`Action::ResetRing`] must be reset still: its suspect may have
    /// completed while the driver was looking. The shell asks whether the ring has begun its
    /// [suspect](Scheduler::suspect_began), and how far it is, feeds [`Scheduler::hw_done`] with
    /// that, and then calls this. Gives the ring's number after the reset: it and the next, which a
    /// job of the driver's own may write to prove the ring, were never given to a job, so that
    /// reading them before [`Scheduler::reset_done`] completes nothing. `None` if there is nothing
    /// to reset any more, or if something larger is to be: that is the next action. O(1), or
    /// O(rings) if the device is given up.
    #[must_use = "if it gives a number, the ring is to be reset"]
    pub fn begin_reset(&mut self, ring: RingIndex) -> Option<Seqno> {
        let slot = self.rings.as_mut().get_mut(usize::from(ring.0))?;
        if slot.state != RingState::Asked {
            return None;
        }
        match (slot.guilty(), slot.tried) {
            (Some(_), _) | (None, Tried::Nothing) => {
                slot.state = RingState::Resetting;
                Some(slot.issued.next())
            }
            (None, Tried::Ring) => {
                slot.state = RingState::Stuck;
                self.device = DeviceState::Suspect;
                None
            }
            (None, Tried::Device) => {
                self.give_up_as(DeviceState::Gone);
                None
            }
        }
    }

    /// Asks whether the device of an [`Action::ResetDevice`] must be reset still, and from here on
    /// ignores what its rings say. As before, the shell asks whether rings have begun their
    /// suspects, and all rings how far they are, and feeds that, before it calls this. O(rings).
    #[must_use = "if true, the device is to be reset"]
    pub fn begin_device_reset(&mut self) -> bool {
        if self.device != DeviceState::Asked {
            return false;
        }
        self.device = DeviceState::Resetting;
        for slot in self.rings.as_mut() {
            slot.deadline = None;
        }
        true
    }

    /// The shell has reset a ring after [`Scheduler::begin_reset`], and the ring has proven itself.
    /// On success its suspect is guilty, unless it completed before the reset took hold or never
    /// began, and the others run again or fail as innocents. On failure, which a ring is that was
    /// reset and does not work, the whole device is to be reset, as soon as no other ring is being
    /// reset. O(jobs on the ring).
    pub fn reset_done(&mut self, ring: RingIndex, succeeded: bool) {
        let index = usize::from(ring.0);
        let Some(slot) = self.rings.as_mut().get_mut(index) else { return };
        if slot.state != RingState::Resetting {
            return;
        }
        if !succeeded {
            slot.state = RingState::Stuck;
            self.device = DeviceState::Suspect;
            return;
        }
        self.resets += 1;
        self.begin_anew(index, Tried::Ring);
        self.requeue_innocents(index);
        if self.limits.firmware == Firmware::OfEachRing {
            self.firmware_was_reset(index);
        }
    }

    /// The shell has reset the device after [`Scheduler::begin_device_reset`], and all rings have
    /// proven themselves. On success each ring's suspect is guilty, if it has one that began, and
    /// all other jobs that were on rings run again or fail as innocents. On failure the device is
    /// given up; jobs end when the shell then calls [`Scheduler::lose`]. O(jobs on rings).
    pub fn device_reset_done(&mut self, succeeded: bool) {
        if self.device != DeviceState::Resetting || self.lost.is_some() {
            return;
        }
        if !succeeded {
            self.give_up_as(DeviceState::Failed);
            return;
        }
        self.device = DeviceState::Running;
        self.resets += 1;
        // Guilt first: a context that is guilty on one ring is not counted as a victim on another.
        for index in 0..self.rings.as_ref().len() {
            self.begin_anew(index, Tried::Device);
        }
        for index in 0..self.rings.as_ref().len() {
            self.requeue_innocents(index);
            self.firmware_was_reset(index);
        }
    }

    /// The number that a ring is to show after its reset or the device's. It and the next, for the
    /// proof, were never given to a job, so that reading them before the reset is
    /// [done](Self::reset_done) completes nothing. `None` if there is no such ring. O(1).
    pub fn number_after_reset(&self, ring: RingIndex) -> Option<Seqno> {
        Some(self.rings.as_ref().get(usize::from(ring.0))?.issued.next())
    }

    /// The next reset that is owed.
    pub(super) fn poll_reset(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        match self.device {
            DeviceState::Running => self.poll_ring_reset(),
            DeviceState::Suspect => self.poll_device_reset(),
            DeviceState::Asked | DeviceState::Resetting | DeviceState::Failed | DeviceState::Gone => None,
        }
    }

    fn poll_ring_reset(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        let index = self.in_turn().find(|index| self.rings.as_ref()[*index].state == RingState::Suspect)?;
        self.next_ring = index + 1;
        let ring = RingIndex(u8::try_from(index).ok()?);
        let slot = &mut self.rings.as_mut()[index];
        slot.state = RingState::Asked;
        // A fault is not talked away.
        let suspect = slot.accused().filter(|_| matches!(slot.blame, Blame::Overdue(_)));
        let suspect = suspect.map(|job| Id::new(job, self.jobs.as_ref()[job as usize].generation));
        Some(Action::ResetRing { ring, suspect })
    }

    /// Waits for resets of single rings that are under way: they would be cut short.
    fn poll_device_reset(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        let busy = |slot: &RingSlot| matches!(slot.state, RingState::Asked | RingState::Resetting);
        if self.rings.as_ref().iter().any(busy) {
            return None;
        }
        self.device = DeviceState::Asked;
        Some(Action::ResetDevice)
    }

    /// Nothing helps. Nothing is given to rings any more, and nothing is reset.
    pub(super) fn give_up_as(&mut self, device: DeviceState) {
        self.device = device;
        self.give_up = true;
        for slot in self.rings.as_mut() {
            (slot.state, slot.deadline) = (RingState::Dead, None);
        }
    }

    /// A ring comes out of a reset with the number that its proof has written: those given to
    /// abandoned jobs will not be written any more. The job that is to blame is guilty, if it is
    /// still there.
    fn begin_anew(&mut self, ring: usize, tried: Tried) {
        let slot = &mut self.rings.as_mut()[ring];
        let guilty = slot.guilty();
        if guilty.is_none() && (slot.state != RingState::Running || slot.letting_go.kept > 0) {
            slot.tried = tried;
        }
        (slot.state, slot.blame, slot.acquitted) = (RingState::Running, Blame::Nobody, false);
        slot.issued = slot.issued.next().next();
        (slot.completed, slot.given) = (slot.issued, slot.issued);
        slot.since = None;
        if let Some(guilty) = guilty {
            self.leave_ring(ring, guilty);
            self.jobs.as_mut()[guilty as usize].on_hardware = false;
            // The time of the guilty job was charged when it came under suspicion.
            self.settle_job(ring, guilty, None);
            self.finish(guilty, Err(FenceError::Guilty));
            self.count_guilty(self.jobs.as_ref()[guilty as usize].queue);
        }
    }

    /// Jobs that were on a ring when it was reset for another's fault.
    fn requeue_innocents(&mut self, ring: usize) {
        let innocents = self.rings.as_mut()[ring].pending.take();
        // From the last to the first, each to the front of its queue: the order in each queue
        // stays.
        let mut innocents = innocents.reversed(self.jobs.as_mut());
        while let Some(job) = innocents.pop_front(self.jobs.as_mut()) {
            let slot = &mut self.jobs.as_mut()[job as usize];
            slot.on_hardware = false;
            let (queue, cost, restartable) = (slot.queue, slot.cost, slot.restartable);
            self.rings.as_mut()[ring].credits += cost;
            self.settle_job(ring, job, None);
            let goes_on = !self.queues.as_ref()[queue as usize].killed && !self.is_banned(queue);
            if restartable && goes_on {
                self.jobs.as_mut()[job as usize].state = JobState::Queued;
                self.queues.as_mut()[queue as usize].jobs.push_front(self.jobs.as_mut(), job);
                self.queues.as_mut()[queue as usize].lent_on = Priority::Low;
                self.joined_queue(job);
            } else {
                self.finish(job, Err(FenceError::Innocent));
                self.count_innocent(queue);
            }
            self.left_ring(queue);
        }
    }
}
