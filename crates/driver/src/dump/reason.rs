//! The reasons that a dump is taken for.

use core::fmt::{self, Display};

use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::Failure;

/// Why a dump is taken. `lifeboat::dump::Reason` says the same of a dump that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// A ring could not be reset, or its reset was in vain: the device is about to be reset, or could not be.
    ResetFailed,
    /// The device does not answer as it should, or the bus to it reports errors.
    Nonsense,
    /// The driver could not go on with the device.
    GivenUp,
    /// The device does not answer any more. Nothing of it can be read.
    Lost,
    /// Somebody asked for the dump.
    ByHand,
}

impl Reason {
    /// The reason for a dump at the end of a binding. `None` if nothing has failed, or nothing is left to be explained:
    /// the device was unbound, pulled out or replaced, or its link is down.
    #[must_use]
    pub const fn at_the_end(loss: Loss) -> Option<Self> {
        match loss {
            Loss::Unplugged | Loss::Unbound | Loss::LinkDown | Loss::Replaced => None,
            Loss::FellOff => Some(Self::Lost),
            Loss::Hung | Loss::Wedged(Failure::Hung) => Some(Self::Hung),
            Loss::Crashed => Some(Self::GivenUp),
            Loss::Wedged(Failure::ResetFailed) => Some(Self::ResetFailed),
            Loss::Nonsense | Loss::Wedged(Failure::Nonsense) => Some(Self::Nonsense),
        }
    }

    /// The ring that the reason is about, if it is about one.
    #[must_use]
    pub const fn ring(self) -> Option<u8> {
        match self {
            Self::JobTimeout { ring } | Self::Fault { ring } => Some(ring),
            Self::Hung | Self::ResetFailed | Self::Nonsense | Self::GivenUp | Self::Lost | Self::ByHand => None,
        }
    }

    /// The reason's name in a file.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::JobTimeout { .. } => "job-timeout",
            Self::Fault { .. } => "fault",
            Self::Hung => "hung",
            Self::ResetFailed => "reset-failed",
            Self::Nonsense => "nonsense",
            Self::GivenUp => "given-up",
            Self::Lost => "lost",
            Self::ByHand => "by-hand",
        }
    }
}

/// For logs.
impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self.ring() {
            Some(ring) => write!(f, " on ring {ring}"),
            None => Ok(()),
        }
    }
}
