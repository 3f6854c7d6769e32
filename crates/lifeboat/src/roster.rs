//! Entries that come in any number and leave in any order, each in O(log n).
//!
//! Whoever adds an entry keeps its number and takes the entry out by it. So what is gone leaves
//! nothing behind, and nobody ever searches for it (SCHED-13). A roster that has become empty keeps
//! one node of its tree, and no more.

use std::collections::BTreeMap;
use std::mem;

use crate::key::Key;

/// Entries by the numbers that they were given.
#[derive(Debug)]
pub struct Roster<T> {
    entries: BTreeMap<Key<u64>, T>,
    next: u64,
}

/// The number of an entry. No other entry of its roster ever has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(u64);

impl<T> Roster<T> {
    /// Without entries.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), next: 0 }
    }

    /// Adds an entry, after all others. O(log n).
    pub fn add(&mut self, entry: T) -> Number {
        let number = self.next;
        // At one a nanosecond, 64 bits last for six centuries.
        self.next += 1;
        self.entries.insert(Key(number), entry);
        Number(number)
    }

    /// Takes an entry out; `None` if it has been taken out already. O(log n).
    pub fn remove(&mut self, Number(number): Number) -> Option<T> {
        self.entries.remove(&Key(number))
    }

    /// Takes all entries out, in the order in which they came. Allocates nothing.
    pub fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        mem::take(&mut self.entries).into_values()
    }

    /// All entries, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self::new()
    }
}

// Comparisons are counted with debug assertions only.
#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;
    use crate::key;

    /// Comparisons for each entry that is added, and for each that is taken out, while up to
    /// `count` are there.
    fn steps(count: usize, order: impl Fn(usize) -> usize) -> (u64, u64) {
        let mut roster = Roster::new();
        let before = key::comparisons();
        let numbers: Vec<_> = (0..count).map(|entry| roster.add(entry)).collect();
        let added = key::comparisons();
        for at in (0..count).map(order) {
            assert_eq!(roster.remove(numbers[at]), Some(at));
        }
        assert_eq!(roster.iter().count(), 0);
        let each = |steps: u64| steps / count as u64;
        (each(added - before), each(key::comparisons() - added))
    }

    #[test]
    fn sched_13_entries_come_and_go_in_logarithmic_steps_whatever_the_order() {
        const FEW: usize = 1000;
        const MANY: usize = 8 * FEW;
        type Order = fn(usize, usize) -> usize;
        let orders: [(&str, Order); 3] = [
            ("as they came", |at, _| at),
            ("the last first", |at, count| count - 1 - at),
            // 7 has no common divisor with the counts.
            ("here and there", |at, count| at * 7 % count),
        ];
        for (name, order) in orders {
            let few = steps(FEW, |at| order(at, FEW));
            let many = steps(MANY, |at| order(at, MANY));
            // A B-tree of 8,000 has five levels at most, with eleven keys to be compared on each.
            assert!(many.0 <= 55 && many.1 <= 55, "{name}: {many:?} comparisons");
            assert!(many.0 <= 2 * few.0 + 11 && many.1 <= 2 * few.1 + 11, "{name}: {few:?}, then {many:?}");
        }
    }

    #[test]
    fn a_number_is_of_one_entry_only_and_all_can_be_taken_at_once() {
        let mut roster = Roster::new();
        let first = roster.add('a');
        let second = roster.add('b');
        assert_eq!((roster.remove(first), roster.remove(first)), (Some('a'), None));
        roster.add('c');
        assert_eq!(roster.take_all().collect::<String>(), "bc");
        assert_eq!((roster.remove(second), roster.iter().count()), (None, 0));
        assert_ne!(roster.add('d'), first);
    }
}
