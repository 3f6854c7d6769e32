//! What happens to the device, and what must become of it then.

use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::{Serialize, Serializer};

use crate::mistake::Mistake;
use crate::untidy::{self, Untidy};

/// What happens to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is pulled out.
    Unplug,
    /// It is pulled out, and calls run past their entry check.
    Unchecked,
    /// It hangs.
    Hang,
    /// It neither goes nor stays as it was.
    Untidy(Untidy),
    /// Its driver makes a mistake.
    Mistake(Mistake),
}

/// All modes, the clean ones first.
static ALL: LazyLock<Vec<Mode>> = LazyLock::new(|| {
    let untidy = Untidy::value_variants().iter().copied().map(Mode::Untidy);
    let mistakes = Mistake::value_variants().iter().copied().map(Mode::Mistake);
    [Mode::Unplug, Mode::Unchecked, Mode::Hang].into_iter().chain(untidy).chain(mistakes).collect()
});

impl ValueEnum for Mode {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Unplug => Some(PossibleValue::new("unplug").help("It is pulled out")),
            Self::Unchecked => {
                Some(PossibleValue::new("unchecked").help("It is pulled out, and calls run past their entry check"))
            }
            Self::Hang => Some(PossibleValue::new("hang").help("It hangs")),
            Self::Untidy(untidy) => untidy.to_possible_value(),
            Self::Mistake(mistake) => mistake.to_possible_value(),
        }
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&untidy::name(self))
    }
}

/// What must become of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is lost, for good.
    Lost,
    /// It works on: the same device, which nobody has unbound.
    WorksOn,
    /// It is used again: it works on, or it is bound again and works then.
    UsedAgain,
    /// It is given up, with a reason that is told.
    GivenUp,
}

impl Mode {
    /// Those that are not clean: the device neither goes nor stays as it was.
    pub(super) const fn is_dirty(self) -> bool {
        matches!(self, Self::Untidy(_) | Self::Mistake(_))
    }

    /// Whether threads may be left behind in the driver's code.
    pub(super) fn keeps_threads(self) -> bool {
        self == Self::Mistake(Mistake::DriverStuck)
    }

    /// What must become of the device. A fault that costs a processor time, a display or an interrupt costs no device.
    pub(super) const fn fate(self) -> Fate {
        match self {
            Self::Unplug | Self::Unchecked => Fate::Lost,
            Self::Hang => Fate::WorksOn,
            Self::Mistake(_) => Fate::UsedAgain,
            Self::Untidy(untidy) => match untidy {
                Untidy::SilentConfig
                | Untidy::StuckScanout
                | Untidy::SlowReads
                | Untidy::StalledRead
                | Untidy::NoInterrupts
                | Untidy::InterruptStorm => Fate::WorksOn,
                Untidy::LinkDown
                | Untidy::Garbage
                | Untidy::SilentBars
                | Untidy::LyingReset
                | Untidy::DeadDoorbell
                | Untidy::SwapSize => Fate::UsedAgain,
                Untidy::SwapModel => Fate::GivenUp,
            },
        }
    }
}
