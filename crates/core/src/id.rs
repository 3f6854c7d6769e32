//! Handles into storage that the caller brought.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

/// Storage for a fixed number of `T`: an array, a `Vec`, a mutable slice.
///
/// The storage must always yield the same slots; the state machines keep indices into it.
pub trait Slots<T>: AsRef<[T]> + AsMut<[T]> {}

impl<T, S: AsRef<[T]> + AsMut<[T]> + ?Sized> Slots<T> for S {}

/// A handle: which slot, and which of the objects that have lived in it.
///
/// `T` only marks what kind of object is meant, so that a queue cannot be passed where a job is expected.
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

    /// The slot's number, for names and tables. Alone it does not identify an object.
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
