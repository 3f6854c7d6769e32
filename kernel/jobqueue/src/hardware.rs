// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What the scheduler asks of a device.

use kernel::sync::Arc;
use lifeboat_core::fence::{FenceError, Seqno};
use lifeboat_core::sched::{Abort, Began, LetGo, QueueId, RingIndex};

/// A device with rings. The worker calls, and the tick, with no lock held; both may at the same time.
///
/// What is called while jobs run must allocate nothing (SCHED-3): the kernel may wait for fences to
/// get memory.
pub trait Hardware: Send + Sync + Sized + 'static {
    /// What a job is to the driver, and what it keeps alive for the hardware. Dropped when the
    /// hardware is known to be done with it (SCHED-2), in a thread.
    type Job: Send + Sync + 'static;

    /// What counts the ends of jobs.
    type Ledger: Ledger;

    /// Writes a job to its ring, to report `seqno` when it completes.
    ///
    /// # Errors
    /// [`NotRun`], which says what becomes of that.
    fn run(self: &Arc<Self>, ring: RingIndex, job: &Arc<Self::Job>, seqno: Seqno) -> Result<(), NotRun>;

    /// Reports what the device has written to memory since the last call, if it does so
    /// ([`Scheduler::hw_done`](crate::Scheduler::hw_done) and its like).
    fn collect(self: &Arc<Self>);

    /// Acknowledges and reports what the device announces, in case a message of it was lost.
    fn attend(self: &Arc<Self>);

    /// The number up to which a ring has completed everything, or `None` if that cannot be read. A
    /// ring that completes out of order reports single jobs from within this call.
    fn progress(self: &Arc<Self>, ring: RingIndex) -> Option<Seqno>;

    /// Whether a ring has begun the job that is guilty if it is reset now, and has not come to its
    /// end.
    fn began(self: &Arc<Self>, ring: RingIndex, job: &Arc<Self::Job>) -> Began;

    /// Has a ring give up one overdue job, and go on with the others.
    fn abort(self: &Arc<Self>, ring: RingIndex, job: &Arc<Self::Job>, seqno: Seqno) -> Abort;

    /// Has the firmware of a ring let go of a closed queue. `kept` is what was kept alive for the
    /// firmware, `last_look` says that it has been asked before and did not answer in time.
    fn let_go(self: &Arc<Self>, ring: RingIndex, queue: QueueId, kept: &Arc<Self::Job>, last_look: bool) -> LetGo;

    /// Stops a ring and starts it again with nothing in it and `seqno` as its number. Tells whether it
    /// works again; `None` if the end of the device has cut that short.
    fn reset_ring(self: &Arc<Self>, ring: RingIndex, seqno: Seqno) -> Option<bool>;

    /// Resets the whole device, and starts all rings again with these numbers. As
    /// [`Hardware::reset_ring`].
    fn reset_device(self: &Arc<Self>, numbers: impl FnMut(RingIndex) -> Seqno) -> Option<bool>;

    /// The hardware is done with a job, whose fence has signalled. Must not drop the last of it, nor wait.
    fn done_with(self: &Arc<Self>, job: &Arc<Self::Job>) {
        let _ = job;
    }

    /// Nothing helps: the device is to be lost. Must not wait for that. Jobs end when somebody calls
    /// [`Scheduler::lose`](crate::Scheduler::lose).
    fn give_up(self: &Arc<Self>);

    /// The worker has nothing left to do for now.
    fn is_idle(self: &Arc<Self>) {}
}

/// Why a job was not given to its ring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum NotRun {
    /// For a reason of its own: the hardware was given nothing of it. It fails as guilty, and the ring
    /// goes on (SCHED-10).
    Job,
    /// Nothing more can be given to the device, which [is given up](Hardware::give_up).
    Device,
    /// The device is gone, which is known already.
    Gone,
}

/// Counts how jobs end.
pub trait Ledger: Send + Sync + 'static {
    /// The fence of a job is about to signal. Called with the scheduler's lock held.
    fn ended(&self, outcome: Result<(), FenceError>);
}
