//! Any sequence of calls with any arguments, at devices that come and go: one interpreter for the ordinary test
//! `random_calls` and for the fuzz target `calls`.
//!
//! There are two machines, so that objects of one device are given to another; objects of devices that are gone are used on.
//! Every answer is held to its call's documentation and class ([`rules`]); at the end everything that was owed has come, once,
//! and nothing is left.
#![allow(clippy::unwrap_used, clippy::expect_used)] // what cannot go on must fail

mod calls;
mod client;
mod command;
mod display;
mod events;
mod machine;
mod operation;
mod pool;
mod rules;
mod values;
mod world;

use std::time::Duration;

use lifeboat_sync::lint;

pub(crate) use operation::Input;
use world::World;

/// Longer than anything takes, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Carries out an input. Panics if anything is not as it must be.
pub(crate) fn run(input: &Input) {
    let mut world = World::new();
    for operation in &input.operations {
        world.step(operation);
    }
    world.finish(input.pulled, input.order);
    let reports = lint::take_reports();
    assert!(reports.is_empty(), "{}", reports.iter().map(ToString::to_string).collect::<String>());
}
