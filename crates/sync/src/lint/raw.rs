//! Locks below the lint's locks: those of `parking_lot`, or in a model those of the checker, with
//! the interface of `parking_lot`.

#[cfg(not(shuttle))]
pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};

#[cfg(not(shuttle))]
pub use parking_lot::WaitTimeoutResult;

#[cfg(shuttle)]
pub use model::WaitTimeoutResult;
#[cfg(shuttle)]
pub(super) use model::{Condvar, Mutex, MutexGuard};

#[cfg(shuttle)]
mod model {
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    use shuttle::sync;

    #[derive(Debug)]
    pub(in super::super) struct Mutex<T: ?Sized>(sync::Mutex<T>);

    /// Guard of a locked mutex. `held` is `None` only while the mutex is released, in a wait for a
    /// condition or in [`MutexGuard::unlocked`].
    pub(in super::super) struct MutexGuard<'a, T: ?Sized> {
        mutex: &'a Mutex<T>,
        held: Option<sync::MutexGuard<'a, T>>,
    }

    #[derive(Debug, Default)]
    pub(in super::super) struct Condvar(sync::Condvar);

    /// Result of a wait with a limit. A model has no time, so the limit never ends a wait.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct WaitTimeoutResult(());

    impl WaitTimeoutResult {
        /// Returns `false`.
        pub fn timed_out(self) -> bool {
            false
        }
    }

    impl<T> Mutex<T> {
        pub(in super::super) const fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(in super::super) fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: ?Sized> Mutex<T> {
        pub(in super::super) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard { mutex: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) }
        }

        pub(in super::super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(held) => Some(MutexGuard { mutex: self, held: Some(held) }),
                Err(sync::TryLockError::Poisoned(error)) => {
                    Some(MutexGuard { mutex: self, held: Some(error.into_inner()) })
                }
                Err(sync::TryLockError::WouldBlock) => None,
            }
        }

        pub(in super::super) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<T: ?Sized> MutexGuard<'_, T> {
        pub(in super::super) fn unlocked<R>(guard: &mut Self, f: impl FnOnce() -> R) -> R {
            /// Locks the mutex again when dropped, even after a panic.
            struct Again<'a, 'b, T: ?Sized>(&'a mut MutexGuard<'b, T>);
            impl<T: ?Sized> Drop for Again<'_, '_, T> {
                fn drop(&mut self) {
                    self.0.held = self.0.mutex.lock().held.take();
                }
            }
            guard.held = None;
            let _again = Again(guard);
            f()
        }
    }

    impl<T: ?Sized> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.held.as_deref().expect("whoever has the guard is not in one of its methods")
        }
    }

    impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.held.as_deref_mut().expect("whoever has the guard is not in one of its methods")
        }
    }

    impl Condvar {
        pub(in super::super) const fn new() -> Self {
            Self(sync::Condvar::new())
        }

        pub(in super::super) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            if let Some(held) = guard.held.take() {
                guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
            }
        }

        pub(in super::super) fn wait_until<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            _deadline: Instant,
        ) -> WaitTimeoutResult {
            self.wait(guard);
            WaitTimeoutResult(())
        }

        pub(in super::super) fn wait_while_for<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            mut condition: impl FnMut(&mut T) -> bool,
            _limit: Duration,
        ) -> WaitTimeoutResult {
            while condition(guard) {
                self.wait(guard);
            }
            WaitTimeoutResult(())
        }

        pub(in super::super) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(in super::super) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
