//! `[host]`: rules for the machine. Each file may give some of the keys; a later file's hold.

use lifeboat_recovery_policy::policy::{HostPolicy, Mode, Unknown};

use super::device::UNKNOWN;
use super::reader::{Reader, Value, begin};

const KEYS: [&str; 4] = ["breaker", "fleet_lock", "unknown", "mode"];
/// Largest number of devices of the breaker: a machine has fewer.
const MOST_DEVICES: u32 = 4096;

/// Lock server of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FleetLock {
    /// Address of the server.
    pub url: String,
    /// Group of machines that share a lock.
    pub group: String,
}

/// Rules for the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Host {
    pub(super) policy: HostPolicy,
    pub(super) fleet_lock: Option<FleetLock>,
    /// Rule for unknown signs, for devices whose rule has none of its own.
    pub(super) unknown: Unknown,
}

/// Reads `[host]` of a file into `host`.
pub(super) fn read(reader: &mut Reader<'_>, value: &Value<'_>, host: &mut Host) {
    let Some(table) = reader.table("[host]", value, &KEYS) else { return };
    let modes = [("observe", Mode::Observe), ("act", Mode::Act)];
    if let Some(mode) = table.get("mode").and_then(|value| reader.choice("mode", value, &modes)) {
        host.policy.mode = mode;
    }
    if let Some(unknown) =
        table.get("unknown").and_then(|value| reader.choice("rule for unknown signs", value, &UNKNOWN))
    {
        host.unknown = unknown;
    }
    if let Some(breaker) = reader.table_at(table, "breaker", "breaker", &["devices", "per"]) {
        if let Some(devices) = breaker.get("devices").and_then(|value| reader.number(value, 1..=MOST_DEVICES)) {
            host.policy.breaker_devices = devices;
        }
        if let Some(per) = breaker.get("per").and_then(|value| reader.time(value, false)) {
            host.policy.breaker_per = per;
        }
    }
    match table.get("fleet_lock") {
        Some(value) if value.get_ref().as_bool() == Some(false) => {
            host.policy.fleet_lock = false;
            host.fleet_lock = None;
        }
        Some(value) => read_fleet_lock(reader, value, host),
        None => {}
    }
}

fn read_fleet_lock(reader: &mut Reader<'_>, value: &Value<'_>, host: &mut Host) {
    let Some(table) = reader.table("fleet_lock", value, &["url", "group", "retry"]) else { return };
    if let Some(retry) = table.get("retry").and_then(|value| reader.time(value, false)) {
        host.policy.fleet_lock_retry = retry;
    }
    let mut read = |key, why| {
        let value = reader.required(table, key, why)?;
        Some((reader.text(value)?, begin(value)))
    };
    let url = read("url", "say where the lock server is");
    let group = read("group", "say with which machines the lock is shared");
    let (Some((url, at)), Some((group, group_at))) = (url, group) else { return };
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if !rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
        reader.error(at, format!("{url:?} is no address of a server; one looks like \"https://lock.example\""));
    }
    if group.is_empty() {
        reader.error(group_at, "the group is empty");
    }
    host.policy.fleet_lock = true;
    host.fleet_lock = Some(FleetLock { url: url.to_owned(), group: group.to_owned() });
}
