//! `lifeboatd`: threads and polling around the state machine of `lifeboat-recovery-policy`.
//!
//! | module | concept |
//! |---|---|
//! | [`actor`] | steps as lists of writes, and the processes that carry them out |
//! | [`address`] | where a function is on the bus |
//! | [`system`] | the directories through which everything of the machine is read and written |
#![forbid(unsafe_code)]

pub mod actor;
pub mod address;
pub mod system;
