// SPDX-License-Identifier: GPL-2.0 OR MIT

//! The device dump: what a device looked like when something went wrong with it, before anything was reset (WEDGE-4).
//!
//! | file | concept |
//! |---|---|
//! | `recorder` | when the state is captured: once per incident (`lifeboat_core::incident`), before the first reset |
//! | `capture` | the state, in memory that was set aside at probe |
//! | `subject`, `device` | a device, as its dump asks things of it |
//! | `state` | the state as `lifeboat_driver::dump` writes it |
//! | `publish` | the captured state becomes a `devcoredump`: a work item |
//!
//! A capture is made by whoever finds the trouble, which is the scheduler's worker as a rule: it allocates nothing, since fences
//! depend on it. Its text is written later, by a work item that may wait for memory, and handed to the kernel, which shows it as
//! `/sys/class/devcoredump/devcd*/data`; `lifeboat dump show` reads that.
//!
//! What leaves a dump, and what does not:
//!
//! | what happens | the dump |
//! |---|---|
//! | a ring is about to be reset, for a hang or a fault | all of it, with the blamed job and its process |
//! | the device is about to be reset, or is given up | all of it, unless the same incident has one |
//! | the device hangs, or answers nonsense | all that it says in half a second |
//! | the device does not answer | what the driver knows itself: the jobs |
//! | the device is pulled out or unbound, or another is in its place | none |
//!
//! **The kernel has room for one dump of each device**, until somebody has read it and said so, or for five minutes. It drops
//! a second one without a word. So a later incident's waits here until there is room; if yet another comes meanwhile, the newest
//! waits. So of many incidents there are the first and the last. One that still waits when the binding ends is lost, and the log says so.
//!
//! Locks: `dumps` is a leaf. A capture takes `rings`, then the scheduler's, and holds neither when it is done.

mod capture;
mod device;
mod publish;
mod recorder;
mod state;
mod subject;

pub(crate) use recorder::Recorder;
