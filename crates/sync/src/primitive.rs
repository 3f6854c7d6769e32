//! Synchronization primitives: those of the standard library, or those of a model checker.
//!
//! Loom explores every interleaving and every reordering that the memory model allows, in small
//! models. Shuttle explores random, sequentially consistent interleavings of large models.

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    lazy_static,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU32, AtomicU64, fence},
    },
    thread_local,
};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    lazy_static,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU32, AtomicU64, fence},
    },
    thread_local,
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicPtr, AtomicU32, AtomicU64, fence},
};

/// Whether the code runs under a model checker. A model checker has no time, and its threads are
/// not threads of the system.
pub(crate) const MODEL: bool = cfg!(any(loom, shuttle));

/// Cell of the standard library with the interface of loom's cell.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Locks a mutex. A poisoned lock is used all the same: a panic under a lock leaves data that all
/// users in this crate can handle.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Waits for a notification or until `deadline`. Under a model checker there is no deadline.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: std::time::Instant,
) -> MutexGuard<'a, T> {
    if MODEL {
        return condvar.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    let left = deadline.saturating_duration_since(std::time::Instant::now());
    condvar.wait_timeout(guard, left).unwrap_or_else(std::sync::PoisonError::into_inner).0
}
