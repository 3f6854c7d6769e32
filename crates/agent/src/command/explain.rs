//! `lifeboatctl explain`: the rule of a device and why it is that one, and what speaks for and against each step.

use std::fmt;

use lifeboat_recovery_policy::policy::Mode;
use lifeboat_recovery_policy::survey::{Protection, Survey};
use serde::Serialize;

use super::scene::OneDevice;
use super::{Common, Error, daemon, print, text};
use crate::address::Address;
use crate::config::{self, Config};
use crate::inventory::bus::Inventory;
use crate::rehearsal::Scene;
use crate::roster;
use crate::system::System;

#[derive(Debug, Serialize)]
struct Answer {
    device: String,
    id: String,
    class: String,
    driver: Option<String>,
    mode: Mode,
    rule: Option<Rule>,
    others: Vec<Other>,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Rule {
    name: String,
    place: String,
}

/// Rule that is not the device's, and why.
#[derive(Debug, Serialize)]
struct Other {
    name: String,
    why_not: String,
}

#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    tries: u32,
    survey: Survey,
    writes: Vec<String>,
    cautions: Vec<String>,
    why_not: Option<String>,
}

/// Finds the device, or says which there are.
pub(super) fn find(inventory: &Inventory, device: &str) -> Result<Address, Error> {
    let address: Address =
        device.parse().map_err(|error: crate::address::NoAddress| Error::Request(error.to_string()))?;
    if inventory.function(address).is_some() {
        return Ok(address);
    }
    let there: Vec<String> = inventory.functions().map(|function| function.address.to_string()).collect();
    let there = if there.is_empty() { "none".into() } else { there.join(", ") };
    Err(Error::Request(format!("there is no function at {address}; there are: {there}")))
}

/// Explains a device.
///
/// # Errors
/// [`Error`].
pub fn run(common: &Common, device: &str) -> Result<(), Error> {
    let system = System::open(&common.root)?;
    let config = config::load(&common.policies)?;
    let inventory = roster::inventory(&system)?;
    let address = find(&inventory, device)?;
    print(&answer(common, &system, &config, &inventory, address)?, common.json)?;
    Ok(())
}

fn answer(
    common: &Common,
    system: &System,
    config: &Config,
    inventory: &Inventory,
    address: Address,
) -> Result<Answer, Error> {
    let listed = roster::list(inventory, &config.rules).find(|listed| listed.function.address == address);
    let listed = listed.ok_or_else(|| Error::Request(format!("{address} has left the bus")))?;
    let (function, rule) = (listed.function, listed.found.rule);
    let mut steps = Vec::new();
    if let Some(rule) = rule {
        let mut scene = OneDevice { system, root: common.root.clone(), daemon: daemon()?, function, rule };
        for step in &rule.policy.steps {
            let (survey, plan) = (scene.survey(step), scene.plan(step));
            let (writes, cautions, why_not) = match plan {
                Ok(plan) => (plan.all().map(ToString::to_string).collect(), plan.cautions, None),
                Err(why) => (Vec::new(), Vec::new(), Some(why)),
            };
            let why_not = survey.unavailable.clone().or(why_not);
            steps.push(Step { name: step.kind.name(), tries: step.tries, survey, writes, cautions, why_not });
        }
    }
    Ok(Answer {
        device: address.to_string(),
        id: listed.subject.id,
        class: format!("{:06x}", listed.subject.class),
        driver: function.driver.clone(),
        mode: config.host.mode,
        rule: rule.map(|rule| Rule { name: rule.policy.name.clone(), place: rule.place.to_string() }),
        others: listed
            .found
            .why_not
            .into_iter()
            .map(|(rule, why_not)| Other { name: rule.policy.name.clone(), why_not })
            .collect(),
        steps,
    })
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = self.driver.as_deref().unwrap_or("no driver");
        writeln!(f, "{} ({}, class {}, {driver})", self.device, self.id, self.class)?;
        match &self.rule {
            Some(rule) => writeln!(f, "rule {:?} ({})", rule.name, rule.place)?,
            None => writeln!(f, "no rule: the device is not the daemon's business")?,
        }
        for other in &self.others {
            writeln!(f, "  not {:?}: {}", other.name, other.why_not)?;
        }
        if let Some(step) = self.steps.first() {
            writeln!(f, "health: {}", text::health(&step.survey.health))?;
            step.survey.holders.found.iter().try_for_each(|holder| writeln!(f, "held by {}", text::holder(holder)))?;
            step.survey.holders.unknowable.iter().try_for_each(|kind| writeln!(f, "cannot be known: {kind}"))?;
            if let Some(why) = &step.survey.holders.unreadable {
                writeln!(f, "holders are unknown: {why}")?;
            }
        }
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {} (tries: {})", self.name, self.tries)?;
        if let Some(why) = &self.why_not {
            writeln!(f, "  not on this machine: {why}")?;
        }
        let protections: Vec<&str> = self.survey.protections.iter().copied().map(Protection::name).collect();
        if !protections.is_empty() {
            writeln!(f, "  protected: {}", protections.join(", "))?;
        }
        self.survey.domain_in_use.iter().try_for_each(|used| writeln!(f, "  in use: {used}"))?;
        if let Some(why) = &self.survey.domain_unreadable {
            writeln!(f, "  its domain is unknown: {why}")?;
        }
        self.writes.iter().try_for_each(|write| writeln!(f, "  {write}"))?;
        self.cautions.iter().try_for_each(|caution| writeln!(f, "  caution: {caution}"))
    }
}
