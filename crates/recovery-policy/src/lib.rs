//! Decisions of the recovery daemon (`lifeboatd`) as a state machine: events in, actions out.
//!
//! The crate does no I/O, reads no clock and starts no thread: there is no `std` to do that with.
//!
//! | module | concept |
//! |---|---|
//! | [`time`] | points in time |
//! | [`sign`] | signs that something is wrong, and the advice that they give |
//! | [`survey`] | the state of a device and of its surroundings right before a decision |
//! | [`policy`] | the rules of the operator |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod policy;
pub mod sign;
pub mod survey;
pub mod time;
