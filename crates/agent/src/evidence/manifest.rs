//! Manifest of an incident's evidence: what was saved, what is not there, and what could not be saved and why.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use lifeboat_recovery_policy::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{self, Saving};

/// Name of the manifest in the folder of the incident.
pub(super) const NAME: &str = "manifest.json";

/// Version of the manifest's form.
const VERSION: u32 = 1;

/// State of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The part is being saved. If it stays like this, the save was interrupted here.
    Pending,
    /// All of the part is on the disk.
    Saved,
    /// The begin of the part is on the disk, and why not the rest.
    Cut(String),
    /// There is no such part.
    Absent,
    /// Nothing of the part is on the disk, and why.
    Failed(String),
}

/// Part of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name of the file in the folder of the incident.
    pub file: String,
    /// State of the part.
    pub state: State,
    /// Length of the file in bytes.
    pub bytes: u64,
}

impl Part {
    pub(super) fn new(file: impl Into<String>, state: State) -> Self {
        Self { file: file.into(), state, bytes: 0 }
    }

    /// Tells whether the part's file is on the disk.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.state, State::Saved | State::Cut(_))
    }
}

/// Manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the form.
    pub version: u32,
    /// Name of the incident.
    pub incident: String,
    /// Begin of the incident, in milliseconds since the Unix epoch.
    pub at: Timestamp,
    /// Address of the device.
    pub device: String,
    /// Parts.
    pub parts: Vec<Part>,
}

impl Manifest {
    pub(super) fn new(incident: &str, at: Timestamp, device: String) -> Self {
        Self { version: VERSION, incident: incident.to_owned(), at, device, parts: Vec::new() }
    }

    /// Tells whether everything that was there is on the disk.
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(|part| matches!(part.state, State::Saved | State::Absent))
    }

    /// Reads the parts that an earlier save of this incident has finished. A manifest that cannot be read has none:
    /// they are saved again.
    pub(super) fn finished_in(folder: &Path) -> Vec<Part> {
        let read = fs::read(folder.join(NAME)).ok();
        let manifest = read.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        manifest.map(|manifest| manifest.parts).unwrap_or_default().into_iter().filter(Part::is_on_disk).collect()
    }

    /// Sets the state of a part, and adds the part if it is new.
    pub(super) fn set(&mut self, part: Part) {
        match self.parts.iter_mut().find(|earlier| earlier.file == part.file) {
            Some(earlier) => *earlier = part,
            None => self.parts.push(part),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let mut saving = Saving::begin(folder, NAME)?;
        saving.write_all(&text)?;
        saving.finish()?;
        file::sync_folder(folder)
    }
}
