//! `lifeboatd`: threads and polling around the state machine of `lifeboat-recovery-policy`.
//!
//! | module | concept |
//! |---|---|
//! | [`system`] | the directories through which everything of the machine is read and written |
#![forbid(unsafe_code)]

pub mod system;
