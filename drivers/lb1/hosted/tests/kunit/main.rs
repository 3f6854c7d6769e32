//! The cases that `drm_sched` tests with `KUnit`, by their names, on the GPU model and through the public API: with
//! real threads, interrupts and memory, where those of `lifeboat-core` have a mock ring and a clock that is told.
//!
//! A job writes its number into a log in device memory ([`log`]), so the order of execution is what the device did and
//! not what somebody says. A ring waits in the middle of each job until it may go on ([`hold`]), so tests decide what
//! is on the ring and what is waiting without a clock. What could have happened and has not is known once a job on
//! another ring is over ([`Rig::settle`]).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must fail

mod basic;
mod clients;
mod concurrent;
mod hold;
mod log;
#[path = "../machine/mod.rs"]
mod machine;
mod placement;
mod rig;
mod timeout;

use lifeboat::core::fence::FenceError;
use lifeboat::{Priority, WaitError};
use machine::LONG;
use rig::{Options, Rig, Spec};

const CANCELED: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Canceled));
const GUILTY: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Guilty));
const LOST: Result<(), WaitError> = Err(WaitError::Failed(FenceError::Lost));

const PRIORITY: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];
