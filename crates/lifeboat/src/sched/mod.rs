//! The scheduler in a process: the core's [state machine](lifeboat_core::sched) in a lock, and a worker thread that
//! carries out its actions on any hardware that has [`Rings`].
//!
//! It holds no policy, and it knows no device: the rings of a driver are one implementation of [`Rings`], a benchmark's ring
//! that completes everything at once is another.
//!
//! | | is | dropped |
//! |---|---|---|
//! | [`Scheduler`] | the owner's handle | every fence signals ECANCELED, the hardware is brought to rest, the worker ends |
//! | [`Context`] | who is responsible for resets | lives on until its last queue is gone |
//! | [`Queue`] | where a user's jobs wait | what has not reached a ring is canceled |
//! | [`Events`] | what an interrupt handler needs | nothing |
//! | [`Rings`] | the hardware: the worker's, or while it rests whoever submits | by the worker, at its end |
//!
//! All of these may be dropped at any moment, in any order, by any thread, also in a fence callback, with jobs waiting,
//! queued and running (SCHED-1). No drop waits for anything, so none can hang: what is left to do is the worker's. What
//! a job keeps alive for the hardware is dropped when it completed, its ring was reset, or the hardware is at rest
//! (SCHED-2), however long all handles have been gone.
//!
//! # Examples
//! A ring that completes every job when it is given it:
//! ```
//! use std::convert::Infallible;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use lifeboat::Priority;
//! use lifeboat::core::fence::Seqno;
//! use lifeboat::sched::{AtRest, Events, NewJob, Options, RingIndex, Rings, Scheduler};
//!
//! struct Null(Events<&'static str>);
//!
//! impl Rings for Null {
//!     type Job = &'static str;
//!     type Error = Infallible;
//!
//!     fn run(&mut self, ring: RingIndex, _job: &Arc<&'static str>, seqno: Seqno) -> Result<(), Infallible> {
//!         self.0.hw_done(ring, seqno);
//!         Ok(())
//!     }
//!     fn reset_ring(&mut self, _ring: RingIndex, _seqno: Seqno) -> Result<(), Infallible> {
//!         Ok(())
//!     }
//!     fn reset_device(&mut self, _numbers: &[Seqno]) -> Result<(), Infallible> {
//!         Ok(())
//!     }
//!     fn progress(&mut self, _ring: RingIndex) -> Option<Seqno> {
//!         None
//!     }
//!     fn give_up(&mut self) {}
//!     fn quiesce(&mut self) -> AtRest {
//!         AtRest::Yes
//!     }
//! }
//!
//! let scheduler = Scheduler::open(&Options::default(), |events| Ok::<_, Infallible>(Null(events.clone())))?;
//! let queue = scheduler.queue(RingIndex(0), Priority::Normal).expect("there are places for 1024");
//! let fence = queue.submit(NewJob::new(Arc::new("a job")))?;
//! fence.wait(Duration::from_secs(10))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//!
//! - Signals of one queue come in order, since one thread gives them: the worker. After a loss others may help
//!   ([`Scheduler::deliver`]), and then only errors are left to give.
//! - A worker that has nothing to do, and a thread that waits for a fence, look some ten microseconds longer before they
//!   sleep; nobody who feeds the scheduler makes a system call but to wake a worker that sleeps.
//! - A job that waits for nothing is run by the thread that submits it, if the worker rests and nothing is in the job's
//!   way ([`Options::run_by_submitter`]).
//! - What a firmware holds of a queue stays until it has let go ([`Queue::firmware_holds`]); the drop of the queue does
//!   not wait for that.
//! - [`Scheduler::deliver`] and [`Scheduler::close`] wait, with a limit, and so are not for fence callbacks.
//!
//! # How to read this module
//!
//! `rings` is what is asked of hardware; `scheduler` and `queue` are what is held; `shared` is the lock and what is fed;
//! `worker` is the thread; `seat` is what it, or whoever submits, asks the rings from.

mod in_hand;
mod options;
mod queue;
mod resets;
mod rings;
mod scheduler;
mod seat;
mod shared;
mod submission;
mod waits;
mod worker;

pub use lifeboat_core::sched::{
    Abort, Began, ErrorScope, Firmware, IfDependencyFails, LetGo, Limits, QueueError, QueueId, RingIndex, SubmitError,
};

pub use options::{Options, OptionsError};
pub use queue::{Context, NewJob, Queue};
pub use rings::{AtRest, Rings};
pub use scheduler::{Events, OpenError, Scheduler};
pub(crate) use waits::Held;
