// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Storage for the core: a kernel vector that has its final length from the start.

use kernel::prelude::*;

/// A fixed number of slots, on the heap: there are more than one stretch of physical memory may hold.
pub(crate) struct Storage<T>(KVVec<T>);

impl<T: Default> Storage<T> {
    pub(crate) fn new(slots: usize) -> Result<Self> {
        let mut storage = KVVec::with_capacity(slots, GFP_KERNEL)?;
        for _ in 0..slots {
            storage.push(T::default(), GFP_KERNEL)?;
        }
        Ok(Self(storage))
    }
}

impl<T> AsRef<[T]> for Storage<T> {
    fn as_ref(&self) -> &[T] {
        &self.0
    }
}

impl<T> AsMut<[T]> for Storage<T> {
    fn as_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}
