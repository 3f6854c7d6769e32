//! Timelines: fences of one origin, in order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Fence, Unsignalled};
use crate::ledger::{Kind, Ledger};
use crate::primitive::atomic::AtomicU64;

/// Where fences come from: a queue, a display. Names them and numbers them. Cheap to clone.
///
/// Jobs of one queue complete in the order of their numbers. Those that end in an error may do so earlier: a canceled
/// one does not wait for one that runs.
#[derive(Clone)]
pub struct Timeline(Arc<Data>);

struct Data {
    driver: Box<str>,
    name: Box<str>,
    last: AtomicU64,
    ledger: Ledger,
    /// Where the ledger counts fences that are pending.
    pending: usize,
}

impl Timeline {
    /// A timeline without fences, whose pending ones are counted in a ledger. `driver` and `name`
    /// name its fences.
    pub fn new(ledger: &Ledger, driver: &str, name: &str) -> Self {
        let (ledger, pending) = (ledger.clone(), ledger.place(Kind::PENDING_FENCE));
        Self(Arc::new(Data { driver: driver.into(), name: name.into(), last: AtomicU64::new(0), ledger, pending }))
    }

    /// Both sides of a new fence, with the next number.
    pub fn fence(&self) -> (Fence, Unsignalled) {
        let (fence, unsignalled) = self.unnumbered();
        unsignalled.number();
        (fence, unsignalled)
    }

    /// Both sides of a fence that gets its number when it gets its place in a queue.
    pub(crate) fn unnumbered(&self) -> (Fence, Unsignalled) {
        Unsignalled::new(self)
    }

    /// A fence refers to its timeline and so to the ledger: an entry of its own would refer to it twice.
    pub(super) fn count_pending(&self) {
        self.0.ledger.add(self.0.pending);
    }

    pub(super) fn discount_pending(&self) {
        self.0.ledger.remove(self.0.pending);
    }

    pub(super) fn next(&self) -> u64 {
        // Relaxed: whoever needs an order between two fences takes their numbers under one lock.
        self.0.last.fetch_add(1, Relaxed) + 1
    }

    /// As `driver/timeline`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.0.driver, self.0.name)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timeline").field(&self.name()).finish()
    }
}
