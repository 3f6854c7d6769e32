//! What is to happen to the device, and when: `unplug@40%,replug:200ms`.
//!
//! A specification is `WHAT@WHEN`, and `,replug:DURATION` if a fresh device is to be plugged in that long after the fault.
//! Only combinations that mean something are accepted; [`FaultKind::allows`] is the list. Printing a specification gives text that reads back as the
//! same value.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use lifeboat_gpu as gpu;
use lifeboat_gpu::{Lasts, Swap};

/// One fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultSpec {
    /// What happens.
    pub what: FaultKind,
    /// When it happens.
    pub at: Trigger,
    /// How long after the fault a fresh device is plugged in, in place of the one that may still be there; `None`: not at
    /// all.
    pub replug: Option<Duration>,
}

/// What happens to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It is pulled out.
    Unplug,
    /// A job never ends.
    Hang,
    /// A job faults.
    JobFault,
    /// A job's interrupt does not arrive.
    LostIrq,
    /// An interrupt arrives without a reason.
    SpuriousIrq,
    /// Its heartbeat stands still.
    StuckHeartbeat,
    /// Each command takes at least this much longer, until the next reset.
    Slow(Duration),
    /// A reset does not bring it back.
    FailedReset,
    /// A reset says that it is done, and was none.
    LyingReset,
    /// Its link is down for a while.
    LinkDown(Duration),
    /// Its registers read nonsense.
    Garbage(Lasts),
    /// Its BARs do not answer, and configuration space does.
    SilentBars(Lasts),
    /// Its configuration space does not answer, and its BARs do.
    SilentConfig(Lasts),
    /// Its display stands still: flips and vertical blanks are never reported.
    StuckScanout(Lasts),
    /// Each register read takes this much longer, until the next reset.
    SlowReads(Duration),
    /// One register read takes this much longer.
    StalledRead(Duration),
    /// No interrupt arrives.
    NoIrqs(Lasts),
    /// Interrupts arrive without a reason, one right after the other.
    IrqStorm(Lasts),
    /// Its doorbells ring nobody.
    DeadDoorbell(Lasts),
    /// A card of another model is in its place, and the slot has not reported it.
    SwapModel,
    /// A card with half the memory is in its place, and the slot has not reported it.
    SwapSize,
}

/// The faults that are a name and nothing else.
const PLAIN: [(&str, FaultKind); 10] = [
    ("unplug", FaultKind::Unplug),
    ("hang", FaultKind::Hang),
    ("fault", FaultKind::JobFault),
    ("lost-irq", FaultKind::LostIrq),
    ("spurious-irq", FaultKind::SpuriousIrq),
    ("stuck-heartbeat", FaultKind::StuckHeartbeat),
    ("failed-reset", FaultKind::FailedReset),
    ("lying-reset", FaultKind::LyingReset),
    ("swap-model", FaultKind::SwapModel),
    ("swap-size", FaultKind::SwapSize),
];

/// A name, and the fault that it is with what is given besides.
type Named<T> = (&'static str, fn(T) -> FaultKind);

/// The faults that are given with how long.
const TIMED: [Named<Duration>; 4] = [
    ("slow", FaultKind::Slow),
    ("link-down", FaultKind::LinkDown),
    ("slow-reads", FaultKind::SlowReads),
    ("stalled-read", FaultKind::StalledRead),
];

/// The faults that last until a reset of the device, unless they are given with how long.
const LASTING: [Named<Lasts>; 7] = [
    ("garbage", FaultKind::Garbage),
    ("silent-bars", FaultKind::SilentBars),
    ("silent-config", FaultKind::SilentConfig),
    ("stuck-scanout", FaultKind::StuckScanout),
    ("no-irqs", FaultKind::NoIrqs),
    ("irq-storm", FaultKind::IrqStorm),
    ("dead-doorbell", FaultKind::DeadDoorbell),
];

/// When a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// When this share of all tiles, over all rounds, is done.
    Progress(Percent),
    /// Just before the driver's N-th access to the device.
    Access(NonZeroU64),
    /// When the N-th job begins.
    Job(NonZeroU64),
    /// When the N-th reset begins.
    Reset(NonZeroU64),
}

/// A whole number from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// A percentage, unless the number is above 100.
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 100 { Some(Self(value)) } else { None }
    }

    /// A percentage in the source code; above 100 does not compile.
    pub const fn literal<const VALUE: u8>() -> Self {
        const { assert!(VALUE <= 100) };
        Self(VALUE)
    }

    /// The smallest number of parts, out of `total`, that is at least this share.
    pub fn of(self, total: u64) -> u64 {
        // In 128 bits no product overflows; the quotient is at most `total`.
        u64::try_from((u128::from(total) * u128::from(self.0)).div_ceil(100)).unwrap_or(total)
    }
}

/// Why a text is not a fault specification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultSpecError {
    /// There is no `@`.
    #[error("a fault is WHAT@WHEN, such as unplug@40% or hang@job:17")]
    NoTrigger,
    /// No fault has this name.
    #[error("unknown fault {0:?}: choose {names}", names = names())]
    Kind(String),
    /// The time is not one of these.
    #[error("unknown time {0:?}: give N% (0 to 100), access:N, job:N or reset:N, where N counts from 1")]
    Trigger(String),
    /// The fault cannot happen at this kind of time.
    #[error("{what} cannot happen at {at}: give it {allowed}")]
    Combination {
        /// The fault.
        what: FaultKind,
        /// The time.
        at: Trigger,
        /// What would be possible.
        allowed: &'static str,
    },
    /// After the comma stands something else than `replug:DURATION`.
    #[error("unknown option {0:?}: only replug:DURATION may follow, once")]
    Option(String),
    /// Not a time span, or one too long.
    #[error("{0:?} is not a duration up to 1m: give one such as 200ms or 1s")]
    Duration(String),
}

/// Longer waits than this are a mistake in the command, not a test.
const LONGEST: Duration = Duration::from_mins(1);

impl FaultKind {
    /// Whether the fault can be tied to this kind of time.
    ///
    /// What befalls a job needs a job, and a reset can only fail or lie where there is one. What befalls the device can happen at
    /// any time, even in the middle of a recovery.
    pub const fn allows(self, at: Trigger) -> bool {
        match self {
            Self::FailedReset | Self::LyingReset => matches!(at, Trigger::Reset(_)),
            Self::Hang | Self::JobFault | Self::LostIrq | Self::SpuriousIrq | Self::StuckHeartbeat | Self::Slow(_) => {
                matches!(at, Trigger::Progress(_) | Trigger::Job(_))
            }
            _ => true,
        }
    }

    const fn allowed(self) -> &'static str {
        match self {
            Self::FailedReset | Self::LyingReset => "reset:N",
            // The others are allowed at any time, so nobody asks.
            _ => "N% or job:N",
        }
    }

    /// Its name, and how long it is given with.
    fn parts(self) -> (&'static str, Option<Duration>) {
        let lasting = |name, lasts| match lasts {
            Lasts::For(time) => (name, Some(time)),
            Lasts::UntilReset => (name, None),
        };
        match self {
            Self::Slow(by) => ("slow", Some(by)),
            Self::LinkDown(time) => ("link-down", Some(time)),
            Self::SlowReads(by) => ("slow-reads", Some(by)),
            Self::StalledRead(by) => ("stalled-read", Some(by)),
            Self::Garbage(lasts) => lasting("garbage", lasts),
            Self::SilentBars(lasts) => lasting("silent-bars", lasts),
            Self::SilentConfig(lasts) => lasting("silent-config", lasts),
            Self::StuckScanout(lasts) => lasting("stuck-scanout", lasts),
            Self::NoIrqs(lasts) => lasting("no-irqs", lasts),
            Self::IrqStorm(lasts) => lasting("irq-storm", lasts),
            Self::DeadDoorbell(lasts) => lasting("dead-doorbell", lasts),
            plain => (PLAIN.iter().find(|(_, kind)| *kind == plain).map_or("", |(name, _)| name), None),
        }
    }
}

impl From<FaultKind> for gpu::Fault {
    fn from(what: FaultKind) -> Self {
        match what {
            FaultKind::Unplug => Self::Remove,
            FaultKind::Hang => Self::Hang,
            FaultKind::JobFault => Self::JobFault,
            FaultKind::LostIrq => Self::LostInterrupt,
            FaultKind::SpuriousIrq => Self::SpuriousInterrupt,
            FaultKind::StuckHeartbeat => Self::StuckHeartbeat,
            FaultKind::Slow(by) => Self::Slow(by),
            FaultKind::FailedReset => Self::FailedReset,
            FaultKind::LyingReset => Self::LyingReset,
            FaultKind::LinkDown(time) => Self::LinkDown(time),
            FaultKind::Garbage(lasts) => Self::Garbage(lasts),
            FaultKind::SilentBars(lasts) => Self::SilentBars(lasts),
            FaultKind::SilentConfig(lasts) => Self::SilentConfig(lasts),
            FaultKind::StuckScanout(lasts) => Self::StuckScanout(lasts),
            FaultKind::SlowReads(by) => Self::SlowReads(by),
            FaultKind::StalledRead(by) => Self::StalledRead(by),
            FaultKind::NoIrqs(lasts) => Self::NoInterrupts(lasts),
            FaultKind::IrqStorm(lasts) => Self::InterruptStorm(lasts),
            FaultKind::DeadDoorbell(lasts) => Self::DeadDoorbell(lasts),
            FaultKind::SwapModel => Self::Swap(Swap::Model),
            FaultKind::SwapSize => Self::Swap(Swap::Size),
        }
    }
}

impl Trigger {
    /// What the card itself counts for this; `None` for what only the work knows.
    pub const fn on_card(self) -> Option<gpu::Trigger> {
        match self {
            Self::Progress(_) => None,
            Self::Access(n) => Some(gpu::Trigger::Access(n.get())),
            Self::Job(n) => Some(gpu::Trigger::Job(n.get())),
            Self::Reset(n) => Some(gpu::Trigger::Reset(n.get())),
        }
    }
}

impl FromStr for FaultSpec {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let (fault, option) = text.split_once(',').map_or((text, None), |(fault, option)| (fault, Some(option)));
        let (what, at) = fault.split_once('@').ok_or(FaultSpecError::NoTrigger)?;
        let (what, at) = (what.parse::<FaultKind>()?, at.parse()?);
        if !what.allows(at) {
            return Err(FaultSpecError::Combination { what, at, allowed: what.allowed() });
        }
        let replug = option.map(replug_after).transpose()?;
        Ok(Self { what, at, replug })
    }
}

impl FromStr for FaultKind {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let unknown = || FaultSpecError::Kind(text.to_owned());
        let Some((name, time)) = text.split_once(':') else {
            let plain = PLAIN.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
            let lasting = LASTING.iter().find(|(name, _)| *name == text).map(|(_, kind)| kind(Lasts::UntilReset));
            return plain.or(lasting).ok_or_else(unknown);
        };
        let timed = TIMED.iter().find(|(timed, _)| *timed == name).map(|(_, kind)| *kind);
        if let Some(kind) = timed {
            return Ok(kind(duration(time)?));
        }
        let lasting = LASTING.iter().find(|(lasting, _)| *lasting == name).map(|(_, kind)| *kind);
        Ok(lasting.ok_or_else(unknown)?(Lasts::For(duration(time)?)))
    }
}

/// All there are, as an enumeration.
fn names() -> String {
    let plain = PLAIN.iter().map(|(name, _)| (*name).to_owned());
    let timed = TIMED.iter().map(|(name, _)| format!("{name}:DURATION"));
    let lasting = LASTING.iter().map(|(name, _)| format!("{name}[:DURATION]"));
    let mut names: Vec<_> = plain.chain(timed).chain(lasting).collect();
    let last = names.pop().unwrap_or_default();
    format!("{} or {last}", names.join(", "))
}

impl FromStr for Trigger {
    type Err = FaultSpecError;

    fn from_str(text: &str) -> Result<Self, FaultSpecError> {
        let trigger = if let Some(percent) = text.strip_suffix('%') {
            percent.parse().ok().and_then(Percent::new).map(Self::Progress)
        } else {
            text.split_once(':').and_then(|(of, n)| {
                let n = n.parse().ok()?;
                match of {
                    "access" => Some(Self::Access(n)),
                    "job" => Some(Self::Job(n)),
                    "reset" => Some(Self::Reset(n)),
                    _ => None,
                }
            })
        };
        trigger.ok_or_else(|| FaultSpecError::Trigger(text.to_owned()))
    }
}

fn replug_after(option: &str) -> Result<Duration, FaultSpecError> {
    match option.strip_prefix("replug:") {
        Some(after) if !after.contains(',') => duration(after),
        _ => Err(FaultSpecError::Option(option.to_owned())),
    }
}

fn duration(text: &str) -> Result<Duration, FaultSpecError> {
    let parsed = humantime::parse_duration(text).ok().filter(|duration| *duration <= LONGEST);
    parsed.ok_or_else(|| FaultSpecError::Duration(text.to_owned()))
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.what, self.at)?;
        self.replug.map_or(Ok(()), |after| write!(f, ",replug:{}", without_spaces(after)))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, time) = self.parts();
        f.write_str(name)?;
        time.map_or(Ok(()), |time| write!(f, ":{}", without_spaces(time)))
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Progress(percent) => write!(f, "{}%", percent.0),
            Self::Access(n) => write!(f, "access:{n}"),
            Self::Job(n) => write!(f, "job:{n}"),
            Self::Reset(n) => write!(f, "reset:{n}"),
        }
    }
}

/// A duration as one word, as an argument should be.
fn without_spaces(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

#[cfg(test)]
mod tests;
