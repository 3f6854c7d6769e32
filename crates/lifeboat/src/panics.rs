//! Panics of code that is not ours.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a user's or driver's code. Its panic is reported, and must not take with it what else is owed: other callbacks,
/// signals, an unplug.
pub(crate) fn contained(what: &str, f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        tracing::error!("a panic in {what}; everything else goes on");
    }
}
