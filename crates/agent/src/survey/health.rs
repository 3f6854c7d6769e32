//! First look at the health of a function: whether it sleeps, and whether it answers at all.

use lifeboat_recovery_policy::survey::Health;

use crate::inventory::config::{Config, Unread};
use crate::inventory::function::Function;
use crate::survey::question::Eyes;
use crate::system::System;

/// Looks at the health of a function. A sleeping one is left asleep. One whose configuration space answers can be
/// sick all the same: the probe tells.
pub fn look(system: &System, function: &Function, eyes: &Eyes) -> Health {
    match Config::read(system, function, eyes.config) {
        Ok(_) => (eyes.probe)(function),
        Err(error @ Unread::AllOnes) => Health::Sick(error.to_string()),
        Err(error) => Health::Unreadable(error.to_string()),
    }
}
