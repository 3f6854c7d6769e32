//! FIFO lists threaded through the slots themselves, so that a job or queue is in at most one list and moving it costs
//! O(1) and no memory.

/// "No slot": the end of a list.
pub(super) const NONE: u32 = u32::MAX;

/// A slot that can be linked.
pub(super) trait Linked {
    fn link(&mut self) -> &mut u32;
}

/// A FIFO of slot indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct List {
    head: u32,
    tail: u32,
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

    pub(super) fn push_back<T: Linked>(&mut self, slots: &mut [T], index: u32) {
        *slots[index as usize].link() = NONE;
        if self.is_empty() {
            self.head = index;
        } else {
            *slots[self.tail as usize].link() = index;
        }
        self.tail = index;
    }

    pub(super) fn push_front<T: Linked>(&mut self, slots: &mut [T], index: u32) {
        *slots[index as usize].link() = self.head;
        if self.is_empty() {
            self.tail = index;
        }
        self.head = index;
    }

    pub(super) fn pop_front<T: Linked>(&mut self, slots: &mut [T]) -> Option<u32> {
        let index = self.front()?;
        self.head = *slots[index as usize].link();
        if self.is_empty() {
            self.tail = NONE;
        }
        Some(index)
    }

    /// Takes out a slot that is in this list. O(slots before it).
    pub(super) fn remove<T: Linked>(&mut self, slots: &mut [T], index: u32) {
        let next = *slots[index as usize].link();
        if self.head == index {
            self.head = next;
            return;
        }
        let mut before = self.head;
        while *slots[before as usize].link() != index {
            before = *slots[before as usize].link();
        }
        *slots[before as usize].link() = next;
        if self.tail == index {
            self.tail = before;
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

/// The indices of all slots. Slots beyond 2^32 - 2 are never used.
pub(super) fn indices<T>(slots: &[T]) -> core::ops::Range<u32> {
    0..u32::try_from(slots.len()).unwrap_or(NONE)
}
