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
//! | [`record`] | everything that must survive a restart |
//! | [`memory`] | the sum of the records of a device |
//! | [`event`] | what a device is told of, and what it asks for |
//! | [`stage`] | which answer is awaited, or the reason to wait |
//! | [`device`] | the state machine of one device |
//! | [`host`] | all devices, their turns, and the breaker |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
pub mod event;
pub mod host;
pub mod memory;
pub mod policy;
pub mod record;
mod sightings;
pub mod sign;
pub mod stage;
pub mod survey;
pub mod time;
