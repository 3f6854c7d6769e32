//! What the scheduler wants done.

use super::slots::{DeviceState, Hold, JobState, RingState};
use super::{EventSlot, JobId, Priority, QueueId, RingIndex, Scheduler, Storage};
use crate::fence::{FenceError, Seqno};
use crate::Id;

/// One thing for the shell to do. Carry them out in the order in which they come.
#[derive(Debug)]
pub enum Action<F, P> {
    /// Signal the fence. It is handed out exactly once.
    Signal {
        /// The signalling side.
        fence: F,
        /// How the job ended.
        result: Result<(), FenceError>,
    },
    /// Drop what the job kept alive: the hardware no longer reads it.
    Release {
        /// What was given to [`Scheduler::commit`].
        payload: P,
    },
    /// Look whether a ring must be reset, and reset it if so: ask the driver whether its suspect
    /// moves ([`Scheduler::still_running`]); if not, whether the ring has begun it
    /// ([`Scheduler::suspect_began`]); ask the ring how far it is ([`Scheduler::hw_done`]) and, if
    /// it can abort jobs, to give up the suspect alone ([`Scheduler::begin_abort`]); ask the
    /// scheduler whether that changes anything ([`Scheduler::begin_reset`]); then reset it, let it
    /// prove itself, and call [`Scheduler::reset_done`].
    ResetRing {
        /// Which.
        ring: RingIndex,
        /// The job that is overdue, for the driver to look at. `None` if the ring stopped with a
        /// fault: then there is nothing to find out.
        suspect: Option<JobId>,
    },
    /// Reset the whole device: ask whether its rings have begun their suspects
    /// ([`Scheduler::suspect_began`]) and how far they are ([`Scheduler::hw_done`]), call
    /// [`Scheduler::begin_device_reset`], reset it, give its rings the numbers of
    /// [`Scheduler::number_after_reset`], let each prove itself, then call
    /// [`Scheduler::device_reset_done`].
    ResetDevice,
    /// Nothing helps: lose the device.
    GiveUp,
    /// Ask the firmware to let go of a closed queue, none of whose jobs is on hardware; see
    /// [`Scheduler::held`]. Then call [`Scheduler::let_go_answered`], and
    /// [`Scheduler::firmware_let_go`] when the firmware has answered later.
    LetGo {
        /// Which queue.
        queue: QueueId,
        /// The ring whose firmware was told of it.
        ring: RingIndex,
        /// The firmware was asked before, and its time is over: look whether it has answered by
        /// now. If not, it is reset.
        last_look: bool,
    },
    /// Write the job to its ring, to complete with `seqno`; see [`Scheduler::payload`]. Then call
    /// [`Scheduler::started`], or [`Scheduler::start_failed`].
    Run {
        /// Which job.
        job: JobId,
        /// Where.
        ring: RingIndex,
        /// The number that reports its completion.
        seqno: Seqno,
        /// Through what the firmware reports it, if there is such: the same for all jobs of a queue
        /// while it is busy.
        event: Option<EventSlot>,
    },
}

impl<S: Storage> Scheduler<S> {
    /// The next thing to do, or `None` until the next event. Rings take turns, so that none keeps
    /// the others from being given work or from being reset. O(log contexts) plus O(rings) when
    /// there is little to do.
    pub fn poll_action(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        // The order: threads that wait are told first, then memory is freed, then trouble is seen
        // to, then new work.
        if let Some(signal) = self.poll_signal() {
            return Some(signal);
        }
        if let Some(release) = self.poll_release() {
            return Some(release);
        }
        if core::mem::take(&mut self.give_up) {
            return Some(Action::GiveUp);
        }
        if let Some(reset) = self.poll_reset() {
            return Some(reset);
        }
        if self.device == DeviceState::Running && !self.stopped {
            if let Some(let_go) = self.poll_let_go() {
                return Some(let_go);
            }
            for index in self.in_turn() {
                let Ok(number) = u8::try_from(index) else { continue };
                if self.rings.as_ref()[index].state == RingState::Running {
                    if let Some(run) = self.poll_run(RingIndex(number)) {
                        self.next_ring = index + 1;
                        return Some(run);
                    }
                }
            }
        }
        // Jobs that must not run were turned into signals on the way.
        self.poll_signal()
    }

    /// Hands out a job that has been committed just now, if it can be run at once: it waits for
    /// nothing, its ring has credits for it, nothing is wrong with the ring or the device, and it
    /// is its queue's turn. Then the [`Action::Run`] is the one that [`Scheduler::poll_action`]
    /// would have given next for that ring. So the thread that has committed the job may run it,
    /// and need not wake another to do so. That thread must be the only one then that gives
    /// anything to rings, since numbers are given to a ring in their order. O(log contexts).
    #[must_use = "the job is to be run"]
    pub fn run_now(&mut self, job: JobId) -> Option<Action<S::Fence, S::Payload>> {
        let slot = self.job_mut(job).filter(|slot| slot.state == JobState::Queued && slot.result.is_ok())?;
        let (queue, cost) = (slot.queue, slot.cost);
        let slot = &self.queues.as_ref()[queue as usize];
        let (ring, has_event) = (slot.ring, slot.event.is_some() || self.event_slots.may_take());
        let is_oldest = slot.jobs.front() == Some(job.index);
        let ring_slot = &self.rings.as_ref()[usize::from(ring.0)];
        let goes_on = self.device == DeviceState::Running && !self.stopped && ring_slot.state == RingState::Running;
        let may_run = goes_on && is_oldest && has_event && cost <= ring_slot.credits && !self.is_banned(queue);
        if !may_run || self.next_queue(usize::from(ring.0)) != Some(queue) {
            return None;
        }
        self.poll_run(ring)
    }

    /// The rings, beginning behind the one that was served last.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = usize> {
        let (count, next) = (self.rings.as_ref().len(), self.next_ring);
        (next..count).chain(0..next.min(count))
    }

    /// The next signal that is owed, and no other action: for a thread that must not carry out the
    /// others. O(1).
    pub fn poll_signal(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        loop {
            let job = self.finished.pop_front(self.jobs.as_mut())?;
            let slot = &mut self.jobs.as_mut()[job as usize];
            let (fence, result) = (slot.fence.take(), slot.result);
            let ring = usize::from(slot.ring.0);
            // A ring that has executed everything it was ever given reads nothing, also if it did
            // so after the end.
            let idle = self.rings.as_ref()[ring].completed == self.rings.as_ref()[ring].issued;
            if slot.on_hardware && !idle {
                slot.state = JobState::Orphan;
                self.rings.as_mut()[ring].orphans.push_back(self.jobs.as_mut(), job);
            } else {
                slot.state = JobState::Done;
                self.done.push_back(self.jobs.as_mut(), job);
            }
            // Every finished job was committed with a fence, and this is the only place that takes
            // it.
            if let Some(fence) = fence {
                return Some(Action::Signal { fence, result });
            }
        }
    }

    fn poll_release(&mut self) -> Option<Action<S::Fence, S::Payload>> {
        while let Some(job) = self.done.pop_front(self.jobs.as_mut()) {
            let payload = self.jobs.as_mut()[job as usize].payload.take();
            self.free(job);
            if let Some(payload) = payload {
                return Some(Action::Release { payload });
            }
        }
        let queue = self.let_go.pop_front(self.queues.as_mut())?;
        let slot = &mut self.queues.as_mut()[queue as usize];
        slot.hold = Hold::Nothing;
        let payload = slot.payload.take();
        self.free_queue_if_unused(queue);
        payload.map(|payload| Action::Release { payload })
    }

    /// Picks the next job for a ring; see [`super::turns`].
    fn poll_run(&mut self, ring: RingIndex) -> Option<Action<S::Fence, S::Payload>> {
        let index = usize::from(ring.0);
        while let Some(queue) = self.next_queue(index) {
            let oldest = self.queues.as_ref()[queue as usize].jobs.front();
            let banned = self.is_banned(queue);
            let oldest = oldest.map(|job| {
                let slot = &self.jobs.as_ref()[job as usize];
                (job, slot.cost, if banned { Err(FenceError::Canceled) } else { slot.result })
            });
            let runs = match oldest {
                // Jobs that must not run, and queues that were emptied, cost no credits.
                Some((_, cost, Ok(()))) if cost > self.rings.as_ref()[index].credits => return None,
                Some((.., Ok(()))) => true,
                _ => false,
            };
            self.unlist_queue(queue);
            if runs && !self.take_event_slot(queue) {
                continue;
            }
            let Some((job, _, result)) = oldest else {
                self.free_queue_if_unused(queue);
                continue;
            };
            if runs {
                self.take_turn(index, queue);
            }
            let slot = &mut self.queues.as_mut()[queue as usize];
            slot.jobs.pop_front(self.jobs.as_mut());
            slot.lent_on = Priority::Low;
            self.left_queue(job);
            let run = match result {
                Ok(()) => Some(self.give(ring, job)),
                Err(error) => {
                    self.finish(job, Err(error));
                    None
                }
            };
            self.list_again(queue);
            self.lend_on(queue);
            if let Some((job, seqno)) = run {
                let event = self.queues.as_ref()[queue as usize].event;
                return Some(Action::Run { job, ring, seqno, event });
            }
            self.give_event_slot_back(queue);
            // A poll withdraws one job, so that it stays short however many there are.
            return self.poll_signal();
        }
        None
    }

    /// Puts a job on a ring.
    fn give(&mut self, ring: RingIndex, job: u32) -> (JobId, Seqno) {
        let index = usize::from(ring.0);
        let slot = &mut self.rings.as_mut()[index];
        slot.issued = slot.issued.next();
        let seqno = slot.issued;
        slot.pending.push_back(self.jobs.as_mut(), job);
        let slot = &mut self.jobs.as_mut()[job as usize];
        slot.state = JobState::Running;
        slot.on_hardware = true;
        slot.ring = ring;
        slot.seqno = seqno;
        (slot.deadline, slot.extensions, slot.aborted) = (None, 0, false);
        let (queue, cost, generation) = (slot.queue, slot.cost, slot.generation);
        self.rings.as_mut()[index].credits -= cost;
        let slot = &mut self.queues.as_mut()[queue as usize];
        slot.running += 1;
        slot.runs_on = ring;
        let (charged, at) = self.charge(index, queue);
        let slot = &mut self.jobs.as_mut()[job as usize];
        (slot.charged, slot.charged_at) = (charged, at);
        (Id::new(job, generation), seqno)
    }
}
