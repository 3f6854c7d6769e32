//! Conditions of the lint's mutexes: `parking_lot`'s, checked before each wait.
//!
//! To wait for a condition blocks, whatever is held but that very mutex, and takes that mutex again at the end: what
//! was taken after it and is still held then comes before it.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::raw::{self, WaitTimeoutResult};
use super::{MutexGuard, enabled};

/// A condition variable.
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
    /// A condition variable for which nobody waits.
    pub const fn new() -> Self {
        Self(raw::Condvar::new())
    }

    /// Releases the mutex, waits, and takes it again. May return without a notification.
    #[track_caller]
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        before(guard, Location::caller());
        self.0.wait(&mut guard.inner);
    }

    /// The same, at most until `deadline`.
    #[track_caller]
    pub fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> WaitTimeoutResult {
        before(guard, Location::caller());
        self.0.wait_until(&mut guard.inner, deadline)
    }

    /// Waits as long as `condition` holds, at most for `limit`.
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

    /// Wakes one of those that wait.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

fn before<T>(guard: &MutexGuard<'_, T>, place: &'static Location<'static>) {
    if enabled() {
        guard.before_condition(place);
    }
}
