//! `lifeboatd`: threads and polling around the state machine of `lifeboat-recovery-policy`.
//!
//! | module | concept |
//! |---|---|
//! | [`address`] | where a function is on the bus |
//! | [`sensor`] | sources of signs: events, the kernel's log, probes and states |
//! | [`system`] | the directories through which everything of the machine is read and written |
#![forbid(unsafe_code)]

pub mod address;
pub mod sensor;
pub mod system;
