//! What runs inside the test guest, as a library: the messages it exchanges with the test runner, and the operations behind
//! them.
//!
//! The guest holds no test and no judgement. It does one thing at a time that somebody else asked for and says how long it
//! took, so that the tests can be ordinary Rust functions on the host.
#![forbid(unsafe_code)]

pub mod command;
pub mod condition;
pub mod fuzz;
pub mod node;
pub mod operation;
pub mod process;
pub mod serve;
pub mod session;
pub mod torture;
pub mod uevents;
pub mod wire;
