//! Which pages of something are free: VRAM, or a context's addresses.
//!
//! Users decide how many stretches there are, so nothing is searched for: the free stretches stand
//! by where they begin and by how long they are, and each operation costs O(log n) of them
//! (SCHED-13).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use lifeboat::key::Key;
use lifeboat_driver::gpu::Gpu;

/// The free stretches of a range of pages. No two of them touch.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Where each begins, and where it ends.
    stretches: BTreeMap<Key<u64>, u64>,
    /// The same, by length and then by where they begin.
    by_length: BTreeSet<Key<(u64, u64)>>,
}

impl Pages {
    /// All of a range.
    pub(crate) fn new(range: Range<u64>) -> Self {
        let mut pages = Self { stretches: BTreeMap::new(), by_length: BTreeSet::new() };
        pages.add(range);
        pages
    }

    /// Takes `count` pages that follow one another, at least one: from the shortest stretch that
    /// has so many, so that long ones stay. `None` if there is no such stretch. O(log n).
    pub(crate) fn take(&mut self, count: u64) -> Option<Range<u64>> {
        let count = count.max(1);
        let Key((length, start)) = *self.by_length.range(Key((count, 0))..).next()?;
        self.remove(start..start + length);
        self.add(start + count..start + length);
        Some(start..start + count)
    }

    /// Gives back what was taken. O(log n).
    pub(crate) fn give_back(&mut self, pages: Range<u64>) {
        let Range { mut start, mut end } = pages;
        let before = self.stretches.range(..Key(start)).next_back().map(|(Key(start), end)| *start..*end);
        let after = self.stretches.range(Key(end)..).next().map(|(Key(start), end)| *start..*end);
        if let Some(before) = before.filter(|before| before.end == start) {
            start = before.start;
            self.remove(before);
        }
        if let Some(after) = after.filter(|after| after.start == end) {
            end = after.end;
            self.remove(after);
        }
        self.add(start..end);
    }

    fn add(&mut self, Range { start, end }: Range<u64>) {
        if start < end {
            self.stretches.insert(Key(start), end);
            self.by_length.insert(Key((end - start, start)));
        }
    }

    fn remove(&mut self, Range { start, end }: Range<u64>) {
        self.stretches.remove(&Key(start));
        self.by_length.remove(&Key((end - start, start)));
    }
}

/// Bytes that a context's address space has room for.
pub(crate) const fn address_bytes<G: Gpu>() -> u64 {
    (G::ADDRESSES.end - G::ADDRESSES.start) * G::PAGE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use lifeboat::key;

    #[test]
    fn the_shortest_stretch_that_fits_is_taken_and_neighbours_become_one() {
        let mut pages = Pages::new(1..101);
        let taken: Vec<_> = [10, 20, 30, 40].map(|count| pages.take(count).unwrap()).into();
        assert_eq!(taken, [1..11, 11..31, 31..61, 61..101]);
        assert_eq!(pages.take(1), None);
        pages.give_back(61..101);
        pages.give_back(11..31);
        assert_eq!(pages.take(15), Some(11..26), "of the shorter one");
        assert_eq!((pages.take(41), pages.take(40)), (None, Some(61..101)));
        for range in [31..61, 11..26, 61..101, 1..11] {
            pages.give_back(range);
        }
        assert_eq!(pages.take(100), Some(1..101), "they are one again");
    }

    /// Comparisons for each operation, with so many stretches free, none beside another.
    fn steps(stretches: u64) -> u64 {
        let mut pages = Pages::new(0..2 * stretches);
        let taken: Vec<_> = (0..2 * stretches).map(|_| pages.take(1).unwrap()).collect();
        let (even, odd): (Vec<_>, Vec<_>) = taken.into_iter().partition(|range| range.start % 2 == 0);
        let before = key::comparisons();
        even.iter().rev().for_each(|range| pages.give_back(range.clone()));
        // Two together are nowhere.
        (0..stretches).for_each(|_| assert_eq!(pages.take(2), None));
        let again: Vec<_> = (0..stretches).map(|_| pages.take(1).unwrap()).collect();
        for range in again.into_iter().chain(odd) {
            pages.give_back(range);
        }
        let steps = key::comparisons() - before;
        assert_eq!(pages.take(2 * stretches), Some(0..2 * stretches));
        steps / (5 * stretches)
    }

    #[test]
    fn sched_13_memory_is_found_and_freed_in_logarithmic_steps_however_it_is_cut_up() {
        let (few, many) = (steps(1000), steps(8000));
        assert!(few > 0, "nothing was counted");
        assert!(many <= 2 * few, "{few} comparisons among 1000 stretches, {many} among 8000");
    }

    proptest! {
        #[test]
        fn it_is_as_a_list_of_pages_would_have_it(operations in prop::collection::vec((any::<bool>(), 1..9_u64, any::<prop::sample::Index>()), 0..200)) {
            const COUNT: u8 = 64;
            let mut pages = Pages::new(0..COUNT.into());
            let (mut free, mut taken) = ([true; COUNT as usize], Vec::<Range<u64>>::new());
            for (take, count, which) in operations {
                if take || taken.is_empty() {
                    let found = pages.take(count);
                    let fits = free.windows(usize::try_from(count).unwrap()).any(|window| window.iter().all(|free| *free));
                    prop_assert_eq!(found.is_some(), fits);
                    let Some(range) = found else { continue };
                    prop_assert_eq!(range.end - range.start, count);
                    for page in range.clone() {
                        prop_assert!(std::mem::replace(&mut free[usize::try_from(page).unwrap()], false));
                    }
                    taken.push(range);
                } else {
                    let range = taken.swap_remove(which.index(taken.len()));
                    range.clone().for_each(|page| free[usize::try_from(page).unwrap()] = true);
                    pages.give_back(range);
                }
            }
            for range in taken {
                pages.give_back(range);
            }
            prop_assert_eq!(pages.take(COUNT.into()), Some(0..COUNT.into()));
        }
    }
}
