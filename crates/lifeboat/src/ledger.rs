//! The leak ledger: how many of each kind of object exist (LIFE-3).
//!
//! Every object of the framework and of its subsystems holds an [`Entry`] for as long as it lives. So
//! "nothing leaked" can be shown at any moment, and a refused unload can say what is in its way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// Most kinds that are told apart.
const KINDS: usize = 32;

/// What is counted, by its name. The framework has some kinds; a subsystem makes its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(&'static str);

impl Kind {
    /// A device.
    pub const DEVICE: Self = Self("device");
    /// A binding.
    pub const BINDING: Self = Self("binding");
    /// An open handle.
    pub const HANDLE: Self = Self("handle");
    /// A submitted job that the scheduler or the hardware still holds.
    pub const JOB: Self = Self("job");
    /// A fence that has not signalled.
    pub const PENDING_FENCE: Self = Self("pending fence");
    /// Anything beyond as many kinds as a ledger tells apart, 31.
    pub const OTHER: Self = Self("other object");

    /// A kind of a subsystem's own. `name` is in the singular, as for one object.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How many objects of each kind exist; kinds without any are left out.
pub type Counts = BTreeMap<Kind, usize>;

/// The counters. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<[Counter; KINDS]>);

/// How many objects of one kind exist.
#[derive(Debug, Default)]
struct Counter {
    /// The kind; given to the first counter that has none when the kind's first object comes.
    kind: OnceLock<Kind>,
    count: AtomicUsize,
}

/// One counted object. Dropped with it.
#[derive(Debug)]
pub struct Entry {
    ledger: Ledger,
    place: usize,
}

impl Ledger {
    /// Counts an object, until the entry is dropped.
    #[must_use]
    pub fn enlist(&self, kind: Kind) -> Entry {
        let place = self.place(kind);
        self.add(place);
        Entry { ledger: self.clone(), place }
    }

    /// Where a kind is counted.
    pub(crate) fn place(&self, kind: Kind) -> usize {
        let is_its = |counter: &Counter| *counter.kind.get_or_init(|| kind) == kind;
        self.0[..KINDS - 1].iter().position(is_its).unwrap_or(KINDS - 1)
    }

    /// Counts an object that refers to the ledger in any case. It must [remove](Ledger::remove)
    /// itself.
    pub(crate) fn add(&self, place: usize) {
        // Relaxed: each counter stands for itself, and whoever needs an exact figure has synchronised with the drops.
        self.0[place].count.fetch_add(1, Relaxed);
    }

    pub(crate) fn remove(&self, place: usize) {
        self.0[place].count.fetch_sub(1, Relaxed);
    }

    /// How many objects of each kind exist.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let count =
            |counter: &Counter| (counter.kind.get().copied().unwrap_or(Kind::OTHER), counter.count.load(Relaxed));
        self.0.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.remove(self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_lives() {
        const BUFFER: Kind = Kind::new("buffer");
        let ledger = Ledger::default();
        let handle = ledger.enlist(Kind::HANDLE);
        let first = ledger.enlist(BUFFER);
        let second = ledger.enlist(BUFFER);
        drop((first, handle));
        assert_eq!(ledger.counts(), Counts::from([(BUFFER, 1)]));
        drop(second);
        assert!(ledger.counts().is_empty());
    }

    #[test]
    fn kinds_without_a_counter_of_their_own_are_counted_together() {
        let names = (0..KINDS).map(|number| -> &'static str { format!("kind {number}").leak() });
        let ledger = Ledger::default();
        let entries: Vec<_> = names.chain(["another"]).map(|name| ledger.enlist(Kind::new(name))).collect();
        assert_eq!(ledger.counts().get(&Kind::OTHER), Some(&2));
        assert_eq!(ledger.counts().len(), KINDS);
        drop(entries);
        assert!(ledger.counts().is_empty());
    }
}
