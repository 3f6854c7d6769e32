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
//! All machines use the same words, for what is said to them and asked of them:
//!
//! | form | means | for example |
//! |---|---|---|
//! | a past form, or `x_done` | an event: that has happened | [`started`](sched::Scheduler::started), [`hw_done`](sched::Scheduler::hw_done), [`failed`](incident::Incident::failed), [`took_effect`](kms::Crtc::took_effect) |
//! | an imperative | a decision of the shell or of its user; it takes effect at once | [`kill_queue`](sched::Scheduler::kill_queue), [`lose`](sched::Scheduler::lose), [`revoke`](kms::Leases::revoke) |
//! | `reserve`, then `commit` or `cancel` | a decision in two steps: one that may fail, and one that cannot | [`commit`](sched::Scheduler::commit) |
//! | `poll_action` | what the shell is to do next, handed out once; `None` until the next event | [`poll_action`](sched::Scheduler::poll_action) |
//! | `begin_x` | the shell is about to do x: whether that is still to be done, or for the last time. Then it is under way until `x_done` | [`begin_reset`](sched::Scheduler::begin_reset), [`begin_look`](polling::Polling::begin_look) |
//! | `x_answered` | what the driver has said when it was asked for x | [`abort_answered`](sched::Scheduler::abort_answered) |
//! | `look`, `observe`, `judge` | what the shell has read of the device; gives what follows from it | [`look`](vitals::Vitals::look) |
//! | `tick` | time has passed | [`tick`](sched::Scheduler::tick) |
//! | `next_deadline` | when to tick, or to look, if nothing happens before; `None`: not until an event | [`next_deadline`](sched::Scheduler::next_deadline) |
//! | `is_x`, and nouns | a question, which changes nothing | [`is_over`](sched::Scheduler::is_over), [`payload`](sched::Scheduler::payload) |
//!
//! `now` is the last argument, and the time of the event. Two machines are told in another way. [`lifecycle`] has its events as values, because
//! it answers all of them in all states, by a table. [`unplug`] has its steps as types, because their order never changes.
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
