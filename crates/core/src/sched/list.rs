//! FIFO lists threaded through the slots themselves, so that a job or queue is in at most one list,
//! and moving it or taking it out costs O(1) and no memory.

/// "No slot": the end of a list.
pub(super) const NONE: u32 = u32::MAX;

/// The neighbours of a slot in its list. Meaningless while the slot is in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Links {
    pub(super) next: u32,
    pub(super) previous: u32,
}

impl Links {
    pub(super) const NONE: Self = Self { next: NONE, previous: NONE };
}

/// A slot that can be linked.
pub(super) trait Linked {
    fn links(&mut self) -> &mut Links;
}

/// A FIFO of slot indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct List {
    head: u32,
    tail: u32,
}

impl Default for List {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };

    pub(super) const fn is_empty(self) -> bool {
        self.head == NONE
    }

    pub(super) const fn front(self) -> Option<u32> {
        if self.is_empty() {
            None
        } else {
            Some(self.head)
        }
    }

    pub(super) const fn back(self) -> Option<u32> {
        if self.is_empty() {
            None
        } else {
            Some(self.tail)
        }
    }

    pub(super) fn push_back<T: Linked>(&mut self, slots: &mut [T], index: u32) {
        *links(slots, index) = Links { next: NONE, previous: if self.is_empty() { NONE } else { self.tail } };
        if self.is_empty() {
            self.head = index;
        } else {
            links(slots, self.tail).next = index;
        }
        self.tail = index;
    }

    pub(super) fn push_front<T: Linked>(&mut self, slots: &mut [T], index: u32) {
        *links(slots, index) = Links { next: self.head, previous: NONE };
        if self.is_empty() {
            self.tail = index;
        } else {
            links(slots, self.head).previous = index;
        }
        self.head = index;
    }

    pub(super) fn pop_front<T: Linked>(&mut self, slots: &mut [T]) -> Option<u32> {
        let index = self.front()?;
        self.head = links(slots, index).next;
        if self.is_empty() {
            self.tail = NONE;
        } else {
            links(slots, self.head).previous = NONE;
        }
        Some(index)
    }

    /// Takes out a slot that is in this list. O(1).
    pub(super) fn remove<T: Linked>(&mut self, slots: &mut [T], index: u32) {
        let Links { next, previous } = *links(slots, index);
        if previous == NONE {
            self.head = next;
        } else {
            links(slots, previous).next = next;
        }
        if next == NONE {
            self.tail = previous;
        } else {
            links(slots, next).previous = previous;
        }
    }

    /// Takes the whole list, leaving this one empty.
    pub(super) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::EMPTY)
    }

    /// The same slots, last first. O(length).
    pub(super) fn reversed<T: Linked>(mut self, slots: &mut [T]) -> Self {
        let mut reversed = Self::EMPTY;
        while let Some(index) = self.pop_front(slots) {
            reversed.push_front(slots, index);
        }
        reversed
    }
}

fn links<T: Linked>(slots: &mut [T], index: u32) -> &mut Links {
    #[cfg(test)]
    super::tests::count_step();
    slots[index as usize].links()
}

/// A list of all slots, in their order.
pub(super) fn all<T: Linked>(slots: &mut [T]) -> List {
    let mut list = List::EMPTY;
    for index in 0..count(slots) {
        list.push_back(slots, index);
    }
    list
}

/// How many slots there are. Slots beyond 2^32 - 2 are never used.
pub(super) fn count<T>(slots: &[T]) -> u32 {
    u32::try_from(slots.len()).unwrap_or(NONE)
}
