//! How long a device that is there, and not ready to be used, is waited for (RECOV-4).
//!
//! After a reset, and after its link was down, a device may answer "ask again" (Configuration Request Retry Status, seen as
//! the id 0xffff0001) or not at all. Neither says that it is gone or broken. The kernel waits in the same way: a second for a
//! device that is silent after a reset, a minute for a device that asks to be asked again (`pci_dev_wait`).

use core::time::Duration;

/// The id that a root port gives for a device that asks to be asked again.
pub const RETRY: u32 = 0xffff_0001;

/// How a device shows that it is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unready {
    /// Nothing answers: all-ones.
    Silent,
    /// It says that it is not ready yet: [`RETRY`].
    Retry,
}

impl Unready {
    /// What an id read from configuration space says: `None` if it is an id.
    pub const fn of(id: u32) -> Option<Self> {
        match id {
            // Zeroes were read of an ejected emulated device; the kernel takes all four for no device.
            u32::MAX | 0 | 0x0000_ffff | 0xffff_0000 => Some(Self::Silent),
            RETRY => Some(Self::Retry),
            _ => None,
        }
    }
}

/// How long to wait for what. After each limit there is one last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Patience {
    /// For a device that is silent, from the moment it is found so. PCI Express gives a device a second after a reset.
    pub silent: Duration,
    /// For a device that asks to be asked again.
    pub retry: Duration,
    /// For a link that the slot reports as down.
    pub link: Duration,
    /// How often a device may be away and come back, without a word of the slot, before that counts as a failure: until it has
    /// worked for the grace of the [`Budget`](super::Budget) in between. Without a limit, a device that falls off the bus at each
    /// use would be recovered for ever.
    pub outages: u32,
}

impl Patience {
    /// 1 s for a silent device, 60 s for one that asks for it, 60 s for a link; 16 outages.
    pub const DEFAULT: Self = Self {
        silent: Duration::from_secs(1),
        retry: Duration::from_secs(60),
        link: Duration::from_secs(60),
        outages: 16,
    };

    /// The first pause between two looks: short beside the second that a device is given.
    const SHORTEST: Duration = Duration::from_millis(20);
    /// The longest: a device that is ready is not kept waiting for longer.
    const LONGEST: Duration = Duration::from_millis(320);

    /// The pause after so many looks, from 1.
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
