//! `lifeboatd`: threads and polling around the state machine of `lifeboat-recovery-policy`.
//!
//! | module | concept |
//! |---|---|
//! | [`actor`] | steps as lists of writes, and the processes that carry them out |
//! | [`address`] | where a function is on the bus |
//! | [`inventory`] | functions on the bus and their nodes |
//! | [`survey`] | holders, protections and domain of a device, right before a step |
//! | [`clock`] | time that never goes back |
//! | [`command`] | the commands of `lifeboatd` and `lifeboatctl` |
//! | [`config`] | the operator's rules: drop-in files, their errors, the rule of a device |
//! | [`daemon`] | the daemon that stays |
//! | [`disposable`] | questions to a process that may never answer |
//! | [`evidence`] | what is saved of an incident before the first action |
//! | [`journal`] | the log that the daemon's state and history follow from |
//! | [`process`] | identity of a process |
//! | [`rehearsal`] | what the daemon would do about a sign, without a write |
//! | [`roster`] | functions with their rules |
//! | [`sensor`] | sources of signs: events, the kernel's log, probes and states |
//! | [`system`] | the directories through which everything of the machine is read and written |
//! | [`verify`] | whether a device works again |
#![forbid(unsafe_code)]

pub mod actor;
pub mod address;
pub mod clock;
pub mod command;
pub mod config;
pub mod daemon;
pub mod disposable;
pub mod evidence;
pub mod inventory;
pub mod journal;
pub mod process;
pub mod rehearsal;
pub mod roster;
pub mod sensor;
pub mod survey;
pub mod system;
pub mod verify;

#[cfg(test)]
#[allow(unreachable_pub, reason = "tests in other files use the same text as a module of theirs")]
#[path = "../tests/support/tree/mod.rs"]
mod tree;
