//! The entries of each ring that there is room for.

use super::{Layout, Ring};

/// Entries behind the head that are shown, too: what the ring did last.
const PASSED: u32 = 2;

/// What an entry of a ring takes in a file at most, in bytes: its index has ten digits, and each
/// byte two.
#[must_use]
pub const fn entry_cost(layout: &Layout) -> usize {
    r#"{"index":,"bytes":""},"#.len() + 10 + 2 * layout.entry_bytes
}

/// What a ring has between its head and its tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    size: u32,
    head: u32,
    between: u32,
}

impl Place {
    /// The place where a ring stands. `None` if that is not known, or the ring has no entries.
    #[must_use]
    pub fn of(ring: &Ring<'_>, layout: &Layout) -> Option<Self> {
        let [head, tail, _] = ring.head_tail_seqno(layout);
        // An index that the device gives is not trusted.
        let (head, tail) = (head?.checked_rem(ring.size)?, tail?.checked_rem(ring.size)?);
        let between = if tail >= head { tail - head } else { ring.size - head + tail };
        Some(Self { size: ring.size, head, between })
    }

    /// The entries that are shown if there is room for `most`.
    #[must_use]
    fn window(self, most: usize) -> Window {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let ahead = self.between.min(most);
        // One entry is always free.
        let passed = PASSED.min(most - ahead).min(self.size - 1 - self.between);
        let first = if self.head >= passed { self.head - passed } else { self.size - passed + self.head };
        Window { size: self.size, first, passed, ahead, left_out: self.between - ahead }
    }
}

/// Entries of a ring, one behind the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    size: u32,
    first: u32,
    /// Those behind the head.
    passed: u32,
    /// Those from the head on.
    ahead: u32,
    /// Entries between the head and the tail that there is no room for.
    pub left_out: u32,
}

impl Window {
    /// No entries.
    pub(super) const NONE: Self = Self { size: 0, first: 0, passed: 0, ahead: 0, left_out: 0 };

    /// Their indices.
    pub fn indices(self) -> impl Iterator<Item = u32> {
        let Self { size, first, .. } = self;
        // Neither sum is larger than twice the size; the larger halves are those that come round.
        (0..self.passed + self.ahead)
            .map(move |step| if step < size - first { first + step } else { step - (size - first) })
    }

    /// How many there are.
    pub(super) fn count(self) -> usize {
        (self.passed + self.ahead) as usize
    }

    /// How many of them the ring has passed. They come first.
    pub(super) fn passed(self) -> usize {
        self.passed as usize
    }
}

/// The indices of so many rings, in the order of importance: the one that a dump is about is the
/// first.
pub fn by_rank(first: usize, rings: usize) -> impl Iterator<Item = usize> + Clone {
    (first..rings).take(1).chain((0..rings).filter(move |index| *index != first))
}

/// Divides room for entries among rings. If there is too little, the first ring may have what there
/// is, but for one entry for each of the others; these share what is left.
#[derive(Debug, Clone)]
pub struct Portions {
    room: usize,
    rings: usize,
    is_first: bool,
}

impl Portions {
    /// Entries that can be shown of rings that stand so.
    pub(super) fn wanted(rings: impl Iterator<Item = Option<Place>>) -> usize {
        let of_ring = |place: Option<Place>| place.map_or(0, |place| place.window(usize::MAX).count());
        rings.map(of_ring).fold(0, usize::saturating_add)
    }

    /// Room for so many entries of rings that stand so.
    #[must_use]
    pub fn new(room: usize, rings: impl Iterator<Item = Option<Place>> + Clone) -> Self {
        // Enough is enough for each of them.
        let room = if Self::wanted(rings.clone()) <= room { usize::MAX } else { room };
        Self { room, rings: rings.count(), is_first: true }
    }

    /// The portion of the next ring; the ring that the dump is about is the first.
    pub fn next(&mut self, place: Option<Place>) -> Window {
        let share = if self.is_first {
            self.room.saturating_sub(self.rings.saturating_sub(1))
        } else {
            self.room / self.rings.max(1)
        };
        self.is_first = false;
        self.rings = self.rings.saturating_sub(1);
        let window = place.map_or(Window::NONE, |place| place.window(share));
        self.room = self.room.saturating_sub(window.count());
        window
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn indices(window: Window) -> Vec<u32> {
        window.indices().collect()
    }

    #[test]
    fn a_window_begins_behind_the_head_and_ends_at_the_tail() {
        let place = Place { size: 8, head: 1, between: 3 };
        assert_eq!(indices(place.window(100)), [7, 0, 1, 2, 3]);
        assert_eq!(indices(place.window(4)), [0, 1, 2, 3]);
        assert_eq!(indices(place.window(2)), [1, 2]);
        assert_eq!(place.window(2).left_out, 1);
        assert_eq!(indices(Place { size: 8, head: 6, between: 7 }.window(100)), [6, 7, 0, 1, 2, 3, 4]);
        assert_eq!(indices(Place { size: 1, head: 0, between: 0 }.window(9)), [0; 0]);
        let largest = Place { size: u32::MAX, head: u32::MAX - 1, between: 3 };
        assert_eq!(indices(largest.window(9)), [u32::MAX - 3, u32::MAX - 2, u32::MAX - 1, 0, 1]);
    }

    #[test]
    fn the_first_ring_leaves_one_entry_for_each_of_the_others() {
        let place = |between| Some(Place { size: 100, head: 0, between });
        let counts = |room, places: [Option<Place>; 3]| {
            let mut portions = Portions::new(room, places.iter().copied());
            places.map(|place| portions.next(place).count())
        };
        let full = place(99);
        assert_eq!(counts(12, [full; 3]), [10, 1, 1]);
        assert_eq!(counts(12, [None, full, full]), [0, 6, 6]);
        assert_eq!(counts(1, [full; 3]), [0, 0, 1]);
        assert_eq!(counts(14, [place(8), place(2), None]), [10, 4, 0], "what is enough is not divided");
        assert_eq!(counts(13, [place(8), place(2), None]), [10, 1, 0]);
    }
}
