//! The record of a driver's mistakes.
//!
//! The card can tell what no driver should ever do: let it reach for memory that is not mapped, ring a stopped ring,
//! touch it after giving it back. What happens between a card's removal and the release of its binding is no mistake,
//! because the driver cannot know yet; nor is a user's bad job, which the card itself contains. Nor is a card that works
//! on and that its driver could not reach to stop: from the moment that its link, its BARs or what registers read are taken
//! away, until its next reset, or its next doorbell if no write was lost, what it is left doing is not recorded.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Entries kept; further ones are only counted. Enough to see every kind in a run that goes wrong throughout.
const KEPT: usize = 4096;

/// Something the driver did that it must not do. `at` is the time since the card was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A ring was left to work while bus mastering was off.
    DmaWhileDisabled {
        /// When.
        at: Duration,
        /// The ring that wanted to reach host memory.
        ring: u8,
        /// The context, unless it was fetching a descriptor.
        context: Option<u8>,
    },
    /// The card was told to reach a bus address that is not mapped: a stale segment, or a ring that went away.
    DmaUnmapped {
        /// When.
        at: Duration,
        /// The address.
        iova: u64,
        /// The ring that wanted to reach it.
        ring: u8,
        /// The context, unless it was fetching a descriptor.
        context: Option<u8>,
    },
    /// The function was used after [`Function::release`](lifeboat_pci::Function::release).
    AccessAfterRelease {
        /// When.
        at: Duration,
        /// How.
        access: LateAccess,
    },
    /// A doorbell of a ring that was disabled or in reset.
    DoorbellToStoppedRing {
        /// When.
        at: Duration,
        /// The ring.
        ring: u8,
    },
    /// The function was released while a ring of the present card was enabled, and no reset under way.
    ReleasedWhileRunning {
        /// When.
        at: Duration,
        /// The ring.
        ring: u8,
    },
    /// The function was released with interrupts on, also of a card that is gone: its handler would have run on.
    ReleasedWithInterrupts {
        /// When.
        at: Duration,
    },
    /// The function was released with DMA mappings left over.
    MappingsLeaked {
        /// When.
        at: Duration,
        /// How many.
        count: usize,
    },
}

/// A use of a function that was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LateAccess {
    /// An access to the configuration space.
    Config {
        /// Offset in the configuration space.
        offset: u16,
    },
    /// An access to a BAR, or [`Function::bar`](lifeboat_pci::Function::bar) at offset 0.
    Bar {
        /// Which BAR.
        index: u8,
        /// Offset within it.
        offset: u64,
    },
    /// A new DMA mapping.
    DmaMap,
    /// A reset by the bus.
    Reset,
    /// Interrupts turned on.
    IrqEnable,
}

impl Violation {
    /// Time since the card was made.
    pub fn at(&self) -> Duration {
        match *self {
            Self::DmaWhileDisabled { at, .. }
            | Self::DmaUnmapped { at, .. }
            | Self::AccessAfterRelease { at, .. }
            | Self::DoorbellToStoppedRing { at, .. }
            | Self::ReleasedWhileRunning { at, .. }
            | Self::ReleasedWithInterrupts { at }
            | Self::MappingsLeaked { at, .. } => at,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:>11.6}] ", self.at().as_secs_f64())?;
        match self {
            Self::DmaWhileDisabled { ring, context, .. } => {
                write!(f, "DMA by ring {ring}{} while bus mastering is off", InContext(*context))
            }
            Self::DmaUnmapped { iova, ring, context, .. } => {
                write!(f, "DMA by ring {ring}{} to unmapped bus address {iova:#x}", InContext(*context))
            }
            Self::AccessAfterRelease { access, .. } => write!(f, "{access} after the function was released"),
            Self::DoorbellToStoppedRing { ring, .. } => write!(f, "doorbell to ring {ring}, which is stopped"),
            Self::ReleasedWhileRunning { ring, .. } => write!(f, "function released while ring {ring} is enabled"),
            Self::ReleasedWithInterrupts { .. } => f.write_str("function released with interrupts on"),
            Self::MappingsLeaked { count, .. } => write!(f, "function released with {count} DMA mappings left"),
        }
    }
}

impl fmt::Display for LateAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { offset } => write!(f, "configuration access at {offset:#x}"),
            Self::Bar { index, offset } => write!(f, "access to BAR {index} at {offset:#x}"),
            Self::DmaMap => f.write_str("DMA mapping made"),
            Self::Reset => f.write_str("reset"),
            Self::IrqEnable => f.write_str("interrupts turned on"),
        }
    }
}

struct InContext(Option<u8>);

impl fmt::Display for InContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(context) => write!(f, " for context {context}"),
            None => f.write_str(" fetching a descriptor"),
        }
    }
}

/// A card's record of [`Violation`]s. It only grows, and outlives the removal.
pub struct Witness {
    begin: Instant,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    kept: Vec<Violation>,
    count: usize,
}

impl Witness {
    pub(crate) fn new() -> Self {
        Self { begin: Instant::now(), log: Mutex::new(Log::default()) }
    }

    /// Everything recorded so far, oldest first; at most the first 4096 entries.
    pub fn violations(&self) -> Vec<Violation> {
        self.log.lock().kept.clone()
    }

    /// How many violations there were, those not kept included.
    pub fn len(&self) -> usize {
        self.log.lock().count
    }

    /// Whether the driver has behaved.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records what `violation` makes of the time.
    pub(crate) fn record(&self, violation: impl FnOnce(Duration) -> Violation) {
        let violation = violation(self.begin.elapsed());
        tracing::debug!(%violation, "witness");
        let mut log = self.log.lock();
        log.count = log.count.saturating_add(1);
        if log.kept.len() < KEPT {
            log.kept.push(violation);
        }
    }
}
