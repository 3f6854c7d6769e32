//! Questions: each is asked on a thread of its own, and may never be answered.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_recovery_policy::event::Ticket;
use lifeboat_recovery_policy::memory::Flight;
use lifeboat_recovery_policy::policy::Step;
use lifeboat_recovery_policy::record::DeviceId;
use lifeboat_recovery_policy::survey::{Health, Survey};
use lifeboat_recovery_policy::time::Timestamp;
use rustix::fs::OFlags;

use super::{Daemon, report};
use crate::actor::plan::Plan;
use crate::actor::steps;
use crate::actor::targets::Target;
use crate::config::Glob;
use crate::evidence::{Incident, Store};
use crate::survey::apart;
use crate::system::System;
use crate::verify;

/// Longest record of the kernel's log, in bytes.
const LONGEST_RECORD: usize = 16 << 10;

/// Answer of a thread.
#[derive(Debug)]
pub(super) enum Answer {
    /// Surroundings of a device that is well.
    Surroundings(Result<Target, String>),
    /// Evidence, and the surroundings at that time.
    Evidence { ticket: Ticket, missing: Option<String>, target: Option<Target> },
    /// Survey.
    Survey { ticket: Ticket, survey: Survey },
    /// Plan of a step.
    Plan { flight: Flight, plan: Result<Plan, String> },
    /// Verification.
    Verified { ticket: Ticket, health: Health },
    /// Holders that were signalled have ended, or their time is over.
    HoldersLeft,
}

impl Daemon {
    /// Asks on a thread. Without a thread, the machine's own deadline answers.
    pub(super) fn ask(&self, device: &DeviceId, question: impl FnOnce() -> Answer + Send + 'static) {
        let owned = device.clone();
        if let Err(error) = self.answers.ask("question", move || (owned, question())) {
            report::warning(&format!("{}: no thread for a question: {error}", device.0));
        }
    }

    pub(super) fn ask_surroundings(&self, device: &DeviceId) {
        let Some(member) = self.members.get(device) else { return };
        let (system, address) = (Arc::clone(&self.system), member.address);
        self.ask(device, move || {
            Answer::Surroundings(Target::read(&system.sys, address).map_err(|error| error.to_string()))
        });
    }

    pub(super) fn ask_evidence(&self, device: &DeviceId, ticket: Ticket, incident: u64) {
        let Some(member) = self.members.get(device) else { return };
        let (system, store, address, at) =
            (Arc::clone(&self.system), self.store.clone(), member.address, self.clock.now());
        let name = format!("{}-{incident}", member.address);
        self.ask(device, move || {
            let target = Target::read(&system.sys, address).ok();
            let missing = save(&system, &store, &name, at, address).err();
            Answer::Evidence { ticket, missing, target }
        });
    }

    pub(super) fn ask_survey(&self, device: &DeviceId, ticket: Ticket, step: &Step) {
        let Some(member) = self.members.get(device) else { return };
        let asked = apart::Asked {
            root: self.places.root.clone(),
            device: member.address.to_string(),
            step: step.kind,
            program: step.run.clone(),
            driver: member.subject.driver.clone(),
            bridge: member.bridge.map(|bridge| bridge.to_string()),
            never_end: member.rule.never.iter().map(Glob::to_string).collect(),
            kernel_recovers: false,
        };
        let program = self.places.program.clone();
        self.ask(device, move || Answer::Survey { ticket, survey: apart::ask(&program, &asked) });
    }

    pub(super) fn ask_plan(&self, device: &DeviceId, flight: Flight) {
        let Some(member) = self.members.get(device) else { return };
        let step = member.rule.policy.steps.get(flight.step).cloned();
        let before = self.sum.before.get(device).map(|(_, target)| target.clone());
        let (system, address) = (Arc::clone(&self.system), member.address);
        self.ask(device, move || Answer::Plan { flight, plan: plan(&system, address, step.as_ref(), before.as_ref()) });
    }

    pub(super) fn ask_verification(&self, device: &DeviceId, ticket: Ticket) {
        let Some(member) = self.members.get(device) else { return };
        let asked = verify::Asked {
            root: self.places.root.clone(),
            device: member.address.to_string(),
            driver: member.subject.driver.clone(),
            node: member.rule.verify.node,
            probe: member.rule.verify.probe.clone(),
        };
        let limit =
            member.rule.policy.verify.deadline.saturating_sub(Duration::from_secs(1)).max(Duration::from_secs(1));
        let program: PathBuf = self.places.program.clone();
        self.ask(device, move || Answer::Verified { ticket, health: verify::ask(&program, &asked, limit) });
    }
}

fn plan(
    system: &System,
    address: crate::address::Address,
    step: Option<&Step>,
    before: Option<&Target>,
) -> Result<Plan, String> {
    let step = step.ok_or("the policy has no such step any more")?;
    let now = Target::read(&system.sys, address).map_err(|error| error.to_string())?;
    let before = before.unwrap_or(&now);
    steps::plan(step, &now, before).map_err(|error| error.to_string())
}

fn save(
    system: &System,
    store: &Store,
    name: &str,
    at: Timestamp,
    device: crate::address::Address,
) -> Result<(), String> {
    let clients = serde_json::Value::Null;
    let incident = Incident { name, at, device, log: log(system), clients: &clients };
    store.save(system, incident).map(|_| ()).map_err(|error| error.to_string())
}

/// Reads the kernel's log, a record a line.
fn log(system: &System) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let mut opened = Some(system.dev.open_file("kmsg", OFlags::RDONLY | OFlags::NONBLOCK));
    let mut file = None;
    std::iter::from_fn(move || {
        match opened.take() {
            Some(Ok(first)) => file = Some(first),
            Some(Err(error)) => return Some(Err(error)),
            None => {}
        }
        let mut record = vec![0; LONGEST_RECORD];
        match file.as_mut()?.read(&mut record) {
            Ok(0) => None,
            Ok(length) => {
                record.truncate(length);
                Some(Ok(record))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => {
                file = None;
                Some(Err(error))
            }
        }
    })
}
