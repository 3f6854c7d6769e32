// SPDX-License-Identifier: GPL-2.0 OR MIT

//! `lifeboat_jobqueue_test.ko`: the scheduler's shell over a model of hardware that can do what no device in this tree does:
//! complete jobs out of order (SCHED-11), and have a firmware that must let go of queues (SCHED-12).
//!
//! Loading the module plays all scenarios; it fails with EIO if something is not as it should be, and
//! the log says what. There is no device. Each scenario is played to its end once, and cut off by the
//! loss of the hardware at each of its [points](stage::Stage::point). Nothing is judged by how long it
//! took, but by what came after what, and by what must not come too early.
//!
//! | file | concept |
//! |---|---|
//! | `model` | the hardware: its rings, and its firmware |
//! | `record` | what was called, in its order |
//! | `stage` | a scheduler with that hardware, and how it ends |
//! | `scenarios` | what is played |
#![deny(unsafe_code)]

use kernel::prelude::*;

/// Ends a scenario unless something is so.
macro_rules! check {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            pr_err!("FAILED: {}\n", format_args!($($text)+));
            return Err(EIO.into());
        }
    };
}

mod model;
mod record;
mod scenarios;
mod stage;

/// The module's state: none.
struct Test;

impl kernel::Module for Test {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for scenario in scenarios::ALL {
            let points = stage::play(scenario).inspect_err(|_| pr_err!("in the scenario `{}`\n", scenario.name))?;
            pr_info!("{}: played to the end, and lost at {points} points\n", scenario.name);
        }
        Ok(Self)
    }
}

module! {
    type: Test,
    name: "lifeboat_jobqueue_test",
    authors: ["The Lifeboat developers"],
    description: "Tests Lifeboat's job scheduler, without a device",
    license: "Dual MIT/GPL",
}
