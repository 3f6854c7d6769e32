//! The policy of Lifeboat: what happens to calls, jobs and fences when a device can vanish at any moment.
//!
//! Design principles:
//!
//! - **State machines in, actions out.** A shell feeds events and drains actions; nothing in here takes a lock, reads a
//!   clock, allocates or does I/O. Time is an argument. So the same code runs in a process, under the model checkers
//!   and in a kernel module, and can be explored exhaustively without threads.
//! - **Storage comes from the caller** ([`Slots`]): an array, a `Vec`, a kernel vector. Nothing grows after
//!   construction; what does not fit is refused before the point of no return.
//! - **Handles are an index and a generation** ([`Id`]). A stale handle is an error, never somebody else's object.
//! - **Orders that matter are types.** The steps of an unplug consume one another ([`unplug`]).
//!
//! | module | concept |
//! |---|---|
//! | [`class`] | classes of calls: access to the device, and the answer after loss |
//! | [`core_call`] | the calls that no driver can give another class |
//! | [`unplug`] | the one path that every loss of a device takes |
//! | [`sched`] | queues, jobs, rings, timeouts |
//! | [`kms`] | commits of a display: rules, and the one under way |
//! | [`fence`] | the ways a fence can end, and sequence numbers |
//! | [`health`] | distinction between a dead device and a register that reads all-ones |
//! | [`overstay`] | when code that must not last has lasted for too long |
//! | [`polling`] | limits for polling hardware, on a machine that may be busy |
//! | [`vitals`] | watch over a device: it answers, and it goes on |
//! | [`lifecycle`] | the states of the device in a slot, with an answer for every event |
//! | [`incident`] | grouping of failures, for dumps |
//! | [`recovery`] | budget of recoveries of a device that fails |
//! | [`wedge`] | a device that the driver cannot help any more |
//! | [`share`] | the most that one client may hold of a shared resource |
//! | [`minor`] | device numbers that are not reused at once |
//! | [`errno`] | the one place where errors become numbers |
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
