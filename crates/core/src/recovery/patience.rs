//! Limits of the wait for a device that is present but not ready (RECOV-4).
//!
//! After a reset, or after its link was down, a device may answer "ask again" or not answer at all.
//! "Ask again" is the Configuration Request Retry Status, which software reads as the id
//! 0xffff0001. Neither answer means that the device is gone or broken. The kernel waits in the same
//! way (`pci_dev_wait`): a second for a device that is silent after a reset, and a minute for a
//! device that answers "ask again".

use core::time::Duration;

/// Id that a root port returns for a device that answers "ask again".
pub const RETRY: u32 = 0xffff_0001;

/// Sign that a device is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unready {
    /// The device does not answer: the read gives all-ones.
    Silent,
    /// The device asks to be read again later: the read gives [`RETRY`].
    Retry,
}

impl Unready {
    /// Classifies an id that was read from configuration space. Returns `None` for the id of a
    /// device that is ready.
    pub const fn of(id: u32) -> Option<Self> {
        match id {
            // Zero was read from an emulated device after its ejection. The kernel takes all four
            // values for "no device".
            u32::MAX | 0 | 0x0000_ffff | 0xffff_0000 => Some(Self::Silent),
            RETRY => Some(Self::Retry),
            _ => None,
        }
    }
}

/// Limits of the waits for a device. One last look begins after each limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Patience {
    /// Limit for a silent device, from the moment at which it is found silent. PCI Express allows a
    /// device one second after a reset.
    pub silent: Duration,
    /// Limit for a device that answers "ask again".
    pub retry: Duration,
    /// Limit for a link that the slot reports as down.
    pub link: Duration,
    /// Number of outages that do not count as failures. In an outage, a device is away and comes
    /// back without a report of the slot. The count begins anew when the device has worked for the
    /// grace of the [`Budget`](super::Budget). Without this limit a device that falls off the bus
    /// at each use would be recovered for ever.
    pub outages: u32,
}

impl Patience {
    /// 1 s for a silent device, 60 s for a device that answers "ask again", 60 s for a link, and 16
    /// outages.
    pub const DEFAULT: Self = Self {
        silent: Duration::from_secs(1),
        retry: Duration::from_secs(60),
        link: Duration::from_secs(60),
        outages: 16,
    };

    /// Pause after the first look, short against the second that a silent device has.
    const SHORTEST: Duration = Duration::from_millis(20);
    /// Longest pause. It bounds how long a device that has become ready still waits.
    const LONGEST: Duration = Duration::from_millis(320);

    /// Returns the pause after look number `looks`, counted from 1.
    pub(crate) fn pause(looks: u32) -> Duration {
        let doublings = looks.saturating_sub(1).min(8);
        Self::SHORTEST.saturating_mul(1 << doublings).min(Self::LONGEST)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::DEFAULT
    }
}
