//! Untidy faults: the device neither goes nor stays as it was. The one list of them, for [`exhaust`](crate::exhaust) and
//! [`torture`](crate::torture).

use clap::ValueEnum;
use serde::Serialize;

/// An untidy fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Untidy {
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
    /// A job hangs, and the reset of its ring, or of the device, says that it is done, and was none.
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
    /// A card of another model is in its place, and the slot has not reported it.
    SwapModel,
    /// A card with half the memory is in its place, and the slot has not reported it.
    SwapSize,
}

/// The name of a value on the command line.
pub(crate) fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
