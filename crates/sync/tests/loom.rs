//! The protocols under loom: every interleaving, with the memory model's reorderings.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p lifeboat-sync --test loom` explores them, unbounded, in seconds.
#![cfg(loom)]

use std::time::Duration;

use lifeboat_sync::{Gate, Revocable};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Loom has no time: it waits for as long as it takes.
const LIMIT: Duration = Duration::ZERO;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn gate_4_enter_against_revoke() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let revocable = Arc::new(Revocable::new(Counted(drops.clone())));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let revocable = revocable.clone();
                loom::thread::spawn(move || {
                    revocable.try_access_with(|object| assert_eq!(object.0.load(SeqCst), 0, "access after the drop"));
                })
            })
            .collect();
        revocable.revoke(LIMIT).unwrap();
        assert_eq!(drops.load(SeqCst), 1, "revoke returned before the drop");
        assert!(revocable.try_access_with(|_| ()).is_none());
        for reader in readers {
            reader.join().unwrap();
        }
        drop(revocable);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn life_7_revoke_against_revoke() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let revocable = Arc::new(Revocable::new(Counted(drops.clone())));
        let revokers: Vec<_> = (0..2)
            .map(|_| {
                let (revocable, drops) = (revocable.clone(), drops.clone());
                loom::thread::spawn(move || {
                    revocable.revoke(LIMIT).unwrap();
                    assert_eq!(drops.load(SeqCst), 1);
                })
            })
            .collect();
        revocable.try_access_with(|object| assert_eq!(object.0.load(SeqCst), 0));
        for revoker in revokers {
            revoker.join().unwrap();
        }
    });
}

#[test]
fn gate_drain_waits_for_the_section() {
    loom::model(|| {
        let gate = Arc::new(Gate::new());
        let inside = Arc::new(AtomicUsize::new(0));
        let reader = {
            let (gate, inside) = (gate.clone(), inside.clone());
            loom::thread::spawn(move || {
                if let Some(_section) = gate.enter() {
                    inside.store(1, SeqCst);
                    inside.store(0, SeqCst);
                }
            })
        };
        gate.shut();
        gate.drain(LIMIT).unwrap();
        assert_eq!(inside.load(SeqCst), 0);
        assert!(gate.enter().is_none());
        reader.join().unwrap();
    });
}
