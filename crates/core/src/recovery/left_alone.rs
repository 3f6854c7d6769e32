//! A device that is left alone: why, and what would help (RECOV-4).

use core::fmt;

/// Why nothing more is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// The device failed again after its last allowed recovery.
    Recoveries,
    /// The slot reports that its link is down, and it has not come up within the limit. If it comes up one day, the device is
    /// bound again.
    Link,
}

/// What somebody can do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Bind it anew, by hand: all recoveries are before it again.
    Rebind,
    /// Reset its bus or its slot, then bind it.
    BusReset,
    /// Take it out and put it back, or look after its cable.
    Reseat,
    /// Put another one in its place.
    Replace,
}

impl GivenUp {
    /// What may help, from the least to the most that it does to the machine.
    pub const fn remedies(self) -> &'static [Remedy] {
        match self {
            Self::Recoveries => &[Remedy::Rebind, Remedy::BusReset, Remedy::Replace],
            // To bind what is not connected helps nothing.
            Self::Link => &[Remedy::BusReset, Remedy::Reseat, Remedy::Replace],
        }
    }

    /// In an event's variable.
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
    /// In an event's variable; where the kernel has a name for it (`WEDGED=`), that.
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
