//! What happens to the device, and what must become of it then.

use std::time::Duration;

use lifeboat_gpu::{Fault, Lasts, Swap, Trigger};
use serde::Serialize;

/// How long a fault lasts that ends by itself: some looks at the device.
const MOMENT: Duration = Duration::from_millis(20);
/// How long the link is down.
const DOWN: Duration = Duration::from_millis(10);
/// How long interrupts storm: it keeps a processor busy.
const STORM: Duration = Duration::from_millis(5);
/// How much longer each read takes where reads are slow.
const SLOW: Duration = Duration::from_micros(50);

/// What happens to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is pulled out.
    Unplug,
    /// It is pulled out, and calls run past their entry check.
    Unchecked,
    /// It hangs.
    Hang,
    /// Its link is down for a moment.
    LinkDown,
    /// Its registers read nonsense for a moment.
    Garbage,
    /// Its BARs do not answer for a moment, and configuration space does.
    SilentBars,
    /// Its configuration space does not answer for a moment, and its BARs do.
    SilentConfig,
    /// Its display stands still.
    StuckScanout,
    /// It hangs, and the reset of its ring says that it is done, and was none.
    LyingReset,
    /// Each register read takes longer.
    SlowReads,
    /// One register read stalls.
    StalledRead,
    /// No interrupt arrives for a moment.
    NoInterrupts,
    /// Interrupts arrive without a reason, one right after the other, for a moment.
    InterruptStorm,
    /// Its doorbells ring nobody until it is reset.
    DeadDoorbell,
    /// A card of another model is in its place.
    SwapModel,
    /// A card with half the memory is in its place.
    SwapSize,
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
        !matches!(self, Self::Unplug | Self::Unchecked | Self::Hang)
    }

    /// What is armed for it, each with when: that of `Access` is what the point is.
    pub(super) fn faults(self, at: u64) -> Vec<(Trigger, Fault)> {
        let fault = match self {
            Self::Unplug | Self::Unchecked => Fault::Remove,
            Self::Hang | Self::LyingReset => Fault::Hang,
            Self::LinkDown => Fault::LinkDown(DOWN),
            Self::Garbage => Fault::Garbage(Lasts::For(MOMENT)),
            Self::SilentBars => Fault::SilentBars(Lasts::For(MOMENT)),
            Self::SilentConfig => Fault::SilentConfig(Lasts::For(MOMENT)),
            Self::StuckScanout => Fault::StuckScanout(Lasts::UntilReset),
            Self::SlowReads => Fault::SlowReads(SLOW),
            Self::StalledRead => Fault::StalledRead(MOMENT),
            Self::NoInterrupts => Fault::NoInterrupts(Lasts::For(MOMENT)),
            Self::InterruptStorm => Fault::InterruptStorm(Lasts::For(STORM)),
            Self::DeadDoorbell => Fault::DeadDoorbell(Lasts::UntilReset),
            Self::SwapModel => Fault::Swap(Swap::Model),
            Self::SwapSize => Fault::Swap(Swap::Size),
        };
        let reset = (self == Self::LyingReset).then_some((Trigger::Reset(1), Fault::LyingReset));
        [(Trigger::Access(at), fault)].into_iter().chain(reset).collect()
    }

    /// What must become of the device. A fault that costs a processor time, a display or an interrupt costs no device.
    pub(super) const fn fate(self) -> Fate {
        match self {
            Self::Unplug | Self::Unchecked => Fate::Lost,
            Self::Hang
            | Self::SilentConfig
            | Self::StuckScanout
            | Self::SlowReads
            | Self::StalledRead
            | Self::NoInterrupts
            | Self::InterruptStorm => Fate::WorksOn,
            Self::LinkDown
            | Self::Garbage
            | Self::SilentBars
            | Self::LyingReset
            | Self::DeadDoorbell
            | Self::SwapSize => Fate::UsedAgain,
            Self::SwapModel => Fate::GivenUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

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
