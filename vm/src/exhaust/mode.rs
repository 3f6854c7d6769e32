//! What happens to the device at a point.

use clap::ValueEnum;
use lifeboat_gpu_server::control::{Fault, Lasts};
use serde::Serialize;

/// What happens to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It falls off the bus: everything reads all-ones
    Gone,
    /// The next job hangs
    Hang,
    /// Its registers fall silent, and its configuration space answers
    Silent,
    /// Its registers read nonsense
    Nonsense,
}

impl Mode {
    /// All modes, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Gone, Self::Hang, Self::Silent, Self::Nonsense];

    /// The fault that the GPU's server is told to make.
    pub(super) fn fault(self) -> Fault {
        match self {
            Self::Gone => Fault::Gone,
            Self::Hang => Fault::Hang,
            Self::Silent => Fault::SilentBars(Lasts::default()),
            Self::Nonsense => Fault::Garbage(Lasts::default()),
        }
    }

    /// Whether the device is given up afterwards. If not it must work on: the same device, which nobody has unbound.
    pub(super) fn costs_the_device(self) -> bool {
        self != Self::Hang
    }

    /// Limit of each job in milliseconds, 0 for the driver's. A job that may hang has a short one. Where the device just goes,
    /// no limit ends a job before its loss does.
    pub(super) fn job_limit(self) -> u32 {
        match self {
            Self::Gone => 0,
            Self::Hang | Self::Silent | Self::Nonsense => 100,
        }
    }

    /// The module's parameters. Nothing looks at the device by itself, so that every access belongs to a call; a lost device
    /// stays lost until it is unbound; and no context is banned.
    pub(super) fn parameters(self, race: bool) -> String {
        let job_timeout_ms = if self == Self::Gone { 60_000 } else { 2_000 };
        let race = u8::from(race);
        format!("health_ms=0 guilty_limit=4294967295 job_timeout_ms={job_timeout_ms} race={race}")
    }

    /// The name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
