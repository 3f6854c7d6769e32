//! How a fence ended, readable without a lock.

use std::sync::atomic::Ordering::{Acquire, Release};

use lifeboat_core::fence::FenceError;

use super::Outcome;
use crate::primitive::atomic::AtomicU8;

/// Nothing at first, then one outcome for ever.
#[derive(Default)]
pub(super) struct OnceOutcome(AtomicU8);

const PENDING: u8 = 0;
const DONE: u8 = 1;
const LOST: u8 = 2;
const GUILTY: u8 = 3;
const INNOCENT: u8 = 4;
const CANCELED: u8 = 5;
const TIMED_OUT: u8 = 6;

impl OnceOutcome {
    /// Who reads an outcome sees all that its signaller did before.
    pub(super) fn get(&self) -> Option<Outcome> {
        match self.0.load(Acquire) {
            PENDING => None,
            LOST => Some(Err(FenceError::Lost)),
            GUILTY => Some(Err(FenceError::Guilty)),
            INNOCENT => Some(Err(FenceError::Innocent)),
            CANCELED => Some(Err(FenceError::Canceled)),
            TIMED_OUT => Some(Err(FenceError::TimedOut)),
            _ => Some(Ok(())),
        }
    }

    /// To be called once; the fence's lock sees to that.
    pub(super) fn set(&self, outcome: Outcome) {
        let value = match outcome {
            Ok(()) => DONE,
            Err(FenceError::Lost) => LOST,
            Err(FenceError::Guilty) => GUILTY,
            Err(FenceError::Innocent) => INNOCENT,
            Err(FenceError::Canceled) => CANCELED,
            Err(FenceError::TimedOut) => TIMED_OUT,
        };
        self.0.store(value, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_read_as_it_was_set() {
        let known =
            [FenceError::Lost, FenceError::Guilty, FenceError::Innocent, FenceError::Canceled, FenceError::TimedOut];
        for outcome in known.map(Err).into_iter().chain([Ok(())]) {
            let once = OnceOutcome::default();
            assert_eq!(once.get(), None);
            once.set(outcome);
            assert_eq!(once.get(), Some(outcome));
        }
    }
}
