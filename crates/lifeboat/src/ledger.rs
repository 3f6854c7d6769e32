//! The leak ledger: how many of each kind of object exist (LIFE-3).
//!
//! Every object of the framework holds an [`Entry`] for as long as it lives. So "nothing leaked" can be shown at any
//! moment, and a refused unload can say what is in its way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A device.
    Device,
    /// A binding.
    Binding,
    /// An open handle.
    Handle,
    /// A context.
    Context,
    /// A queue.
    Queue,
    /// A buffer.
    Buffer,
    /// A buffer in the address space of this process.
    Map,
    /// A buffer that other devices can import, or have imported.
    Export,
    /// A submitted job that the scheduler or the hardware still holds.
    Job,
    /// A fence that has not signalled.
    PendingFence,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Device,
        Self::Binding,
        Self::Handle,
        Self::Context,
        Self::Queue,
        Self::Buffer,
        Self::Map,
        Self::Export,
        Self::Job,
        Self::PendingFence,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device",
            Self::Binding => "binding",
            Self::Handle => "handle",
            Self::Context => "context",
            Self::Queue => "queue",
            Self::Buffer => "buffer",
            Self::Map => "map",
            Self::Export => "export",
            Self::Job => "job",
            Self::PendingFence => "pending fence",
        })
    }
}

/// How many objects of each kind exist; kinds without any are left out.
pub type Counts = BTreeMap<Kind, usize>;

/// The counters. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Arc<[AtomicUsize; Kind::ALL.len()]>);

/// One counted object. Dropped with it.
#[derive(Debug)]
pub(crate) struct Entry {
    ledger: Ledger,
    kind: Kind,
}

impl Ledger {
    pub(crate) fn enlist(&self, kind: Kind) -> Entry {
        self.add(kind);
        Entry { ledger: self.clone(), kind }
    }

    /// For what refers to the ledger in any case: it must [remove](Ledger::remove) itself.
    pub(crate) fn add(&self, kind: Kind) {
        // Relaxed: each counter stands for itself, and whoever needs an exact figure has synchronised with the drops.
        self.0[kind as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn remove(&self, kind: Kind) {
        self.0[kind as usize].fetch_sub(1, Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        let count = |kind: &Kind| (*kind, self.0[*kind as usize].load(Relaxed));
        Kind::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.remove(self.kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_lives() {
        let ledger = Ledger::default();
        let first = ledger.enlist(Kind::Buffer);
        let second = ledger.enlist(Kind::Buffer);
        drop(first);
        assert_eq!(ledger.counts(), Counts::from([(Kind::Buffer, 1)]));
        drop(second);
        assert!(ledger.counts().is_empty());
    }
}
