//! Wait for a [revocable object](crate::revocable) to be dropped, as a future.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::waiter::Waiter;
use crate::{Holdouts, Revocable};

/// Future that completes when the object has been dropped; see [`Revocable::revoke_async`].
#[must_use = "the object is revoked, but only a future that is polled waits for its drop"]
pub struct Revoke<'a, T> {
    revocable: &'a Revocable<T>,
    waiter: Waiter,
}

impl<T> Revoke<'_, T> {
    /// Returns the sections that the future still waits for. The list is also empty while another
    /// thread drops the object.
    pub fn holdouts(&self) -> Holdouts {
        self.revocable.holdouts()
    }
}

impl<T> Future for Revoke<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let revocable = self.revocable;
        revocable.poll_wait(&mut self.waiter, context)
    }
}

impl<T> Drop for Revoke<'_, T> {
    fn drop(&mut self) {
        self.revocable.end_wait(&mut self.waiter);
    }
}

impl<T> fmt::Debug for Revoke<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoke").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}

impl<T> Revocable<T> {
    /// Revokes the object at once, and returns a future that completes when the object has been
    /// dropped. It is the counterpart of [`Revocable::revoke`] for a shell that must not block a
    /// thread.
    ///
    /// ```
    /// # use lifeboat_sync::Revocable;
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// let registers = Revocable::new([1, 2, 3]);
    /// registers.revoke_async().await;
    /// assert_eq!(registers.try_access_with(|r| r[1]), None);
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The task that polls the future drops the object. Dropping the future only gives up the wait:
    /// the object stays revoked, and the last open section drops it. If no section is open, the
    /// object is dropped with the future. A future that is forgotten (`mem::forget`) keeps the
    /// object until the `Revocable` is dropped.
    ///
    /// As [`Gate::drain_async`](crate::Gate::drain_async), the future has no limit of its own, and
    /// returns its [holdouts](Revoke::holdouts).
    #[track_caller]
    pub fn revoke_async(&self) -> Revoke<'_, T> {
        Revoke { revocable: self, waiter: self.begin_wait(Location::caller()) }
    }
}
