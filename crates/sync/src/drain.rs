//! Wait for a [gate](crate::gate) to be empty, as a future.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::turnstile::Turnstile;
use crate::waiter::Waiter;
use crate::{Gate, Holdouts};

/// Future that completes when no section of the gate is open; see [`Gate::drain_async`].
#[derive(Debug)]
#[must_use = "the gate is shut, but only a future that is polled waits"]
pub struct Drain<'a> {
    turnstile: &'a Turnstile,
    waiter: Waiter,
}

impl<'a> Drain<'a> {
    pub(crate) fn new(turnstile: &'a Turnstile, begun: &'static Location<'static>) -> Self {
        Self { turnstile, waiter: turnstile.begin_wait(begun) }
    }

    /// Returns the sections that the future still waits for, for a caller whose deadline has
    /// passed.
    pub fn holdouts(&self) -> Holdouts {
        self.turnstile.holdouts()
    }
}

impl Future for Drain<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let turnstile = self.turnstile;
        turnstile.poll_wait(&mut self.waiter, context, || ())
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.turnstile.end_wait(&mut self.waiter, || ());
    }
}

impl Gate {
    /// Shuts the gate at once, and returns a future that completes when no section is open. Use it
    /// in a shell that must not block a thread. The future works with any executor.
    ///
    /// ```
    /// # use lifeboat_sync::{Gate, Reader};
    /// # fn main() -> std::io::Result<()> {
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(async {
    /// let gate = Gate::new();
    /// let reader = Reader::new("request");
    /// let section = gate.enter_with(&reader).expect("the gate is open");
    ///
    /// let mut drained = gate.drain_async();
    /// assert!(gate.is_shut());
    /// // The future has no limit. Race it against a timer, then ask it for the open sections:
    /// let limit = std::time::Duration::from_millis(5);
    /// if tokio::time::timeout(limit, &mut drained).await.is_err() {
    ///     assert_eq!(drained.holdouts().iter().next().unwrap().thread, "request");
    /// }
    /// drop(section);
    /// drained.await;
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropping the future only gives up the wait: the gate stays shut.
    ///
    /// A section that ends while the future waits wakes the future if it was the last. The wake-up
    /// runs on the thread of that section, after the lock of this gate has been released. Sections
    /// that end before the gate is shut do not pay for the future.
    ///
    /// A task that awaits the future inside its own section of the same gate waits for ever. The
    /// future borrows the gate:
    ///
    /// ```compile_fail,E0505
    /// # use lifeboat_sync::Gate;
    /// let gate = Gate::new();
    /// let drained = gate.drain_async();
    /// drop(gate);
    /// drop(drained);
    /// ```
    #[track_caller]
    pub fn drain_async(&self) -> Drain<'_> {
        Drain::new(self.turnstile(), Location::caller())
    }
}
