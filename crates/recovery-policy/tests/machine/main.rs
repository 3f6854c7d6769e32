//! The state machine, driven by a shell that does what a test says.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod bench;
mod budget;
mod commands;
mod holders;
mod ladder;
mod restart;
mod signs;
mod survey;
mod waits;
