//! Tests of the lifecycle of a slot: every event in every state, with a shell, a card and a user
//! around the machine. One test holds the table in ARCHITECTURE.md.
#![allow(clippy::unwrap_used)] // a test that cannot go on must fail

mod model;
mod outages;
mod table;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use lifeboat_core::lifecycle::{Action, EventKind, Lifecycle, LifecycleEvent, LifecycleState};
use lifeboat_core::recovery::Budget;
use lifeboat_core::unplug::Loss;
use lifeboat_core::wedge::Failure;
use lifeboat_core::Timestamp;
use stateright::{Checker, Model};

#[test]
fn every_state_has_a_place_of_its_own() {
    let all: Vec<LifecycleState> = LifecycleState::all().collect();
    assert_eq!(all.len(), LifecycleState::COUNT);
    for (place, state) in all.iter().enumerate() {
        assert_eq!(state.index(), place);
    }
    for (place, kind) in EventKind::ALL.iter().enumerate() {
        assert_eq!(*kind as usize, place);
    }
}

/// Explores all histories with `strokes` outside events. Returns the pairs of state and event that
/// occurred.
fn explore(strokes: u8, used: bool, fickle: bool) -> BTreeSet<(usize, EventKind)> {
    let model = model::Slot::new(strokes, used, fickle);
    let visited = model.visited();
    let checker = model.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    eprintln!("{} states, {} of them different", checker.state_count(), checker.unique_state_count());
    let visited = visited.lock().unwrap();
    visited.clone()
}

#[test]
fn recov_3_every_event_in_every_state_ends_in_a_legal_one() {
    let visited = &explore(4, false, false) | &explore(3, false, true);
    let possible: BTreeSet<(usize, EventKind)> = LifecycleState::all()
        .flat_map(|state| EventKind::ALL.into_iter().map(move |kind| (state, kind)))
        .filter(|(state, kind)| state.expects(*kind))
        .map(|(state, kind)| (state.index(), kind))
        .collect();
    let names = |pairs: BTreeSet<(usize, EventKind)>| -> Vec<String> {
        pairs
            .iter()
            .map(|(state, kind)| format!("{} in: {}", kind.name(), LifecycleState::all().nth(*state).unwrap()))
            .collect()
    };
    assert_eq!(names(&possible - &visited), Vec::<String>::new(), "never seen");
    assert_eq!(names(&visited - &possible), Vec::<String>::new(), "not to be expected");
}

#[test]
fn recov_3_whatever_users_do_meanwhile_no_fence_is_left_and_no_hardware_reached() {
    explore(3, true, false);
    explore(2, true, true);
}

const BUDGET: Budget = Budget { attempts: 1, grace: Duration::from_secs(10) };

fn at(seconds: u64) -> Timestamp {
    Timestamp::new(Duration::from_secs(seconds))
}

/// Creates a slot with a device that was bound from the beginning.
fn bound() -> Lifecycle {
    let mut slot = Lifecycle::new(BUDGET);
    assert_eq!(slot.handle(LifecycleEvent::Inserted, at(0)), Some(Action::Probe { binding: 1 }));
    assert_eq!(slot.handle(LifecycleEvent::Probed, at(0)), None);
    slot
}

#[test]
fn recov_2_what_has_worked_since_its_recovery_is_recovered_again() {
    let fails_twice = |second| {
        let mut slot = bound();
        let hung = |binding| LifecycleEvent::Failed { binding, loss: Loss::Hung };
        assert_eq!(slot.handle(hung(1), at(1)), Some(Action::Unplug(Loss::Hung)));
        assert_eq!(slot.handle(LifecycleEvent::Ended, at(1)), Some(Action::Probe { binding: 2 }));
        assert_eq!(slot.handle(LifecycleEvent::Probed, at(2)), None);
        slot.handle(hung(2), at(second))
    };
    assert_eq!(fails_twice(11), Some(Action::Wedge(Failure::Hung)));
    assert_eq!(fails_twice(12), Some(Action::Unplug(Loss::Hung)));
}

#[test]
fn life_5_a_binding_ends_for_the_first_reason_there_was() {
    let mut slot = Lifecycle::new(BUDGET);
    assert_eq!(slot.handle(LifecycleEvent::Inserted, at(0)), Some(Action::Probe { binding: 1 }));
    for event in [LifecycleEvent::Removed, LifecycleEvent::Inserted, LifecycleEvent::Unbind, LifecycleEvent::Stop] {
        assert_eq!(slot.handle(event, at(0)), None);
    }
    assert_eq!(slot.handle(LifecycleEvent::Probed, at(0)), Some(Action::Unplug(Loss::Unplugged)));
    assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), None);
    assert_eq!(slot.state(), LifecycleState::Stopped);
}

#[test]
#[ignore = "takes minutes"]
fn recov_3_the_same_with_more_events() {
    explore(4, true, false);
    explore(3, true, true);
}
