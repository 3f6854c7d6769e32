//! Reports: how far rings are, as interrupts and their memory tell.

use lifeboat_core::fence::Seqno;

/// News from interrupt sources.
pub trait Pending {
    /// Reports of rings: of each at most one number up to which all is done, and of those
    /// that complete out of order, each job. As here, nothing.
    fn rings(&self) -> impl Iterator<Item = RingReport> {
        core::iter::empty()
    }
}

/// A report of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingReport {
    /// Number of the ring.
    pub ring: u8,
    /// How far it is.
    pub progress: Progress,
}

/// How far a ring is.
///
/// Exhaustive on purpose: a shell that overlooked a kind of report would lose jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The ring has completed everything up to this number.
    UpTo(Seqno),
    /// The ring has completed the job with this number, whatever became of those before it. Each is
    /// reported once, or again; of two jobs of one queue the earlier first.
    One(Seqno),
    /// The ring has given up the job with this number, as it was [told](crate::Driver::abort), and reads nothing of
    /// it any more. Reported before a number that is behind it.
    Aborted(Seqno),
    /// Its firmware holds nothing any more of the queue with this number, as it was [told](crate::Driver::let_go).
    LetGo(u64),
    /// The ring has stopped with a fault, and had completed everything up to this number.
    Stopped(Seqno),
    /// The ring has written into its memory how far it is: whoever has the ring [collects](crate::Driver::collect)
    /// that.
    InMemory,
}
