//! Tests of revocable objects on one thread.

use std::sync::Arc;

use super::*;

const SOON: Duration = Duration::from_millis(5);

fn holdouts<T>(result: Result<T, Holdouts>) -> usize {
    result.map_or_else(|holdouts| holdouts.iter().count(), |_| 0)
}

#[test]
fn gate_4_the_object_is_dropped_once_and_before_revoke_returns() {
    let object = Arc::new(());
    let revocable = Revocable::new(object.clone());
    assert!(revocable.try_access_with(|_| ()).is_some() && !revocable.is_revoked());
    revocable.revoke(SOON).unwrap();
    assert!(revocable.is_revoked());
    assert_eq!(Arc::strong_count(&object), 1);
    assert!(revocable.try_access().is_none());
    revocable.revoke(SOON).unwrap();
    drop(revocable);
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn an_open_section_defers_the_drop_to_its_end() {
    let object = Arc::new(());
    let revocable = Revocable::new(object.clone());
    let section = revocable.try_access().unwrap();
    assert_eq!(holdouts(revocable.revoke(SOON)), 1);
    assert_eq!(Arc::strong_count(&*section), 2);
    drop(section);
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn life_6_a_forgotten_guard_leaks_and_is_reported() {
    let object = Arc::new(());
    let mut revocable = Revocable::new(object.clone());
    std::mem::forget(revocable.try_access());
    let holdouts = revocable.revoke(SOON).unwrap_err();
    assert_eq!(holdouts.iter().next().unwrap().place.line(), line!() - 2);
    assert_eq!(Arc::strong_count(&object), 2);
    // The leaked guard can no longer be used.
    assert!(revocable.revoke_nosync().is_some());
    drop(revocable);
    assert_eq!(Arc::strong_count(&object), 1);
}

#[test]
fn gate_10_a_proof_needs_no_check_and_holds_the_object() {
    drop(crate::Reader::new("had the slot before"));
    let object = Arc::new(());
    let revocable = Revocable::new(object.clone());
    let bound = revocable.bound().unwrap();
    let in_the_way = revocable.revoke(SOON).unwrap_err();
    let thread = std::thread::current().name().unwrap().to_owned();
    assert_eq!(in_the_way.iter().map(|holdout| &holdout.thread).collect::<Vec<_>>(), [&thread]);
    assert!(revocable.try_access().is_none());
    assert_eq!(Arc::strong_count(revocable.access(&bound)), 2);
    std::thread::scope(|scope| {
        scope.spawn(move || drop(bound));
    });
    assert_eq!(Arc::strong_count(&object), 1);
    assert!(revocable.bound().is_none());
}

#[test]
#[should_panic(expected = "another object")]
fn gate_10_a_proof_of_something_else_is_refused() {
    let (one, other) = (Revocable::new(1), Revocable::new(2));
    one.access(&other.bound().unwrap());
}

#[test]
fn a_panic_inside_a_section_leaves_it() {
    let revocable = Revocable::new(());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        revocable.try_access_with(|()| panic!("inside"));
    }));
    assert!(panicked.is_err());
    revocable.revoke(SOON).unwrap();
}

#[test]
fn an_object_that_panics_in_its_drop_is_gone_all_the_same() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("on purpose");
        }
    }
    let revocable = Revocable::new(Bad);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| revocable.revoke(SOON)));
    assert!(panicked.is_err());
    revocable.revoke(SOON).unwrap();
}

#[test]
fn an_object_that_was_never_revoked_is_dropped_with_its_cell() {
    let object = Arc::new(());
    drop(Revocable::new(object.clone()));
    assert_eq!(Arc::strong_count(&object), 1);
}
