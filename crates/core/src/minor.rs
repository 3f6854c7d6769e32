//! Device numbers. A device that returns is a new device: it gets the next free number, so that a number somebody still
//! remembers does not at once mean another device (LIFE-4).

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

/// Numbers `0..64 * words`, handed out next-free with wrap-around. One bit of storage per number.
#[derive(Debug)]
pub struct Minors<S> {
    used: S,
    next: u32,
}

impl<S: Slots<u64>> Minors<S> {
    /// Begins with this storage, which is cleared.
    pub fn new(mut storage: S) -> Self {
        storage.as_mut().fill(0);
        Self { used: storage, next: 0 }
    }

    /// The next free number after the last one handed out, or `None` if all are taken. O(words).
    pub fn allocate(&mut self) -> Option<Minor> {
        let words = self.used.as_mut();
        let count = u32::try_from(words.len().saturating_mul(64)).unwrap_or(u32::MAX);
        let start = if self.next < count { self.next } else { 0 };
        let found = first_free(words, start, count).or_else(|| first_free(words, 0, start))?;
        words[found as usize / 64] |= 1 << (found % 64);
        self.next = found + 1;
        Some(Minor(found))
    }

    /// Gives a number back. It is handed out again only after all higher free ones.
    pub fn release(&mut self, Minor(minor): Minor) {
        if let Some(word) = self.used.as_mut().get_mut(minor as usize / 64) {
            *word &= !(1 << (minor % 64));
        }
    }
}

/// The lowest clear bit in `from..to`, a word at a time.
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
