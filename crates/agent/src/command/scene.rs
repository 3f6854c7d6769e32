//! The machine as a rehearsal reads it: surveys in processes of their own, and plans from sysfs.

use std::path::PathBuf;

use lifeboat_recovery_policy::policy::Step;
use lifeboat_recovery_policy::survey::Survey;

use crate::actor::plan::Plan;
use crate::actor::steps;
use crate::actor::targets::Target;
use crate::config::{Glob, Rule};
use crate::inventory::function::Function;
use crate::rehearsal::Scene;
use crate::survey::apart::{self, Asked};
use crate::system::System;

/// One device of the machine, with its rule.
pub(super) struct OneDevice<'a> {
    pub(super) system: &'a System,
    pub(super) root: PathBuf,
    pub(super) daemon: PathBuf,
    pub(super) function: &'a Function,
    pub(super) rule: &'a Rule,
}

impl Scene for OneDevice<'_> {
    fn survey(&mut self, step: &Step) -> Survey {
        let asked = Asked {
            root: self.root.clone(),
            device: self.function.address.to_string(),
            step: step.kind,
            program: step.run.clone(),
            driver: self.function.driver.clone(),
            bridge: self.function.topology.ancestors.last().map(ToString::to_string),
            never_end: self.rule.never.iter().map(Glob::to_string).collect(),
            kernel_recovers: false,
        };
        apart::ask(&self.daemon, &asked)
    }

    fn plan(&mut self, step: &Step) -> Result<Plan, String> {
        let target = Target::read(&self.system.sys, self.function.address).map_err(|error| error.to_string())?;
        steps::plan(step, &target, &target).map_err(|error| error.to_string())
    }
}
