//! Kinds of faults.

use std::fmt;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};

use crate::mistake::Mistake;
use crate::untidy::{self, Untidy};

/// What happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It is lost or fails as a whole, or a part of it does its work wrong.
    Plain(Plain),
    /// It neither goes nor stays as it was.
    Untidy(Untidy),
    /// Its driver makes a mistake.
    Mistake(Mistake),
}

/// Kinds that are not untidy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Plain {
    /// It is pulled out.
    Removal,
    /// It is pulled out right before its n-th access.
    RemovalAtAccess,
    /// It is pulled out when it begins its n-th job.
    RemovalAtJob,
    /// It is pulled out when a reset of it begins: in the middle of a recovery.
    RemovalInRecovery,
    /// It is pulled out right after it was plugged in, in the middle of its probe.
    RemovalInProbe,
    /// Both devices of a bus are pulled out.
    RemovalOfBoth,
    /// A job hangs.
    Hang,
    /// A job faults.
    JobFault,
    /// An interrupt does not come.
    LostInterrupt,
    /// Interrupts come that nobody sent.
    SpuriousInterrupt,
    /// Its heartbeat stands still.
    StuckHeartbeat,
    /// A job hangs, and the reset of its ring fails.
    FailedRingReset,
    /// A job hangs, and neither its ring nor the device can be reset.
    FailedReset,
    /// A job hangs, its ring cannot be reset, and the reset of the device takes long; sometimes longer than it may.
    SlowReset,
    /// It cannot be reset when it is bound.
    FailedProbe,
    /// Its heartbeat stands still, and when it is bound again because of that it cannot be reset.
    FailedRecovery,
    /// It is pulled out, plugged in, unbound, bound, and fails, one right after the other and before anything of it is over.
    Storm,
    /// Everything takes longer.
    Slow,
    /// It is unbound and bound again while it is used.
    Rebind,
    /// It is recovered while it is pulled out, or pulled out while it is recovered.
    RebindInRemoval,
    /// It is unbound by force, and so is its neighbour.
    ForcedUnbind,
    /// The module is to be unloaded while it is used.
    Unload,
}

/// All kinds. The seed chooses by their order.
static ALL: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let untidy = Untidy::value_variants().iter().copied().map(Kind::Untidy);
    let mistakes = Mistake::value_variants().iter().copied().map(Kind::Mistake);
    Plain::value_variants().iter().copied().map(Kind::Plain).chain(untidy).chain(mistakes).collect()
});

impl Kind {
    /// Whether it keeps the display from reporting what is owed, until somebody gives up.
    pub(crate) const fn disturbs_display(self) -> bool {
        use Untidy::{Garbage, LinkDown, SilentBars, StuckScanout};
        matches!(self, Self::Untidy(StuckScanout | LinkDown | Garbage | SilentBars))
    }

    /// Whether what is written to the device, or what the device writes, may be lost although it is not.
    pub(crate) const fn loses_writes(self) -> bool {
        use Untidy::{LinkDown, SilentBars, SwapModel, SwapSize};
        matches!(
            self,
            Self::Untidy(LinkDown | SilentBars | SwapModel | SwapSize) | Self::Plain(Plain::Storm | Plain::Unload)
        )
    }

    /// Whether it lasts until somebody resets the device, and the driver need not.
    pub(super) const fn waits_for_reset(self) -> bool {
        matches!(self, Self::Plain(Plain::Slow) | Self::Untidy(Untidy::SlowReads | Untidy::StuckScanout))
    }

    /// Whether threads may be left behind in the driver's code.
    pub(super) fn keeps_threads(self) -> bool {
        self == Self::Mistake(Mistake::DriverStuck)
    }

    /// Whether the device is surely lost by it, although it may seem to work for a while.
    pub(super) const fn ends_binding(self) -> bool {
        matches!(self, Self::Plain(Plain::StuckHeartbeat) | Self::Untidy(Untidy::SwapModel | Untidy::SwapSize))
    }
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Plain(plain) => plain.to_possible_value(),
            Self::Untidy(untidy) => untidy.to_possible_value(),
            Self::Mistake(mistake) => mistake.to_possible_value(),
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&untidy::name(self))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&untidy::name(self))
    }
}
