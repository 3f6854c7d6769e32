//! Panics of code that is not ours.
//!
//! No panic leaves these functions: not one of the code they run, nor of the drop of its payload,
//! nor of the program's log subscriber.

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a user's or driver's code. Its panic is reported, and must not take with it what else is
/// owed: other callbacks, signals, an unplug.
pub(crate) fn contained(what: &str, f: impl FnOnce()) {
    caught(what, f);
}

/// The same for code that has a result; `None` if it panics.
pub(crate) fn caught<T>(what: &str, f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            report(|| tracing::error!("a panic in {what}; everything else goes on"));
            None
        }
    }
}

/// Drops the payload of a panic, which runs a user's code, too. If that panics, the second payload
/// is forgotten: its drop could panic again, without end.
pub(crate) fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(second);
    }
}

/// Tells the log. A subscriber is code of the program.
fn report(tell: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(tell)) {
        discard(payload);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// A payload that panics when it is dropped, with another such payload, so often.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            if let Some(left) = self.0.checked_sub(1) {
                panic_any(Self(left));
            }
        }
    }

    #[test]
    fn no_payload_escapes() {
        for left in 0..4 {
            assert_eq!(caught("a test", || panic_any(Bomb(left))), None::<()>);
        }
        assert_eq!(caught("a test", || 1), Some(1));
    }
}
