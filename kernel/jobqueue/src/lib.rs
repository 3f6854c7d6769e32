// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The shell of the scheduler: `lifeboat_core::sched` with locks, work items, and `dma_fence`s.
//!
//! It knows no device and no DRM: what runs jobs is a [`Hardware`], what a job is about is the
//! hardware's own type. It sees the `kernel` crate and `lifeboat_core`, and holds no policy.
//!
//! | file | concept |
//! |---|---|
//! | `scheduler` | the lock around the core: what happens, and the core's wishes in one place |
//! | `hardware` | what the scheduler asks of a device |
//! | `submit` | a job on its way in: what may fail, then the point of no return |
//! | `wait` | a job's wait for one fence, of whatever driver |
//! | `worker` | carries out the core's wishes: a work item |
//! | `unfinished` | the jobs that have not ended, for reports |
//! | `releases` | drops what jobs kept alive: a work item |
//! | `tick` | passes time: a work item with a timer |
//! | `options`, `heap`, `storage` | how much of everything there is, and its memory |
//! | `clock`, `errno` | the core's time and its error numbers |
//! | `glue` | all that is unsafe: fences, their callbacks, work queues |
//!
//! Locks, outermost first: the scheduler's (`state`); a fence's own. Fences signal under the
//! scheduler's lock, and so do their callbacks run, which are other drivers' code and must not block,
//! by the rules of `dma_fence`. Our own callback takes no lock but that of a work queue.
#![deny(unsafe_code)] // but in `glue`
#![deny(missing_docs)]

pub mod clock;
mod errno;
mod glue;
mod hardware;
mod heap;
mod options;
mod releases;
mod scheduler;
mod storage;
mod submit;
mod tick;
mod unfinished;
mod wait;
mod worker;

pub use errno::from_core;
pub use glue::{call_off, disable, disable_delayed, Fence, FenceName, OwnedQueue, Timeline, Unsignalled};
pub use hardware::{Hardware, Ledger, NotRun};
pub use options::{InOrder, Options};
pub use scheduler::Scheduler;
pub use submit::Prepared;
pub use unfinished::{Pending, Unfinished};
