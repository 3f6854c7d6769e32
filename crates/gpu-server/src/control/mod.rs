//! The control socket: how a test makes the served card misbehave, and learns what its driver did.
//!
//! One [`Request`] and one [`Reply`] at a time, each a JSON object on a line of its own.

mod client;
mod listener;

use std::time::Duration;

use lifeboat_gpu as gpu;
use serde::{Deserialize, Serialize};

pub use client::{CallError, Client};
pub(crate) use listener::ControlListener;

/// Longest request, in bytes: a multiple of the longest there is.
const REQUEST_LIMIT: u64 = 4 << 10;
/// Longest reply, in bytes: twice as many violations as are kept, with room.
const REPLY_LIMIT: u64 = 4 << 20;

/// What can be asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How the card is. Answered by [`Reply::Status`].
    Status,
    /// What its drivers did wrong. Answered by [`Reply::Witness`].
    Witness,
    /// Make something go wrong.
    Inject {
        /// What.
        fault: Fault,
        /// When; now, or at the next occasion, if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Trigger>,
    },
    /// Put a fresh card in the place of the one there is. Answered when it is there.
    Replace,
    /// End the server. Answered before it ends.
    Stop,
}

/// What goes wrong; see [`lifeboat_gpu::Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The card is gone: it answers all-ones. When this is answered, without a trigger, it is.
    Gone,
    /// The next descriptor never ends.
    Hang,
    /// The next descriptor faults.
    JobFault,
    /// The next done interrupt is lost.
    LoseInterrupt,
    /// A message with no reason.
    SpuriousInterrupt,
    /// The heartbeat stands still.
    StickHeartbeat,
    /// Every command takes longer, until a reset.
    Slow {
        /// By how much, in microseconds.
        micros: u64,
    },
    /// The next reset fails.
    FailReset,
    /// The next reset says that it is done, and was none.
    LyingReset,
    /// The link to the card is down: it answers all-ones.
    LinkDown {
        /// For how long, in microseconds.
        micros: u64,
    },
    /// Registers read nonsense.
    Garbage(Lasts),
    /// The BARs do not answer, and configuration space does.
    SilentBars(Lasts),
    /// Configuration space does not answer, and the BARs do.
    SilentConfig(Lasts),
    /// The display stands still.
    StuckScanout(Lasts),
    /// Every register read takes longer, until a reset.
    SlowReads {
        /// By how much, in microseconds.
        micros: u64,
    },
    /// The next register read takes longer.
    StalledRead {
        /// By how much, in microseconds.
        micros: u64,
    },
    /// No message is sent.
    NoInterrupts(Lasts),
    /// Messages with no reason, one right after the other.
    InterruptStorm(Lasts),
    /// Doorbells ring nobody.
    DeadDoorbell(Lasts),
    /// Another model is in the place of the card.
    SwapModel,
    /// A card with half the VRAM is in the place of the card.
    SwapSize,
}

/// How long a fault lasts; see [`lifeboat_gpu::Lasts`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasts {
    /// In microseconds; until a reset of the device if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
}

/// When it goes wrong, counted from the request on, beginning with 1; see [`lifeboat_gpu::Trigger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// Right before the n-th access. An access is a message of the client; QEMU reads configuration space on its own, too.
    Access(u64),
    /// When the n-th job begins.
    Job(u64),
    /// When the n-th reset begins; resets of the bus do not count.
    Reset(u64),
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// It is done.
    Done,
    /// To [`Request::Status`].
    Status(Status),
    /// To [`Request::Witness`].
    Witness(WitnessReport),
    /// The request was not carried out.
    Error {
        /// Why.
        message: String,
    },
}

/// How the card is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether the card is present.
    pub present: bool,
    /// How many cards there were, this one included.
    pub card: u64,
    /// Whether a client is being served.
    pub attached: bool,
    /// How many clients there were, this one included.
    pub clients: u64,
    /// DMA mappings of the client.
    pub mappings: u64,
    /// Interrupt vectors that the client listens to.
    pub vectors: u64,
    /// The heartbeat register, unless the card is gone.
    pub heartbeat: Option<u32>,
    /// Mistakes of the drivers of all cards.
    pub violations: u64,
    /// What the present card has done.
    pub counters: Counters,
}

/// What a card has done so far; see [`lifeboat_gpu::Counters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // they are described there
pub struct Counters {
    pub accesses: u64,
    pub jobs: u64,
    pub commands: u64,
    pub dma_bytes: u64,
    pub interrupts_sent: u64,
    pub resets: u64,
}

/// The drivers' mistakes on all cards, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessReport {
    /// How many there were.
    pub count: u64,
    /// Those that were kept, as text: the seconds since the card was made, and what happened.
    pub violations: Vec<String>,
}

impl From<Fault> for gpu::Fault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone => Self::Remove,
            Fault::Hang => Self::Hang,
            Fault::JobFault => Self::JobFault,
            Fault::LoseInterrupt => Self::LostInterrupt,
            Fault::SpuriousInterrupt => Self::SpuriousInterrupt,
            Fault::StickHeartbeat => Self::StuckHeartbeat,
            Fault::Slow { micros } => Self::Slow(Duration::from_micros(micros)),
            Fault::FailReset => Self::FailedReset,
            Fault::LyingReset => Self::LyingReset,
            Fault::LinkDown { micros } => Self::LinkDown(Duration::from_micros(micros)),
            Fault::Garbage(lasts) => Self::Garbage(lasts.into()),
            Fault::SilentBars(lasts) => Self::SilentBars(lasts.into()),
            Fault::SilentConfig(lasts) => Self::SilentConfig(lasts.into()),
            Fault::StuckScanout(lasts) => Self::StuckScanout(lasts.into()),
            Fault::SlowReads { micros } => Self::SlowReads(Duration::from_micros(micros)),
            Fault::StalledRead { micros } => Self::StalledRead(Duration::from_micros(micros)),
            Fault::NoInterrupts(lasts) => Self::NoInterrupts(lasts.into()),
            Fault::InterruptStorm(lasts) => Self::InterruptStorm(lasts.into()),
            Fault::DeadDoorbell(lasts) => Self::DeadDoorbell(lasts.into()),
            Fault::SwapModel => Self::Swap(gpu::Swap::Model),
            Fault::SwapSize => Self::Swap(gpu::Swap::Size),
        }
    }
}

impl From<Lasts> for gpu::Lasts {
    fn from(lasts: Lasts) -> Self {
        lasts.micros.map_or(Self::UntilReset, |micros| Self::For(Duration::from_micros(micros)))
    }
}

impl From<Trigger> for gpu::Trigger {
    fn from(at: Trigger) -> Self {
        match at {
            Trigger::Access(n) => Self::Access(n),
            Trigger::Job(n) => Self::Job(n),
            Trigger::Reset(n) => Self::Reset(n),
        }
    }
}

impl From<gpu::Counters> for Counters {
    fn from(counters: gpu::Counters) -> Self {
        let gpu::Counters { accesses, jobs, commands, dma_bytes, interrupts_sent, resets } = counters;
        Self { accesses, jobs, commands, dma_bytes, interrupts_sent, resets }
    }
}
