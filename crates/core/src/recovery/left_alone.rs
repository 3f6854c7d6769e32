//! Devices that are left alone: the reason, and the remedies that may help (RECOV-4).

use core::fmt;

/// Reason why the driver no longer tries to recover a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// The device failed again after its last allowed recovery.
    Recoveries,
    /// The slot reports that its link is down, and the link has not come up within the limit. The
    /// device is bound again if the link comes up later.
    Link,
}

/// Action of an operator that may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Bind the device by hand. This restores the whole recovery budget.
    Rebind,
    /// Reset the bus or the slot, then bind the device.
    BusReset,
    /// Take the device out and put it back, or check its cable.
    Reseat,
    /// Replace the device.
    Replace,
}

impl GivenUp {
    /// Returns the remedies that may help, from the least to the most side effects on the machine.
    pub const fn remedies(self) -> &'static [Remedy] {
        match self {
            Self::Recoveries => &[Remedy::Rebind, Remedy::BusReset, Remedy::Replace],
            // No `Rebind`: binding a device that is not connected is useless.
            Self::Link => &[Remedy::BusReset, Remedy::Reseat, Remedy::Replace],
        }
    }

    /// Returns the name of the reason in an event's variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recoveries => "recoveries",
            Self::Link => "link",
        }
    }
}

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recoveries => "it has failed also after all recoveries that it may have",
            Self::Link => "its link stays down",
        })
    }
}

impl Remedy {
    /// Returns the name of the remedy in an event's variable. Where the kernel has a name for the
    /// remedy (`WEDGED=`), this is the kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rebind => "rebind",
            Self::BusReset => "bus-reset",
            Self::Reseat => "reseat",
            Self::Replace => "replace",
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
