//! The protocols under loom: every interleaving, with the memory model's reorderings.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p lifeboat-sync --test loom` explores them. Loom has no time: a limit
//! of zero gives up at once, any other waits for as long as it takes. A slot has one place there, so that the second of
//! two nested sections borrows a slot. Loom's cell around the object finds every access that does not happen before its
//! drop.
#![cfg(loom)]

mod futures;
mod gate;
mod readers;
mod revocable;

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const GIVE_UP: Duration = Duration::ZERO;
const WAIT: Duration = Duration::MAX;

/// For the larger ones: at most three times is a thread interrupted in the middle of what it does. Such bounds miss few
/// bugs, and each such switch multiplies the runs.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new() -> (Self, Arc<AtomicUsize>) {
        let drops = Arc::new(AtomicUsize::new(0));
        (Self(drops.clone()), drops)
    }

    fn assert_there(&self) {
        assert_eq!(self.0.load(SeqCst), 0, "access after the drop");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}
