//! Memory that withdrawn waits leave behind, measured on a thread with a small stack.

use allocation_counter::measure;
use lifeboat::{Fence, Module, Unsignalled};
use lifeboat_sync::lint::{self, Reaction};

pub(crate) const MANY: usize = 10_000;
/// Stack of the measuring thread, in bytes. Small, since dropping things by the thousand must not cost stack.
pub(crate) const STACK: usize = 192 << 10;

pub(crate) fn pair() -> (Fence, Unsignalled) {
    Module::new().timeline("test", "withdrawal").fence()
}

/// Bytes that `f` leaves allocated after using a fence that never signals.
pub(crate) fn left(f: impl FnOnce(&Fence) + Send + 'static) -> i64 {
    // The lint allocates for what it has seen, which would be counted.
    lint::force(Reaction::Off);
    let measured = move || {
        let (fence, promise) = pair();
        let left = measure(|| f(&fence)).bytes_current;
        assert!(fence.status().is_none());
        drop(promise);
        left
    };
    std::thread::Builder::new().stack_size(STACK).spawn(measured).unwrap().join().unwrap()
}
