//! Processes that must not be ended, and why.

use std::collections::BTreeSet;

use lifeboat_recovery_policy::survey::Spared;

use crate::survey::scan::Use;
use crate::survey::targets::Kind;

/// Names of processes that a machine needs, cut to 15 bytes as the kernel does.
const NAMES: [&str; 8] = [
    "systemd-logind",
    "elogind-daemon",
    "seatd",
    "systemd-udevd",
    "udevd",
    "dbus-daemon",
    "dbus-broker",
    "dbus-broker-lau",
];

/// Units that a machine needs.
const UNITS: [&str; 6] = [
    "systemd-logind.service",
    "systemd-udevd.service",
    "dbus.service",
    "dbus-broker.service",
    "seatd.service",
    "elogind.service",
];

/// Returns the reason for which the process of a use must not be ended.
///
/// A process can give itself a name of the list. Then it is spared, which only means that the step waits.
pub fn reason(used: &Use, sessions: &BTreeSet<u32>, never_end: &[String]) -> Option<Spared> {
    let process = &used.process;
    let unit = process.membership.unit.as_deref().unwrap_or_default();
    let name = process.stat.name.as_str();
    let essential = process.pid == 1
        || process.pid == std::process::id()
        || NAMES.contains(&name)
        || UNITS.contains(&unit)
        || shows_session(used, sessions);
    if essential {
        return Some(Spared::Essential);
    }
    if never_end.iter().any(|rule| is_named(rule, name, unit)) {
        return Some(Spared::Policy);
    }
    used.kinds.contains(&Kind::Vfio).then_some(Spared::Vfio)
}

/// Tells whether the process shows an active session on the device: it has a primary node, and its user is active
/// on a seat or its terminal is a virtual console.
pub fn shows_session(used: &Use, sessions: &BTreeSet<u32>) -> bool {
    used.kinds.contains(&Kind::Primary)
        && (used.process.membership.user.is_some_and(|user| sessions.contains(&user))
            || used.process.stat.is_on_console())
}

/// Tells whether a rule of the policy names the process: by its name, which the kernel cuts to 15 bytes, or by its
/// unit, with or without the suffix.
fn is_named(rule: &str, name: &str, unit: &str) -> bool {
    let cut = rule.get(..15).unwrap_or(rule);
    rule == name || cut == name || (!unit.is_empty() && (rule == unit || unit.strip_suffix(".service") == Some(rule)))
}
