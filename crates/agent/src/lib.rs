//! `lifeboatd`: threads and polling around the state machine of `lifeboat-recovery-policy`.
//!
//! | module | concept |
//! |---|---|
//! | [`address`] | where a function is on the bus |
//! | [`config`] | the operator's rules: drop-in files, their errors, the rule of a device |
//! | [`evidence`] | what is saved of an incident before the first action |
//! | [`journal`] | the log that the daemon's state and history follow from |
//! | [`system`] | the directories through which everything of the machine is read and written |
#![forbid(unsafe_code)]

pub mod address;
pub mod config;
pub mod evidence;
pub mod journal;
pub mod system;
