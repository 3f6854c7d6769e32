//! `lifeboatd --once`: looks at every device that a rule is for, and at the signs of this boot, and writes nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_recovery_policy::policy::{Mode, StepKind};
use lifeboat_recovery_policy::sign::Sign;
use lifeboat_recovery_policy::survey::{Health, Holder, Protection};
use serde::Serialize;

use super::{Common, Error, daemon, print, text};
use crate::address::Address;
use crate::clock::Clock;
use crate::config::{self, Glob};
use crate::roster;
use crate::sensor::kernel_log::KernelLog;
use crate::sensor::states::States;
use crate::sensor::{Observed, Report, Sensor};
use crate::survey::apart::{self, Asked};
use crate::system::System;

/// Rounds in which a sensor is read. Each takes a bounded part of what there is.
const ROUNDS: usize = 10_000;

#[derive(Debug, Serialize)]
struct Answer {
    mode: Mode,
    devices: Vec<Device>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Device {
    address: String,
    id: String,
    class: String,
    driver: Option<String>,
    rule: String,
    health: Health,
    /// Signs of this boot, each once, and whether the rule counts them.
    signs: Vec<Seen>,
    protections: Vec<Protection>,
    holders: Vec<Holder>,
}

#[derive(Debug, Serialize)]
struct Seen {
    sign: Sign,
    counts: bool,
    times: u64,
}

/// Looks once.
///
/// # Errors
/// [`Error`].
pub fn run(common: &Common) -> Result<(), Error> {
    let system = Arc::new(System::open(&common.root)?);
    let config = config::load(&common.policies)?;
    let inventory = roster::inventory(&system)?;
    let mut warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let mut signs = signs(&system, &mut warnings);
    let program = daemon()?;
    let mut devices = Vec::new();
    for listed in roster::list(&inventory, &config.rules) {
        let (Some(rule), function) = (listed.found.rule, listed.function) else { continue };
        let survey = apart::ask(
            &program,
            &Asked {
                root: common.root.clone(),
                device: function.address.to_string(),
                step: rule.policy.steps.first().map_or(StepKind::Rebind, |step| step.kind),
                program: rule.policy.steps.first().map(|step| step.run.clone()).unwrap_or_default(),
                driver: function.driver.clone(),
                bridge: None,
                never_end: rule.never.iter().map(Glob::to_string).collect(),
                kernel_recovers: false,
            },
        );
        let seen = signs.remove(&function.address).unwrap_or_default().into_iter();
        let seen =
            seen.map(|(sign, times)| Seen { counts: rule.policy.signals.threshold(&sign).times > 0, sign, times });
        devices.push(Device {
            address: function.address.to_string(),
            id: listed.subject.id,
            class: format!("{:06x}", listed.subject.class),
            driver: function.driver.clone(),
            rule: rule.policy.name.clone(),
            health: survey.health,
            signs: seen.collect(),
            protections: survey.protections,
            holders: survey.holders.found,
        });
    }
    print(&Answer { mode: config.host.mode, devices, warnings }, common.json)?;
    Ok(())
}

/// Collects the signs of this boot, each once, with the number of its sightings.
fn signs(system: &Arc<System>, warnings: &mut Vec<String>) -> BTreeMap<Address, Vec<(Sign, u64)>> {
    let clock = Clock::start(lifeboat_recovery_policy::time::Timestamp::default());
    let mut reports = Vec::new();
    match KernelLog::open(Arc::clone(system), clock.moment()) {
        Ok(mut log) => read(&mut log, clock, &mut reports, warnings),
        Err(error) => warnings.push(format!("the kernel's log cannot be read: {error}")),
    }
    read(&mut States::new(Arc::clone(system), Duration::from_secs(1)), clock, &mut reports, warnings);
    let mut signs = BTreeMap::<Address, Vec<(Sign, u64)>>::new();
    for report in reports {
        let Observed::Sign { address, sign } = report.observed else { continue };
        let seen = signs.entry(address).or_default();
        match seen.iter_mut().find(|(known, _)| *known == sign) {
            Some((_, times)) => *times += u64::from(report.times),
            None => seen.push((sign, u64::from(report.times))),
        }
    }
    signs
}

fn read(sensor: &mut dyn Sensor, clock: Clock, reports: &mut Vec<Report>, warnings: &mut Vec<String>) {
    for _ in 0..ROUNDS {
        let before = reports.len();
        if let Err(error) = sensor.read(clock.moment(), reports) {
            return warnings.push(format!("{}: {error}", sensor.name()));
        }
        let more = sensor.descriptors().into_iter().any(is_readable);
        if reports.len() == before && !more {
            return;
        }
    }
}

fn is_readable(descriptor: std::os::fd::BorrowedFd<'_>) -> bool {
    let mut wanted = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut wanted, Some(&rustix::event::Timespec::default())).is_ok_and(|ready| ready > 0)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.devices.is_empty() {
            writeln!(f, "no device has a rule")?;
        }
        self.devices.iter().try_for_each(|device| write!(f, "{device}"))?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let driver = self.driver.as_deref().unwrap_or("no driver");
        writeln!(f, "{}  {driver}  rule {:?}  {}", self.address, self.rule, text::health(&self.health))?;
        for seen in &self.signs {
            let counts = if seen.counts { "" } else { ", does not count by this rule" };
            writeln!(f, "  sign: {}, {} times{counts}", text::sign(&seen.sign), seen.times)?;
        }
        self.protections.iter().try_for_each(|duty| writeln!(f, "  protected: {}", duty.name()))?;
        self.holders.iter().try_for_each(|holder| writeln!(f, "  held by {}", text::holder(holder)))
    }
}
