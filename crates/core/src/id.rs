//! Handles into storage that the caller provides.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

/// Storage for a fixed number of `T`: an array, a `Vec`, a mutable slice.
///
/// The storage must always return the same slots, because the state machines keep indices into it.
pub trait Slots<T>: AsRef<[T]> + AsMut<[T]> {}

impl<T, S: AsRef<[T]> + AsMut<[T]> + ?Sized> Slots<T> for S {}

/// Handle of an object: the index of its slot, and a generation that tells it from earlier objects
/// in the same slot.
///
/// `T` only marks the kind of the object, so that a queue cannot be passed where a job is expected.
pub struct Id<T> {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation, kind: PhantomData }
    }

    /// The whole handle as a number, for a firmware that is told of an object and names it in its answers.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The handle that such a number stands for. A number that no handle has is a stale handle.
    #[allow(clippy::cast_possible_truncation)] // the halves of the number
    pub const fn from_bits(bits: u64) -> Self {
        Self::new(bits as u32, (bits >> 32) as u32)
    }

    /// Returns the index of the slot, for names and tables. The index alone does not identify an
    /// object.
    pub const fn index(self) -> u32 {
        self.index
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.index, self.generation).hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_handle_is_its_slot_and_its_generation() {
        let ids: [Id<()>; 3] = [Id::new(7, 0), Id::new(7, 1), Id::new(8, 0)];
        assert_eq!(ids.map(Id::index), [7, 7, 8]);
        assert_eq!(ids[0], Id::new(7, 0));
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
        assert_eq!(std::format!("{:?}", ids[1]), "#7.1");
    }

    #[test]
    fn handles_that_differ_hash_differently() {
        let hash = |id: Id<()>| {
            let mut hasher = std::hash::DefaultHasher::new();
            id.hash(&mut hasher);
            hasher.finish()
        };
        let hashes: HashSet<u64> = (0..8).flat_map(|slot| (0..8).map(move |age| hash(Id::new(slot, age)))).collect();
        assert_eq!(hashes.len(), 64);
    }
}
