//! Allocation of device numbers.
//!
//! A device that returns is a new device and gets the next free number. So a number that a user
//! still remembers does not immediately mean another device (LIFE-4).

use core::fmt;

use crate::Slots;

/// The number of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minor(pub u32);

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Allocator of the numbers `0..64 * words`. It searches from the last number on and wraps around.
/// Each number takes one bit of storage.
#[derive(Debug)]
pub struct Minors<S> {
    used: S,
    next: u32,
}

impl<S: Slots<u64>> Minors<S> {
    /// Creates an allocator in which all numbers are free. The storage is cleared.
    pub fn new(mut storage: S) -> Self {
        storage.as_mut().fill(0);
        Self { used: storage, next: 0 }
    }

    /// Allocates the next free number after the last allocated number. Returns `None` if all
    /// numbers are taken. Takes O(words).
    pub fn allocate(&mut self) -> Option<Minor> {
        let words = self.used.as_mut();
        let found = first_free(words, self.next).or_else(|| first_free(words, 0))?;
        words[found as usize / 64] |= 1 << (found % 64);
        self.next = found.wrapping_add(1);
        Some(Minor(found))
    }

    /// Frees a number. The number is allocated again only after all higher free numbers.
    pub fn release(&mut self, Minor(minor): Minor) {
        if let Some(word) = self.used.as_mut().get_mut(minor as usize / 64) {
            *word &= !(1 << (minor % 64));
        }
    }
}

/// Finds the lowest clear bit from bit `from` on, a word at a time.
fn first_free(words: &[u64], from: u32) -> Option<u32> {
    let first = from as usize / 64;
    words.iter().enumerate().skip(first).find_map(|(index, word)| {
        let below = if index == first { (1 << (from % 64)) - 1 } else { 0 };
        let taken = word | below;
        let bit = 64 * index + taken.trailing_ones() as usize;
        u32::try_from(bit).ok().filter(|_| taken != u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_4_numbers_are_not_reused_at_once_and_wrap() {
        let mut minors = Minors::new([0; 2]);
        assert_eq!(minors.allocate(), Some(Minor(0)));
        minors.release(Minor(0));
        assert_eq!(minors.allocate(), Some(Minor(1)));
        for expected in 2..128 {
            assert_eq!(minors.allocate(), Some(Minor(expected)));
        }
        assert_eq!(minors.allocate(), Some(Minor(0)));
        assert_eq!(minors.allocate(), None);
        minors.release(Minor(77));
        minors.release(Minor(5));
        assert_eq!(minors.allocate(), Some(Minor(5)), "after the wrap the search begins at the bottom");
        assert_eq!(minors.allocate(), Some(Minor(77)));
    }

    #[test]
    fn no_storage_means_no_numbers() {
        assert_eq!(Minors::new([]).allocate(), None);
    }
}
