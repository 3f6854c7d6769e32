//! The `lifeboat` command: GPU work that survives the loss of its GPU, to be seen and measured.
//!
//! [`args`] is what the user may say, [`run`] and [`gpu`] do it, and [`exit`] is what the shell hears back. A line on standard
//! error is for people; reports go to standard output, so that they can be piped.
//!
//! What it is not: a place for policy. What happens to a device, its jobs and its fences when the device goes is decided
//! in the framework; this crate behaves as a good application on top of it.
#![forbid(unsafe_code)]

pub mod args;
pub mod calls;
pub mod dump;
pub mod exit;
pub mod forward;
pub mod gpu;
pub mod interrupt;
pub mod output;
pub mod run;
pub mod uevents;
pub mod usage;
