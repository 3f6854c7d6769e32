//! The contexts that wait for a ring at one priority, the one that has used least of the ring
//! first.
//!
//! A binary heap. Its array takes no memory of its own: entry `k` of a ring's heap is kept in the
//! slot that context `k` has for that ring, whichever context the entry names. To add, take out or
//! move one costs O(log n).

use super::turns::TurnSlot;

/// One heap: of a ring, at a priority.
pub(super) struct Heap<'a> {
    slots: &'a mut [TurnSlot],
    /// Contexts in it.
    len: &'a mut u32,
    rings: usize,
    ring: usize,
    level: usize,
}

impl<'a> Heap<'a> {
    pub(super) fn new(slots: &'a mut [TurnSlot], len: &'a mut u32, [rings, ring, level]: [usize; 3]) -> Self {
        Self { slots, len, rings, ring, level }
    }

    pub(super) fn push(&mut self, context: u32) {
        let place = *self.len;
        *self.len += 1;
        self.put(place, context);
        self.up(place);
    }

    /// Takes out a context that is in it.
    pub(super) fn remove(&mut self, context: u32) {
        let place = self.place(context);
        *self.len -= 1;
        let last = self.at(*self.len);
        if last != context {
            self.put(place, last);
            self.moved(last);
        }
    }

    /// A context that is in it has used more of the ring, or less, than when it was put there.
    pub(super) fn moved(&mut self, context: u32) {
        let place = self.place(context);
        self.up(place);
        let place = self.place(context);
        self.down(place);
    }

    fn up(&mut self, mut place: u32) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.key(parent) <= self.key(place) {
                return;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn down(&mut self, mut place: u32) {
        loop {
            let left = 2 * place + 1;
            let right = left + 1;
            let mut least = place;
            for child in [left, right] {
                if child < *self.len && self.key(child) < self.key(least) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.swap(least, place);
            place = least;
        }
    }

    fn swap(&mut self, one: u32, other: u32) {
        let (first, second) = (self.at(one), self.at(other));
        self.put(one, second);
        self.put(other, first);
    }

    fn put(&mut self, place: u32, context: u32) {
        let level = self.level;
        self.slot(place).heap[level] = context;
        self.slot(context).place[level] = place;
    }

    fn place(&mut self, context: u32) -> u32 {
        let level = self.level;
        self.slot(context).place[level]
    }

    fn at(&mut self, place: u32) -> u32 {
        let level = self.level;
        self.slot(place).heap[level]
    }

    /// Ties go to the lower number, so that the order depends on nothing else.
    fn key(&mut self, place: u32) -> (u64, u32) {
        let (context, level) = (self.at(place), self.level);
        (self.slot(context).turn.at[level].used, context)
    }

    fn slot(&mut self, context: u32) -> &mut TurnSlot {
        #[cfg(test)]
        super::tests::count_step();
        &mut self.slots[context as usize * self.rings + self.ring]
    }
}
