//! `lifeboatd check`: reads the policies, and says what is wrong with them.

use std::fmt;

use lifeboat_recovery_policy::policy::Mode;
use serde::Serialize;

use super::{Common, Error, print};
use crate::config;

/// Rules that were read.
#[derive(Debug, Serialize)]
struct Answer {
    mode: Mode,
    rules: Vec<Rule>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Rule {
    name: String,
    place: String,
    steps: Vec<&'static str>,
}

/// Checks the policies.
///
/// # Errors
/// [`Error::Policy`] with all errors of all files.
pub fn run(common: &Common) -> Result<(), Error> {
    let config = config::load(&common.policies)?;
    let rules = config.rules.all().iter().map(|rule| Rule {
        name: rule.policy.name.clone(),
        place: rule.place.to_string(),
        steps: rule.policy.steps.iter().map(|step| step.kind.name()).collect(),
    });
    let warnings = config.warnings.iter().map(ToString::to_string).collect();
    print(&Answer { mode: config.host.mode, rules: rules.collect(), warnings }, common.json)?;
    Ok(())
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Observe => "observe: nothing is written",
            Mode::Act => "act: steps are carried out",
        };
        writeln!(f, "mode {mode}")?;
        for rule in &self.rules {
            let steps = if rule.steps.is_empty() { "no steps".into() } else { rule.steps.join(", ") };
            writeln!(f, "rule {:?} ({}): {steps}", rule.name, rule.place)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}
