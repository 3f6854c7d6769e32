//! Things that a process has open, by the numbers that the runner has given them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Things of one kind.
#[derive(Debug)]
pub(super) struct Held<T>(Mutex<BTreeMap<u32, Arc<T>>>);

/// Why a number is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// Nothing has it.
    #[error("nothing has the number {0}")]
    Nothing(u32),
    /// Something goes on with it: then it would not end now.
    #[error("number {0} is still in use")]
    InUse(u32),
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Held<T> {
    /// Keeps a thing under a number, in the place of what had it before.
    pub(super) fn keep(&self, number: u32, thing: T) {
        let before = self.lock().insert(number, Arc::new(thing));
        // The drop of the former thing may take time, so it is not done under the lock.
        drop(before);
    }

    pub(super) fn get(&self, number: u32) -> Result<Arc<T>, Error> {
        self.lock().get(&number).cloned().ok_or(Error::Nothing(number))
    }

    /// Ends a thing: when this returns, it is closed.
    pub(super) fn end(&self, number: u32) -> Result<(), Error> {
        let thing = self.lock().remove(&number).ok_or(Error::Nothing(number))?;
        match Arc::try_unwrap(thing) {
            Ok(thing) => {
                drop(thing);
                Ok(())
            }
            Err(thing) => {
                self.lock().insert(number, thing);
                Err(Error::InUse(number))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, Arc<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on must fail

    use super::*;

    #[test]
    fn what_is_in_use_does_not_end() {
        let held = Held::default();
        held.keep(7, "thing");
        let used = held.get(7).unwrap();
        assert_eq!(held.end(7), Err(Error::InUse(7)));
        drop(used);
        assert_eq!(held.end(7), Ok(()));
        assert_eq!(held.end(7), Err(Error::Nothing(7)));
        assert_eq!(held.get(7).err(), Some(Error::Nothing(7)));
    }
}
