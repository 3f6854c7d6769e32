//! What the scheduler wants done.

use super::slots::{DeviceState, RingState, Stands, State};
use super::{ContextSlot, EventSlot, JobId, JobSlot, QueueSlot, RingIndex, RingSlot, Scheduler};
use crate::fence::{FenceError, Seqno};
use crate::{Id, Slots, Timestamp};

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
    /// Reset a ring, then call [`Scheduler::reset_done`]; or [`Scheduler::still_running`], if its oldest job is seen to move.
    ResetRing {
        /// Which.
        ring: RingIndex,
        /// The ring's number after the reset. It was never given to a job, so that reading it before
        /// [`Scheduler::reset_done`] completes nothing.
        seqno: Seqno,
        /// The job that is overdue or faulted, for the driver to look at. `None` if it has completed since.
        suspect: Option<JobId>,
    },
    /// Reset the whole device and give its rings the numbers of [`Scheduler::number_after_reset`], then call
    /// [`Scheduler::device_reset_done`].
    ResetDevice,
    /// Nothing helps: lose the device.
    GiveUp,
    /// Write the job to its ring, to complete with `seqno`. See [`Scheduler::payload`].
    Run {
        /// Which job.
        job: JobId,
        /// Where.
        ring: RingIndex,
        /// The number that reports its completion.
        seqno: Seqno,
        /// Through what the firmware reports it, if there is such: the same for all jobs of a queue while it is busy.
        event: Option<EventSlot>,
    },
}

impl<F, P, J, Q, R, C> Scheduler<F, P, J, Q, R, C>
where
    J: Slots<JobSlot<F, P>>,
    Q: Slots<QueueSlot>,
    R: Slots<RingSlot>,
    C: Slots<ContextSlot>,
{
    /// The next thing to do, or `None` until the next event. `now` starts the clock of jobs that begin to run.
    /// O(1) plus O(rings) when there is little to do.
    pub fn poll_action(&mut self, now: Timestamp) -> Option<Action<F, P>> {
        // Those who wait come first, then memory, then trouble, then new work.
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
        let takes_work = self.device == DeviceState::Running && !self.stopped;
        for index in (0..self.rings.as_ref().len()).filter(|_| takes_work) {
            let Ok(number) = u8::try_from(index) else { break };
            if self.rings.as_ref()[index].state == RingState::Running {
                if let Some(run) = self.poll_run(RingIndex(number), now) {
                    return Some(run);
                }
            }
        }
        // Jobs that must not run were turned into signals on the way.
        self.poll_signal()
    }

    fn poll_signal(&mut self) -> Option<Action<F, P>> {
        loop {
            let job = self.finished.pop_front(self.jobs.as_mut())?;
            let slot = &mut self.jobs.as_mut()[job as usize];
            let (fence, result) = (slot.fence.take(), slot.result);
            let ring = usize::from(slot.ring.0);
            // A ring that has executed everything it was ever given reads nothing, also if it did so after the end.
            let idle = self.rings.as_ref()[ring].completed == self.rings.as_ref()[ring].issued;
            if slot.on_hardware && !idle {
                slot.state = State::Orphan;
                self.rings.as_mut()[ring].orphans.push_back(self.jobs.as_mut(), job);
            } else {
                slot.state = State::Done;
                self.done.push_back(self.jobs.as_mut(), job);
            }
            // Every finished job was committed with a fence, and this is the only place that takes it.
            if let Some(fence) = fence {
                return Some(Action::Signal { fence, result });
            }
        }
    }

    fn poll_release(&mut self) -> Option<Action<F, P>> {
        loop {
            let job = self.done.pop_front(self.jobs.as_mut())?;
            let payload = self.jobs.as_mut()[job as usize].payload.take();
            self.free(job);
            if let Some(payload) = payload {
                return Some(Action::Release { payload });
            }
        }
    }

    /// Picks the next job for a ring: highest priority first, queues of one priority in turn.
    fn poll_run(&mut self, ring: RingIndex, now: Timestamp) -> Option<Action<F, P>> {
        let index = usize::from(ring.0);
        for priority in 0..super::PRIORITIES {
            while let Some(queue) = self.rings.as_ref()[index].ready[priority].front() {
                let oldest = self.queues.as_ref()[queue as usize].jobs.front();
                let banned = self.is_banned(queue);
                let oldest = oldest.map(|job| {
                    let slot = &self.jobs.as_ref()[job as usize];
                    (job, slot.cost, if banned { Err(FenceError::Canceled) } else { slot.result })
                });
                match oldest {
                    // Jobs that must not run, and queues that were emptied, cost no credits.
                    Some((_, cost, Ok(()))) if cost > self.rings.as_ref()[index].credits => return None,
                    _ => {}
                }
                self.rings.as_mut()[index].ready[priority].pop_front(self.queues.as_mut());
                self.queues.as_mut()[queue as usize].stands = Stands::Nowhere;
                if matches!(oldest, Some((.., Ok(())))) && !self.take_event_slot(queue) {
                    continue;
                }
                let Some((job, _, result)) = oldest else {
                    self.free_queue_if_unused(queue);
                    continue;
                };
                self.queues.as_mut()[queue as usize].jobs.pop_front(self.jobs.as_mut());
                let run = match result {
                    Ok(()) => Some(self.give(ring, job, now)),
                    Err(error) => {
                        self.finish(job, Err(error));
                        None
                    }
                };
                self.list_if_ready(queue);
                if let Some((job, seqno)) = run {
                    let event = self.queues.as_ref()[queue as usize].event;
                    return Some(Action::Run { job, ring, seqno, event });
                }
                self.give_event_slot_back(queue);
            }
        }
        None
    }

    /// Puts a job on a ring.
    fn give(&mut self, ring: RingIndex, job: u32, now: Timestamp) -> (JobId, Seqno) {
        let overdue = now.plus(self.limits.job_timeout);
        let index = usize::from(ring.0);
        let slot = &mut self.rings.as_mut()[index];
        slot.issued = slot.issued.next();
        slot.deadline.get_or_insert(overdue);
        let seqno = slot.issued;
        slot.pending.push_back(self.jobs.as_mut(), job);
        let slot = &mut self.jobs.as_mut()[job as usize];
        slot.state = State::Running;
        slot.on_hardware = true;
        slot.ring = ring;
        slot.seqno = seqno;
        let (queue, cost, generation) = (slot.queue, slot.cost, slot.generation);
        self.rings.as_mut()[index].credits -= cost;
        let slot = &mut self.queues.as_mut()[queue as usize];
        slot.running += 1;
        slot.runs_on = ring;
        (Id::new(job, generation), seqno)
    }
}
