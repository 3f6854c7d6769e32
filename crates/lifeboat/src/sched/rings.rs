//! What the scheduler asks of hardware.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use lifeboat_core::fence::Seqno;
use lifeboat_core::sched::{Abort, Began, ErrorScope, LetGo, QueueId, RingIndex};

/// The rings of one device, as their scheduler uses them: with no lock held, one call at a time, each on the worker's
/// thread, but [`Rings::run`], which [may](super::Options::run_by_submitter) be called by the thread that submits the job.
///
/// What is called while jobs run must allocate nothing but what it logs (SCHED-3): memory is given back by jobs that end, and they would
/// wait for it. A panic is contained and ends in [`Rings::give_up`].
pub trait Rings: Send + 'static {
    /// What a job keeps alive for the hardware, and what tells the driver what to write: commands, mappings, buffers.
    /// Dropped when the hardware is known to be done with it (SCHED-2), on the worker's thread as a rule.
    type Job: Send + Sync + 'static;

    /// Why something could not be done. It is logged.
    type Error: fmt::Display;

    /// Writes a job to its ring, to report `seqno` when it completes ([`Events::hw_done`](super::Events::hw_done), or
    /// [`Events::hw_done_one`](super::Events::hw_done_one)).
    ///
    /// # Errors
    /// When the job could not be given to the hardware. What becomes of that says [`Rings::scope`].
    fn run(&mut self, ring: RingIndex, job: &Arc<Self::Job>, seqno: Seqno) -> Result<(), Self::Error>;

    /// Whether an error of [`Rings::run`] concerns the job alone. Then the hardware was given nothing of it, the job fails
    /// as guilty, its context is charged, and the ring goes on (SCHED-10). Otherwise the device is [given
    /// up](Rings::give_up). A driver that cannot tell says that it concerns the device.
    fn scope(&self, error: &Self::Error) -> ErrorScope {
        let _ = error;
        ErrorScope::Device
    }

    /// Stops a ring, starts it again with nothing in it and `seqno` as its number, and lets it
    /// prove that it works, if the driver can: by a job of its own that writes `seqno.next()` and
    /// whose result is compared. Both numbers are the reset's; jobs are given later ones. May wait
    /// for the hardware, with a limit.
    ///
    /// # Errors
    /// When the ring does not work again, or cannot be reset alone: then the whole
    /// [device](Rings::reset_device) is.
    fn reset_ring(&mut self, ring: RingIndex, seqno: Seqno) -> Result<(), Self::Error>;

    /// Whether a job that has had its time moves: then it gets as much time again, up to
    /// [`Limits::extensions`](super::Limits::extensions) times. Asked before its ring is reset, and after it the ring is
    /// asked for its [progress](Rings::progress) once more: a job that completes meanwhile costs no reset. A driver that
    /// cannot tell says no.
    fn still_running(&mut self, ring: RingIndex, job: &Arc<Self::Job>) -> bool {
        let _ = (ring, job);
        false
    }

    /// Whether a ring has begun the job that is guilty if the ring is reset now, and has not come
    /// to its end. Asked before the ring or the device is reset. If not, nobody is guilty: the ring
    /// itself is suspect. Return [`Began::Unknown`] if the driver cannot tell; the job then counts as
    /// begun.
    fn began(&mut self, ring: RingIndex, job: &Arc<Self::Job>) -> Began {
        let _ = (ring, job);
        Began::Unknown
    }

    /// Has a ring give up one overdue job, which it reports by `seqno`, and go on with the others. Asked once for a
    /// job before its ring is reset. [`Abort::Asked`] promises that the ring reports how the job has ended
    /// ([`Events::aborted`](super::Events::aborted), or as completed); if it does not within the job's own limit, or
    /// [`Limits::job_timeout`](super::Limits::job_timeout) if that is shorter, the ring is reset. A driver that cannot do
    /// this says so, and the ring is reset at once.
    fn abort(&mut self, ring: RingIndex, job: &Arc<Self::Job>, seqno: Seqno) -> Abort {
        let _ = (ring, job, seqno);
        Abort::Cannot
    }

    /// Has the firmware of a ring let go of a closed queue that it [holds](super::Queue::firmware_holds) something of, and
    /// that nothing runs in. `kept` stays until it has. [`LetGo::Asked`] promises that the firmware's answer is reported
    /// ([`Events::firmware_let_go`](super::Events::firmware_let_go)). If none comes within
    /// [`Limits::let_go`](super::Limits::let_go), this is called once more, as the `last_look`: [`LetGo::Done`] if the
    /// firmware has let go by now, else what [`Limits::firmware`](super::Limits::firmware) says is reset. A driver whose
    /// firmware holds nothing leaves this out. Must not wait for the firmware.
    fn let_go(&mut self, ring: RingIndex, queue: QueueId, kept: &Arc<Self::Job>, last_look: bool) -> LetGo {
        let _ = (ring, queue, kept, last_look);
        LetGo::Done
    }

    /// Resets the whole device after the reset of a ring has failed or was in vain, and starts all
    /// rings again with nothing in them and these numbers, by ring; each proves itself as after
    /// [`Rings::reset_ring`]. What users have set up, address tables for example, is there again
    /// afterwards. May wait for the hardware, with a limit.
    ///
    /// # Errors
    /// When the device does not work again, or when the driver cannot do this; then the device is
    /// [given up](Rings::give_up).
    fn reset_device(&mut self, numbers: &[Seqno]) -> Result<(), Self::Error>;

    /// The number up to which a ring has completed everything, or `None` if that cannot be read. Asked before a job's time
    /// is judged, so that a lost interrupt is no hang, and once more before a ring or the device is reset. A ring that
    /// completes out of order reports the single jobs from within this call.
    fn progress(&mut self, ring: RingIndex) -> Option<Seqno>;

    /// Nothing helps: the device is to be lost. Must not block. Nothing else is asked of the rings after this but
    /// [`Rings::quiesce`]; jobs end when somebody then calls [`Scheduler::lose`](super::Scheduler::lose) or
    /// [`Events::lose`](super::Events::lose), which is this method's to bring about, or drops the scheduler.
    fn give_up(&mut self);

    /// Whatever else the driver wants to look at from time to time. Called in the beginning, at the moment that the last
    /// call gave, and after [`Events::nudge`](super::Events::nudge), also while there is always work. Gives the moment of
    /// the next call.
    fn look(&mut self) -> Option<Instant> {
        None
    }

    /// Brings the hardware to rest: afterwards it reads and writes nothing that a job keeps alive. The last call; every
    /// fence has signalled. May wait, with a limit.
    fn quiesce(&mut self) -> AtRest;
}

/// Whether hardware is known to be done with what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtRest {
    /// It is at rest, reset or gone: what jobs kept alive for it is dropped.
    Yes,
    /// Not yet. Somebody else sees to it, and then calls [`Scheduler::hardware_gone`](super::Scheduler::hardware_gone).
    /// Until then the jobs' memory stays; without it, for ever.
    NotYet,
}
