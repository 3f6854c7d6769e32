//! Report: lines on standard output for the operator's log, each a JSON object.

use std::io::Write;

use lifeboat_recovery_policy::policy::Mode;
use lifeboat_recovery_policy::record::{DeviceId, Entry, Outcome};
use lifeboat_recovery_policy::survey::Holder;
use serde::Serialize;

use crate::actor::plan::Plan;

/// Line of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line<'a> {
    Started { mode: Mode, devices: usize },
    Record(&'a Entry),
    Plan { device: &'a DeviceId, operations: Vec<String> },
    Tell { device: &'a DeviceId, holders: &'a [Holder] },
    Stuck { device: &'a DeviceId, outcome: &'a Outcome },
    Unrestored { device: &'a DeviceId, setting: &'a str },
    Warning(&'a str),
}

fn say(line: &Line<'_>) {
    let mut output = std::io::stdout().lock();
    // A log that nobody takes must not stop the daemon.
    if serde_json::to_writer(&mut output, line).is_ok() {
        let _ = output.write_all(b"\n").and_then(|()| output.flush());
    }
}

pub(super) fn started(mode: Mode, devices: usize) {
    say(&Line::Started { mode, devices });
}

pub(super) fn entry(entry: &Entry) {
    say(&Line::Record(entry));
}

pub(super) fn plan(device: &DeviceId, plan: &Plan) {
    say(&Line::Plan { device, operations: plan.all().map(ToString::to_string).collect() });
}

pub(super) fn tell(device: &DeviceId, holders: &[Holder]) {
    say(&Line::Tell { device, holders });
}

pub(super) fn stuck(device: &DeviceId, outcome: &Outcome) {
    say(&Line::Stuck { device, outcome });
}

pub(super) fn unrestored(device: &DeviceId, setting: &str) {
    say(&Line::Unrestored { device, setting });
}

pub(super) fn warning(text: &str) {
    say(&Line::Warning(text));
}
