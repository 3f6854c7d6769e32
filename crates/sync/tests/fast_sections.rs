//! Sections on the fast path, which only threads with an awake slot take, and only while the lint is off.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lifeboat_sync::lint::{self, Reaction};
use lifeboat_sync::{Gate, Holdouts, Revocable};

const SOON: Duration = Duration::from_millis(5);

fn holdouts(result: Result<(), Holdouts>) -> usize {
    result.map_or_else(|holdouts| holdouts.iter().count(), |()| 0)
}

/// An object, and the same in a revocable for which this thread's slot is awake.
fn revocable() -> (Arc<()>, Revocable<Arc<()>>) {
    lint::force(Reaction::Off);
    let object = Arc::new(());
    let revocable = Revocable::new(object.clone());
    for _ in 0..3 {
        assert!(revocable.try_access_with(|_| ()).is_some());
    }
    (object, revocable)
}

#[test]
fn gate_4_sections_on_the_fast_path_end() {
    let (object, revocable) = revocable();
    assert_eq!(holdouts(revocable.revoke(SOON)), 0);
    assert_eq!(Arc::strong_count(&object), 1);
    assert!(revocable.try_access_with(|_| ()).is_none());
}

#[test]
fn gate_4_and_gate_7_an_open_section_on_the_fast_path_is_waited_for_and_named() {
    let (object, revocable) = revocable();
    revocable.try_access_with(|_| {
        let revoke = || revocable.revoke(SOON);
        assert_eq!(thread::scope(|scope| holdouts(scope.spawn(revoke).join().unwrap())), 1);
        assert_eq!(Arc::strong_count(&object), 2);
    });
    assert_eq!(Arc::strong_count(&object), 1, "its end drops the object");
}

#[test]
fn gate_4_a_section_on_the_fast_path_ends_by_a_panic_too() {
    let (object, revocable) = revocable();
    assert!(catch_unwind(AssertUnwindSafe(|| revocable.try_access_with(|_| panic!("on purpose")))).is_err());
    assert_eq!(holdouts(revocable.revoke(SOON)), 0);
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn gate_7_a_gate_names_its_sections_on_the_fast_path() {
    lint::force(Reaction::Off);
    let gate = Gate::new();
    for _ in 0..3 {
        assert_eq!(gate.run(|| 1), Some(1));
    }
    gate.run(|| {
        gate.shut();
        assert_eq!(thread::scope(|scope| holdouts(scope.spawn(|| gate.drain(SOON)).join().unwrap())), 1);
        assert_eq!(gate.run(|| ()), None);
    });
    assert_eq!(holdouts(gate.drain(SOON)), 0);
}
