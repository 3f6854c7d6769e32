//! A dump as it is read and written. Writer and reader share these types, so they cannot drift apart. Shells that cannot
//! allocate write the same by [`lifeboat_driver::dump::write`]; the test `dump_text` compares the two.
//!
//! The file is one JSON object that begins with `"format":"lifeboat-dump"` and `"version"`. A reader of one version refuses
//! newer ones; fields that it does not know in its own are ignored.

use std::fmt;
use std::io::{self, Write};

use lifeboat_driver::dump::{self, FORMAT, VERSION};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The state of a device when something went wrong with it, before anything was reset (WEDGE-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Who wrote it.
    pub driver: Driver,
    /// Of which device.
    pub device: About,
    /// When.
    pub taken: Taken,
    /// Why.
    pub reason: Reason,
    /// Whose job is blamed, if that is known.
    pub guilty: Option<Guilty>,
    /// The device's registers. None of a device that was gone.
    pub registers: Vec<RegisterValue>,
    /// Its rings.
    pub rings: Vec<RingState>,
    /// What was submitted and had not ended: the oldest of each ring first, then what else is on the rings, then what waited.
    pub jobs: Vec<PendingJob>,
    /// What had no room.
    pub left_out: LeftOut,
}

/// A driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it is; its registers and commands are those of this model.
    pub model: String,
    /// Its number.
    pub minor: u32,
    /// Where it is plugged in; cut off at 64 bytes.
    pub location: String,
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// By the wall clock, in UTC (RFC 3339).
    pub utc: String,
    /// Since the driver was bound, in milliseconds.
    pub since_bind_ms: u64,
}

/// Why a dump was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// A job has had its time, and its ring is about to be reset.
    JobTimeout {
        /// The ring.
        ring: u8,
    },
    /// A ring stopped with a fault, and is about to be reset.
    Fault {
        /// The ring.
        ring: u8,
    },
    /// The device answers, and its heartbeat stands still.
    Hung,
    /// The device could not be reset.
    ResetFailed,
    /// The device does not answer as it should, or the bus to it reports errors.
    Nonsense,
    /// The driver could not go on with the device.
    GivenUp,
    /// The device does not answer any more. There is nothing to be read; only what the driver knows itself is here.
    Lost,
    /// Somebody asked for it.
    ByHand,
}

/// Whose job is blamed: the oldest of a ring that is about to be reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guilty {
    /// The ring it is on.
    pub ring: u8,
    /// The context that it runs in, as the hardware numbers it.
    pub context: u8,
    /// The timeline of its fence.
    pub fence: String,
    /// The number of its fence.
    pub number: u64,
    /// The process that the context belongs to, if the driver knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, as it has chosen it.
    pub name: String,
}

/// What a register read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterValue {
    /// Its name, as in the reference of the model.
    pub name: String,
    /// Where it is, in BAR0.
    pub offset: u64,
    /// `None` if it could not be read: not the same as 0.
    pub value: Option<u32>,
}

/// A ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingState {
    /// Its number.
    pub ring: u8,
    /// Descriptors that it has room for.
    pub size: u32,
    /// Where the device is, if that could be read.
    pub head: Option<u32>,
    /// Up to where the device was told to go, if that could be read.
    pub tail: Option<u32>,
    /// The sequence number that the device has written last, if that could be read.
    pub seqno: Option<u32>,
    /// The sequence number that the driver gave last.
    pub issued: Option<u32>,
    /// The sequence number that the driver has seen last.
    pub completed: Option<u32>,
    /// Its registers.
    pub registers: Vec<RegisterValue>,
    /// What is in it: up to two that the device has passed, then from the head to the tail.
    pub descriptors: Vec<Descriptor>,
}

/// What stands in one place of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// The place.
    pub index: u32,
    /// Its bytes, in hexadecimal; `None` if they could not be read.
    pub bytes: Option<String>,
}

/// A job that was submitted and had not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// The ring that it is on, or waits for.
    pub ring: u8,
    /// Its queue, as the scheduler numbers it.
    pub queue: u32,
    /// The context that it runs in, as the hardware numbers it.
    pub context: u8,
    /// The sequence number that the ring will write for it; `None` if it has not been given to the ring.
    pub seqno: Option<u32>,
    /// Fences that it waits for.
    pub waits: u32,
    /// Its commands.
    pub commands: u32,
    /// The timeline of its fence.
    pub fence: String,
    /// The number of its fence.
    pub number: u64,
    /// Since it was submitted, in microseconds.
    pub age_us: u64,
}

/// What had no room, by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Registers.
    pub registers: u64,
    /// Descriptors between a head and a tail.
    pub descriptors: u64,
    /// Jobs.
    pub jobs: u64,
}

/// Why something is not a dump that can be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is something else, or not complete.
    #[error("this is no dump, or not all of it: {0}")]
    NotADump(String),
    /// It was written by a later version.
    #[error(
        "the dump has version {found}, and this program reads up to {VERSION}: use the one that wrote it, or a later one"
    )]
    Newer {
        /// Its version.
        found: u32,
    },
}

/// What a reader needs to know first.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize)]
struct File<'a> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    dump: &'a Dump,
}

impl Dump {
    /// The most bytes that a dump may be allowed: 16 MiB.
    pub const LARGEST: usize = 16 << 20;

    /// Writes it as one line of JSON, of at most [`Policy::dump_limit`](crate::Policy::dump_limit) bytes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        self.write_with(out, serde_json::ser::CompactFormatter)
    }

    /// The same object, for people to read; longer.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_pretty(&self, out: impl Write) -> io::Result<()> {
        self.write_with(out, serde_json::ser::PrettyFormatter::new())
    }

    fn write_with(&self, mut out: impl Write, form: impl serde_json::ser::Formatter) -> io::Result<()> {
        let file = File { format: FORMAT, version: VERSION, dump: self };
        file.serialize(&mut serde_json::Serializer::with_formatter(&mut out, form))?;
        out.write_all(b"\n")
    }

    /// Reads what [`Dump::write`] or [`Dump::write_pretty`] has written.
    ///
    /// # Errors
    /// Each [`ReadError`]. Whatever the bytes are, nothing else happens.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let wrong = |error: serde_json::Error| ReadError::NotADump(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
        if head.format != FORMAT {
            return Err(ReadError::NotADump(format!("its format is {:?}", head.format)));
        }
        match head.version {
            0 => Err(ReadError::NotADump("there is no version 0".to_owned())),
            1..=VERSION => serde_json::from_slice(bytes).map_err(wrong),
            found => Err(ReadError::Newer { found }),
        }
    }
}

impl Reason {
    /// The ring that it is about, if it is about one.
    pub fn ring(self) -> Option<u8> {
        match self {
            Self::JobTimeout { ring } | Self::Fault { ring } => Some(ring),
            Self::Hung | Self::ResetFailed | Self::Nonsense | Self::GivenUp | Self::Lost | Self::ByHand => None,
        }
    }
}

impl From<dump::Reason> for Reason {
    fn from(reason: dump::Reason) -> Self {
        match reason {
            dump::Reason::JobTimeout { ring } => Self::JobTimeout { ring },
            dump::Reason::Fault { ring } => Self::Fault { ring },
            dump::Reason::Hung => Self::Hung,
            dump::Reason::ResetFailed => Self::ResetFailed,
            dump::Reason::Nonsense => Self::Nonsense,
            dump::Reason::GivenUp => Self::GivenUp,
            dump::Reason::Lost => Self::Lost,
            dump::Reason::ByHand => Self::ByHand,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JobTimeout { ring } => write!(f, "a job on ring {ring} has had its time"),
            Self::Fault { ring } => write!(f, "ring {ring} stopped with a fault"),
            Self::Hung => f.write_str("the device answers, and does not go on"),
            Self::ResetFailed => f.write_str("the device could not be reset"),
            Self::Nonsense => f.write_str("the device answers nonsense"),
            Self::GivenUp => f.write_str("the driver could not go on with the device"),
            Self::Lost => f.write_str("the device does not answer any more"),
            Self::ByHand => f.write_str("asked for by hand"),
        }
    }
}
