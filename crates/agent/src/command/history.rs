//! `lifeboatctl history`: the records of the journal, oldest first. No daemon need run, and one that runs is not disturbed.

use std::fmt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use lifeboat_recovery_policy::record::{Entry, Record, Trip};
use serde::Serialize;

use super::{Error, print, text};
use crate::daemon::kept::{Kept, SCHEMA};
use crate::journal::{self, Found, history};

#[derive(Debug, Serialize)]
struct Answer {
    lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// The daemon has started.
    Started {
        /// Boot of the machine.
        boot: String,
    },
    Record(Entry),
    /// Records are lost or cannot be read here.
    Unreadable(String),
}

/// Prints the history in the state folder, of all devices or of one.
///
/// # Errors
/// [`Error`]: there is no journal, or it cannot be listed.
pub fn run(state: &Path, device: Option<&str>, json: bool) -> Result<(), Error> {
    let folder = state.join("journal");
    if !folder.exists() {
        return Err(Error::Request(format!(
            "there is no journal in {}: no daemon has run with this --state",
            state.display()
        )));
    }
    let lines = history::<Kept>(&folder, SCHEMA)?.into_iter().filter_map(line);
    let lines = lines.filter(|line| match (line, device) {
        (Line::Record(entry), Some(device)) => entry.device.as_ref().is_none_or(|known| known.0.contains(device)),
        _ => true,
    });
    print(&Answer { lines: lines.collect() }, json)?;
    Ok(())
}

fn line(found: Found<Kept>) -> Option<Line> {
    match found {
        Found::Unreadable(error) => Some(Line::Unreadable(error.to_string())),
        Found::Entry(numbered) => match numbered.entry {
            journal::Entry::Start(start) => Some(Line::Started { boot: start.boot }),
            journal::Entry::Record(Kept::Policy(entry)) => Some(Line::Record(entry)),
            // Marks of processes, surroundings and sums are the daemon's own notes.
            journal::Entry::Record(_) | journal::Entry::Checkpoint(_) => None,
        },
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { boot } => write!(f, "the daemon has started (boot {boot})"),
            Self::Unreadable(why) => write!(f, "UNREADABLE: {why}"),
            Self::Record(entry) => {
                let at = UNIX_EPOCH + Duration::from_millis(entry.at.as_millis());
                let device = entry.device.as_ref().map_or("the machine", |device| device.0.as_str());
                write!(f, "{}  {device}  {}", humantime::format_rfc3339_millis(at), words(&entry.record))
            }
        }
    }
}

/// Describes a record.
fn words(record: &Record) -> String {
    match record {
        Record::Opened { incident, sign } => format!("incident {incident}: {}", text::sign(sign)),
        Record::Advised(_) => "the driver gives other advice".into(),
        Record::Evidence { missing: None } => "evidence is saved".into(),
        Record::Evidence { missing: Some(why) } => format!("no evidence: {why}"),
        Record::Intended { kind, attempt, .. } => format!("{} (try {attempt})", kind.name()),
        Record::Ended { outcome, .. } if outcome.reason().is_empty() => "the step has ended".into(),
        Record::Ended { outcome, .. } => format!("the step has ended: {}", outcome.reason()),
        Record::Skipped { why, .. } => format!("the step is skipped: {why}"),
        Record::Verified(health) => format!("verified: {}", text::health(health)),
        Record::Closed(end) => format!("end: {}", text::end(end)),
        Record::Held { by } => format!("{by} holds the device"),
        Record::Released { by } => format!("{by} has released the device"),
        Record::Cleared { by } => format!("{by} has cleared the device"),
        Record::Approved { by, .. } => format!("{by} has approved the step"),
        Record::Tripped(Trip::Devices) => "the breaker has tripped: too many devices in too short a time".into(),
        Record::Tripped(Trip::Stuck) => "the breaker has tripped: a write does not return".into(),
        Record::Reset { by } => format!("{by} has closed the breaker"),
    }
}
