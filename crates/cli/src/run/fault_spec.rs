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
}

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
    #[error(
        "unknown fault {0:?}: choose unplug, hang, fault, lost-irq, spurious-irq, stuck-heartbeat, slow:DURATION or failed-reset"
    )]
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
    /// A removal can happen at any time, even in the middle of a recovery. What befalls a job needs a job, and a reset
    /// can only fail where there is one.
    pub const fn allows(self, at: Trigger) -> bool {
        match self {
            Self::Unplug => true,
            Self::FailedReset => matches!(at, Trigger::Reset(_)),
            _ => matches!(at, Trigger::Progress(_) | Trigger::Job(_)),
        }
    }

    const fn allowed(self) -> &'static str {
        match self {
            Self::Unplug => "N%, access:N, job:N or reset:N",
            Self::FailedReset => "reset:N",
            _ => "N% or job:N",
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
        Ok(match text {
            "unplug" => Self::Unplug,
            "hang" => Self::Hang,
            "fault" => Self::JobFault,
            "lost-irq" => Self::LostIrq,
            "spurious-irq" => Self::SpuriousIrq,
            "stuck-heartbeat" => Self::StuckHeartbeat,
            "failed-reset" => Self::FailedReset,
            _ => {
                let by = text.strip_prefix("slow:").ok_or_else(|| FaultSpecError::Kind(text.to_owned()))?;
                Self::Slow(duration(by)?)
            }
        })
    }
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
        match self {
            Self::Unplug => f.write_str("unplug"),
            Self::Hang => f.write_str("hang"),
            Self::JobFault => f.write_str("fault"),
            Self::LostIrq => f.write_str("lost-irq"),
            Self::SpuriousIrq => f.write_str("spurious-irq"),
            Self::StuckHeartbeat => f.write_str("stuck-heartbeat"),
            Self::Slow(by) => write!(f, "slow:{}", without_spaces(*by)),
            Self::FailedReset => f.write_str("failed-reset"),
        }
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
