//! The protocols under loom: every interleaving, with the reorderings that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p lifeboat-sync --test loom` explores them. Loom
//! has no time: a wait with a limit of zero gives up at once, and any other wait has no limit. A
//! slot has one place, so the second of two nested sections borrows a slot. Loom's cell around the
//! object finds every access that does not happen before the drop of the object.
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

/// Explores a larger model with at most three preemptions. Such a bound misses few bugs, and each
/// further preemption multiplies the number of runs.
fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Object that counts its drops.
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
