// SPDX-License-Identifier: GPL-2.0 OR MIT

//! What is played.

mod credits;
mod letting_go;
mod limits;
mod order;

use lifeboat_core::sched::JobSpec;

use crate::stage::Scenario;

/// All scenarios.
pub(crate) const ALL: &[Scenario] = &[
    order::SCENARIO,
    credits::SCENARIO,
    limits::SCENARIO,
    letting_go::LATE,
    letting_go::WORD_IS_LOST,
    letting_go::NEVER,
    letting_go::NEVER_OF_THE_DEVICE,
    letting_go::DEAD,
];

/// A job that needs so many credits, and has no limit of its own.
const fn costs(cost: u32) -> JobSpec {
    JobSpec {
        cost,
        dependencies: 0,
        time_limit: None,
        restartable: false,
        if_dependency_fails: lifeboat_core::sched::IfDependencyFails::Cancel,
    }
}
