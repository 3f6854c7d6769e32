//! `lifeboatctl simulate`: everything that the daemon would do about a sign, without a write.

use std::fmt;

use lifeboat_recovery_policy::policy::Mode;
use lifeboat_recovery_policy::sign::{KernelRecovery, LogFault, Method, Sign, SignKind, Witness};
use serde::Serialize;

use super::scene::OneDevice;
use super::{Common, Error, daemon, explain, print, text};
use crate::clock;
use crate::config;
use crate::rehearsal::{self, Line};
use crate::roster;
use crate::system::System;

#[derive(Debug, Serialize)]
struct Answer {
    device: String,
    rule: String,
    sign: Sign,
    lines: Vec<Line>,
}

/// Reads a sign as an operator writes it: `wedged=rebind,bus-reset`, `all-ones`, `pci-failed`, `xid=79`,
/// `log=amdgpu/reset-failed` or `state=nvme/dead`.
///
/// # Errors
/// [`Error::Request`] with the forms there are.
pub fn parse(text: &str) -> Result<Sign, Error> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let pair = || value.split_once('/').map(|(first, second)| (first.to_owned(), second.to_owned()));
    let log = |family: String, code: String| SignKind::Log(LogFault { family, code });
    let (kind, witness) = match (name, pair()) {
        ("wedged", _) => {
            let names = value.split(',').filter(|name| !name.is_empty() && *name != "unknown");
            let methods = names.map(Method::from_name).collect();
            (SignKind::Wedged { methods, task: None }, Witness::KernelEvent)
        }
        ("all-ones", _) if value.is_empty() => (SignKind::AllOnes, Witness::Probe),
        ("pci-failed", _) if value.is_empty() => (SignKind::Pci(KernelRecovery::Failed), Witness::KernelEvent),
        ("xid", _) if !value.is_empty() => (log("xid".into(), value.into()), Witness::KernelLog),
        ("log", Some((family, code))) => (log(family, code), Witness::KernelLog),
        ("state", Some((source, state))) => (SignKind::State { source, state }, Witness::State),
        _ => {
            let forms =
                "wedged=rebind,bus-reset, all-ones, pci-failed, xid=79, log=amdgpu/reset-failed, state=nvme/dead";
            return Err(Error::Request(format!("{text:?} is no sign; signs look like: {forms}")));
        }
    };
    Ok(Sign { kind, witness })
}

/// Simulates a sign. `act` rehearses a machine that may act, whatever the policy says.
///
/// # Errors
/// [`Error`].
pub fn run(common: &Common, device: &str, signal: &str, act: bool) -> Result<(), Error> {
    let sign = parse(signal)?;
    let system = System::open(&common.root)?;
    let config = config::load(&common.policies)?;
    let inventory = roster::inventory(&system)?;
    let address = explain::find(&inventory, device)?;
    let listed = roster::list(&inventory, &config.rules).find(|listed| listed.function.address == address);
    let Some((function, rule)) = listed.and_then(|listed| Some((listed.function, listed.found.rule?))) else {
        return Err(Error::Request(format!("no rule matches {address}: see `lifeboatctl explain {address}`")));
    };
    let mut host = config.host.clone();
    if act {
        host.mode = Mode::Act;
    }
    let mut scene = OneDevice { system: &system, root: common.root.clone(), daemon: daemon()?, function, rule };
    let lines = rehearsal::rehearse(&rule.policy, &host, &sign, clock::wall(), &mut scene);
    print(&Answer { device: address.to_string(), rule: rule.policy.name.clone(), sign, lines }, common.json)?;
    Ok(())
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, rule {:?}: {}", self.device, self.rule, text::sign(&self.sign))?;
        self.lines.iter().enumerate().try_for_each(|(index, line)| write!(f, "{:3}  {line}", index + 1))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored => writeln!(f, "nothing: the sign does not count by this rule"),
            Self::Evidence => writeln!(f, "save evidence"),
            Self::Waits { why, seconds: Some(seconds) } => {
                let time = std::time::Duration::from_secs(*seconds);
                writeln!(f, "wait {}, at most {}", text::wait(*why), text::duration(time))
            }
            Self::Waits { why, seconds: None } => writeln!(f, "STOP: wait {}", text::wait(*why)),
            Self::Unreadable { why } => writeln!(f, "STOP: nothing is done on what cannot be read: {why}"),
            Self::FleetLock { taken: true } => writeln!(f, "take the fleet's lock"),
            Self::FleetLock { taken: false } => writeln!(f, "give the fleet's lock back"),
            Self::Surveyed { step, .. } => writeln!(f, "look again, for {}", step.name()),
            Self::Tell(holders) => {
                writeln!(f, "tell the holders")?;
                holders.iter().try_for_each(|holder| writeln!(f, "       {}", text::holder(holder)))
            }
            Self::End { holders, force } => {
                writeln!(f, "end the holders by {}", if *force { "SIGKILL" } else { "SIGTERM" })?;
                holders.iter().try_for_each(|holder| writeln!(f, "       {}", text::holder(holder)))
            }
            Self::Skipped { step, why } => writeln!(f, "skip {}: {why}", step.name()),
            Self::Step { step, attempt, plan } => {
                writeln!(f, "{} (try {attempt})", step.name())?;
                plan.cautions.iter().try_for_each(|caution| writeln!(f, "       caution: {caution}"))?;
                plan.all().try_for_each(|operation| writeln!(f, "       {operation}"))
            }
            Self::Verify => writeln!(f, "verify the device (the rehearsal says: still sick)"),
            Self::Trips => writeln!(f, "trip the breaker"),
            Self::Ends(end) => writeln!(f, "end: {}", text::end(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_reads_as_an_operator_writes_it() {
        let kinds = [
            (
                "wedged=rebind,bus-reset",
                SignKind::Wedged { methods: vec![Method::Rebind, Method::BusReset], task: None },
            ),
            ("wedged=unknown", SignKind::Wedged { methods: Vec::new(), task: None }),
            ("all-ones", SignKind::AllOnes),
            ("pci-failed", SignKind::Pci(KernelRecovery::Failed)),
            ("xid=79", SignKind::Log(LogFault { family: "xid".into(), code: "79".into() })),
            ("state=nvme/dead", SignKind::State { source: "nvme".into(), state: "dead".into() }),
        ];
        for (text, kind) in kinds {
            assert_eq!(parse(text).ok().map(|sign| sign.kind), Some(kind), "{text}");
        }
        for text in ["", "xid", "xid=", "log=79", "state=dead", "all-ones=3", "wedge=rebind"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
