//! What happens to the device, and what must become of it then.

use std::sync::LazyLock;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use lifeboat_gpu::{Fault, Trigger};
use serde::{Serialize, Serializer};

use crate::untidy::{self, Untidy};

/// How long a fault lasts that ends by itself: some looks at the device.
const MOMENT: Duration = Duration::from_millis(20);
/// How long the link is down.
const DOWN: Duration = Duration::from_millis(10);
/// How long interrupts storm: it keeps a processor busy.
const STORM: Duration = Duration::from_millis(5);
/// How much longer each read takes where reads are slow.
const SLOW: Duration = Duration::from_micros(50);

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
}

/// All modes, the clean ones first.
static ALL: LazyLock<Vec<Mode>> = LazyLock::new(|| {
    let untidy = Untidy::value_variants().iter().copied().map(Mode::Untidy);
    [Mode::Unplug, Mode::Unchecked, Mode::Hang].into_iter().chain(untidy).collect()
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
        matches!(self, Self::Untidy(_))
    }

    /// What is armed for it, each with when: that of `Access` is what the point is.
    pub(super) fn faults(self, at: u64) -> Vec<(Trigger, Fault)> {
        let fault = match self {
            Self::Unplug | Self::Unchecked => Fault::Remove,
            Self::Hang => Fault::Hang,
            Self::Untidy(untidy) => {
                let moment = match untidy {
                    Untidy::LinkDown => DOWN,
                    Untidy::InterruptStorm => STORM,
                    _ => MOMENT,
                };
                untidy.fault(moment, SLOW)
            }
        };
        let lies = self == Self::Untidy(Untidy::LyingReset);
        let reset = lies.then_some((Trigger::Reset(1), Fault::LyingReset));
        [(Trigger::Access(at), fault)].into_iter().chain(reset).collect()
    }

    /// What must become of the device. A fault that costs a processor time, a display or an interrupt costs no device.
    pub(super) const fn fate(self) -> Fate {
        match self {
            Self::Unplug | Self::Unchecked => Fate::Lost,
            Self::Hang => Fate::WorksOn,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_a_fault_at_its_access_and_no_two_have_the_same() {
        let mut seen = Vec::new();
        for mode in Mode::value_variants().iter().filter(|mode| **mode != Mode::Unchecked) {
            let faults = mode.faults(7);
            assert_eq!(faults[0].0, Trigger::Access(7));
            assert!(!seen.contains(&faults), "{mode:?}");
            seen.push(faults);
        }
    }
}
