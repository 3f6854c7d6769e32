//! Condition variables for the lint's mutexes. They wrap those of `parking_lot` and check each
//! wait.
//!
//! A wait for a condition blocks, under anything that the thread holds except the mutex itself. At
//! its end the wait takes the mutex again. So in the order, locks that were taken after the mutex
//! and are still held come before the mutex.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::raw::{self, WaitTimeoutResult};
use super::{MutexGuard, enabled};

/// Condition variable that the lint watches.
///
/// # Examples
/// ```
/// use lifeboat_sync::lint::{Class, Condvar, Mutex};
///
/// static DONE: Class = Class::new("done");
///
/// let (done, changed) = (Mutex::sleeping(&DONE, false), Condvar::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         *done.lock() = true;
///         changed.notify_all();
///     });
///     let mut done = done.lock();
///     while !*done {
///         changed.wait(&mut done);
///     }
/// });
/// ```
#[derive(Debug, Default)]
pub struct Condvar(raw::Condvar);

impl Condvar {
    /// Creates a condition variable without waiters.
    pub const fn new() -> Self {
        Self(raw::Condvar::new())
    }

    /// Releases the mutex, waits, and takes the mutex again. May return without a notification.
    #[track_caller]
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        before(guard, Location::caller());
        self.0.wait(&mut guard.inner);
    }

    /// Waits as [`Condvar::wait`] does, but at most until `deadline`.
    #[track_caller]
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        before(guard, Location::caller());
        self.0.wait_until(&mut guard.inner, deadline)
    }

    /// Waits while `condition` returns `true`, but at most for `limit`.
    #[track_caller]
    pub fn wait_while_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        limit: Duration,
    ) -> WaitTimeoutResult {
        before(guard, Location::caller());
        self.0.wait_while_for(&mut guard.inner, condition, limit)
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

fn before<T>(guard: &MutexGuard<'_, T>, place: &'static Location<'static>) {
    if enabled() {
        guard.before_condition(place);
    }
}
