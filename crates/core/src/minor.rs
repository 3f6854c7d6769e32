//! Allocation of device numbers.
//!
//! A device that returns is a new device and gets the next free number. So a number that a user
//! still remembers does not immediately mean another device (LIFE-4).

use crate::Slots;

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
    pub fn allocate(&mut self) -> Option<u32> {
        let words = self.used.as_mut();
        let count = u32::try_from(words.len().saturating_mul(64)).unwrap_or(u32::MAX);
        let start = if self.next < count { self.next } else { 0 };
        let found = first_free(words, start, count).or_else(|| first_free(words, 0, start))?;
        words[found as usize / 64] |= 1 << (found % 64);
        self.next = found + 1;
        Some(found)
    }

    /// Frees a number. The number is allocated again only after all higher free numbers.
    pub fn release(&mut self, minor: u32) {
        if let Some(word) = self.used.as_mut().get_mut(minor as usize / 64) {
            *word &= !(1 << (minor % 64));
        }
    }
}

/// Finds the lowest clear bit in `from..to`, a word at a time.
fn first_free(words: &[u64], from: u32, to: u32) -> Option<u32> {
    let mut at = from;
    while at < to {
        let below = (1 << (at % 64)) - 1;
        let taken = words[at as usize / 64] | below;
        if taken != u64::MAX {
            let found = at / 64 * 64 + taken.trailing_ones();
            return (found < to).then_some(found);
        }
        at = (at / 64 + 1) * 64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_4_numbers_are_not_reused_at_once_and_wrap() {
        let mut minors = Minors::new([0; 2]);
        assert_eq!(minors.allocate(), Some(0));
        minors.release(0);
        assert_eq!(minors.allocate(), Some(1));
        for expected in 2..128 {
            assert_eq!(minors.allocate(), Some(expected));
        }
        assert_eq!(minors.allocate(), Some(0));
        assert_eq!(minors.allocate(), None);
        minors.release(77);
        minors.release(5);
        assert_eq!(minors.allocate(), Some(5), "after the wrap the search begins at the bottom");
        assert_eq!(minors.allocate(), Some(77));
    }

    #[test]
    fn no_storage_means_no_numbers() {
        assert_eq!(Minors::new([]).allocate(), None);
    }
}
