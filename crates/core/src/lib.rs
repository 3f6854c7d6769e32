//! The policy of Lifeboat: the fate of calls, jobs and fences when a device can vanish at any
//! moment.
//!
//! Design principles:
//!
//! - **State machines in, actions out.** A shell feeds events and carries out actions. This crate
//!   takes no lock, reads no clock, allocates nothing and does no I/O. Time is an argument. So the
//!   same code runs in a process, under model checkers and in a kernel module, and can be explored
//!   exhaustively without threads.
//! - **Storage comes from the caller** ([`Slots`]): an array, a `Vec`, a kernel vector. Nothing
//!   grows after construction. A request that does not fit is refused before the point of no
//!   return.
//! - **Handles are an index and a generation** ([`Id`]). A stale handle is an error and never leads
//!   to another object.
//! - **Orders that matter are types.** The steps of an unplug consume one another ([`unplug`]).
//!
//! | module | concept |
//! |---|---|
//! | [`class`] | classes of calls: access to the device, and the answer after a loss |
//! | [`core_call`] | calls whose class no driver can change |
//! | [`unplug`] | the one path that every loss of a device takes |
//! | [`sched`] | queues, jobs, rings, timeouts |
//! | [`kms`] | commits of a display: their rules, and the pending commit |
//! | [`fence`] | the ways a fence can end, and sequence numbers |
//! | [`health`] | a dead device against a register that reads all-ones |
//! | [`overstay`] | detection of code that stays inside for too long |
//! | [`polling`] | time limits for polling hardware, on a machine that may be busy |
//! | [`vitals`] | watch over a device: does it answer, and does it make progress? |
//! | [`lifecycle`] | states of the device in a slot, with an answer for every event |
//! | [`incident`] | grouping of failures, for dumps |
//! | [`recovery`] | budget of recoveries for a device that fails |
//! | [`wedge`] | devices that the driver can no longer repair |
//! | [`share`] | the most that one client may hold of a shared resource |
//! | [`minor`] | device numbers that are not reused at once |
//! | [`errno`] | conversion of errors to error numbers, in one place |
#![no_std]
#![forbid(unsafe_code)]

pub mod class;
pub mod core_call;
pub mod errno;
pub mod fence;
pub mod health;
mod id;
pub mod incident;
pub mod kms;
pub mod lifecycle;
pub mod minor;
pub mod overstay;
pub mod polling;
pub mod recovery;
pub mod sched;
pub mod share;
mod time;
pub mod unplug;
pub mod vitals;
pub mod wedge;

pub use id::{Id, Slots};
pub use time::Timestamp;
