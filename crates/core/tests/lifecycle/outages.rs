//! Tests of spaced recoveries, links that are down, and devices that are not ready (RECOV-4).

use std::time::Duration;

use lifeboat_core::lifecycle::{Action, For, Lifecycle, LifecycleEvent, LifecycleState};
use lifeboat_core::recovery::{Attempts, Budget, GivenUp, Patience, Spacing, Unready};
use lifeboat_core::unplug::Loss;
use lifeboat_core::Timestamp;

const SPACING: Spacing = Spacing { first: Duration::from_secs(1), most: Duration::from_secs(4), jitter: 0 };
const PATIENCE: Patience = Patience { link: Duration::from_secs(10), outages: 2, ..Patience::DEFAULT };

fn at(millis: u64) -> Timestamp {
    Timestamp::new(Duration::from_millis(millis))
}

/// Creates a slot with a device that was bound from the beginning.
fn bound(attempts: u32) -> Lifecycle {
    let budget = Budget { attempts, grace: Duration::from_secs(60) };
    let mut slot = Lifecycle::patient(Attempts::spaced(budget, SPACING, 0), PATIENCE);
    assert_eq!(slot.handle(LifecycleEvent::Inserted, at(0)), Some(Action::Probe { binding: 1 }));
    assert_eq!(slot.handle(LifecycleEvent::Probed, at(0)), None);
    slot
}

fn fails(slot: &mut Lifecycle, loss: Loss, now: Timestamp) -> Option<Action> {
    slot.handle(LifecycleEvent::Failed { binding: slot.binding(), loss }, now)
}

/// Checks that the slot probes at its deadline and not before. Returns the deadline.
fn waits(slot: &mut Lifecycle) -> Timestamp {
    let deadline = slot.next_deadline().unwrap();
    if let Some(before) = deadline.since_beginning().checked_sub(Duration::from_nanos(1)) {
        assert_eq!(slot.handle(LifecycleEvent::Tick, Timestamp::new(before)), None, "too early");
    }
    assert!(matches!(slot.handle(LifecycleEvent::Tick, deadline), Some(Action::Probe { .. })));
    deadline
}

#[test]
fn recov_4_a_million_recoveries_are_spaced() {
    let mut slot = bound(1_000_000);
    assert_eq!(fails(&mut slot, Loss::Hung, at(0)), Some(Action::Unplug(Loss::Hung)));
    assert_eq!(
        slot.handle(LifecycleEvent::Ended, at(0)),
        Some(Action::Probe { binding: 2 }),
        "the first comes at once"
    );
    let mut now = at(0);
    for pause in [1, 2, 4, 4, 4] {
        assert_eq!(slot.handle(LifecycleEvent::Refused, now), None);
        assert_eq!(slot.state(), LifecycleState::Waiting(For::Turn));
        let turn = waits(&mut slot);
        assert_eq!(turn, now.plus(Duration::from_secs(pause)));
        now = turn;
    }
    assert_eq!(slot.handle(LifecycleEvent::Probed, now), None);
    // The device works for a while and fails again. Its turn has come in the meantime.
    let later = now.plus(Duration::from_secs(5));
    assert_eq!(fails(&mut slot, Loss::Hung, later), Some(Action::Unplug(Loss::Hung)));
    assert!(matches!(slot.handle(LifecycleEvent::Ended, later), Some(Action::Probe { .. })));
}

#[test]
fn recov_4_whatever_happens_interrupts_a_wait() {
    let waiting = || {
        let mut slot = bound(3);
        assert!(fails(&mut slot, Loss::FellOff, at(0)).is_some());
        assert!(slot.handle(LifecycleEvent::Ended, at(0)).is_some());
        assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Retry), at(0)), None);
        assert_eq!(slot.state(), LifecycleState::Waiting(For::ReadyAgain));
        slot
    };
    for (event, state, probes) in [
        (LifecycleEvent::Removed, LifecycleState::Empty, false),
        (LifecycleEvent::Unbind, LifecycleState::Idle, false),
        (LifecycleEvent::Stop, LifecycleState::Stopped, false),
        (LifecycleEvent::LinkDown, LifecycleState::LinkDown, false),
        (LifecycleEvent::Inserted, LifecycleState::Probing(None), true),
        (LifecycleEvent::Rebind, LifecycleState::Probing(None), true),
    ] {
        let mut slot = waiting();
        assert_eq!(slot.handle(event, at(1)).is_some(), probes, "{event:?}");
        assert_eq!(slot.state(), state);
    }
}

#[test]
fn recov_4_a_device_is_waited_for_until_its_limit_and_looked_at_once_more() {
    for (how, limit) in [(Unready::Silent, PATIENCE.silent), (Unready::Retry, PATIENCE.retry)] {
        let mut slot = Lifecycle::patient(Attempts::new(Budget::DEFAULT), PATIENCE);
        assert!(slot.handle(LifecycleEvent::Inserted, at(500)).is_some());
        let mut now = at(500);
        let mut looks = 0;
        while slot.handle(LifecycleEvent::NotReady(how), now).is_none()
            && slot.state() == LifecycleState::Waiting(For::Ready)
        {
            now = waits(&mut slot);
            looks += 1;
            assert!(looks < 1000, "for ever");
        }
        assert_eq!(slot.state(), LifecycleState::Idle, "what never worked is not tried again");
        assert_eq!(now, at(500).plus(limit), "the last look begins at the limit");
        assert!(looks <= 8 + limit.as_millis() / 320, "{looks} looks");
    }
}

#[test]
fn recov_4_a_device_that_asked_for_time_and_falls_silent_has_the_time_of_a_silent_one() {
    let mut slot = Lifecycle::patient(Attempts::new(Budget::DEFAULT), PATIENCE);
    assert_eq!(slot.handle(LifecycleEvent::Inserted, at(0)), Some(Action::Probe { binding: 1 }));
    let mut now = at(0);
    while now < at(5000) {
        assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Retry), now), None);
        now = waits(&mut slot);
    }
    let silent = now;
    assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Silent), now), None);
    assert_eq!(slot.state(), LifecycleState::Waiting(For::Ready), "one look is no proof");
    while slot.state() == LifecycleState::Waiting(For::Ready) {
        now = waits(&mut slot);
        assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Silent), now), None);
    }
    assert_eq!(now, silent.plus(PATIENCE.silent), "the last look");
    // A device that alternates between the two answers is given up as well.
    let mut slot = Lifecycle::patient(Attempts::new(Budget::DEFAULT), PATIENCE);
    assert_eq!(slot.handle(LifecycleEvent::Inserted, at(0)), Some(Action::Probe { binding: 1 }));
    let mut now = at(0);
    for how in [Unready::Silent, Unready::Retry].into_iter().cycle() {
        assert_eq!(slot.handle(LifecycleEvent::NotReady(how), now), None);
        if slot.state() != LifecycleState::Waiting(For::Ready) {
            break;
        }
        now = waits(&mut slot);
    }
    assert!(now <= at(0).plus(PATIENCE.retry).plus(PATIENCE.silent), "{now:?}");
}

#[test]
fn recov_4_outages_spend_nothing_up_to_their_own_limit() {
    let mut slot = bound(1);
    let mut now = at(0);
    let mut outages = 0;
    loop {
        assert_eq!(fails(&mut slot, Loss::FellOff, now), Some(Action::Unplug(Loss::FellOff)));
        if slot.handle(LifecycleEvent::Ended, now).is_none() {
            if slot.state() == LifecycleState::Idle {
                break;
            }
            now = waits(&mut slot);
        }
        assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Silent), now), None);
        now = waits(&mut slot);
        assert_eq!(slot.handle(LifecycleEvent::Probed, now), None);
        outages += 1;
        assert!(outages < 100, "for ever");
    }
    assert_eq!(outages, PATIENCE.outages + 1, "and the one that it may have");
    assert_eq!(slot.given_up(), Some(GivenUp::Recoveries));
}

#[test]
fn recov_4_links_spend_nothing_whoever_sees_it_first() {
    // The slot reports first; the driver reports just before the slot; the driver reports long
    // before the slot.
    for driver_first in [None, Some(false), Some(true)] {
        let mut slot = bound(0);
        match driver_first {
            None => assert_eq!(slot.handle(LifecycleEvent::LinkDown, at(0)), Some(Action::Unplug(Loss::LinkDown))),
            Some(long_before) => {
                assert_eq!(fails(&mut slot, Loss::FellOff, at(0)), Some(Action::Unplug(Loss::FellOff)));
                if long_before {
                    assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), None);
                    assert_eq!(slot.given_up(), Some(GivenUp::Recoveries));
                }
                assert_eq!(slot.handle(LifecycleEvent::LinkDown, at(0)), None);
            }
        }
        if driver_first != Some(true) {
            assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), None);
        }
        assert_eq!((slot.state(), slot.given_up()), (LifecycleState::LinkDown, None));
        assert_eq!(slot.handle(LifecycleEvent::Inserted, at(1)), None, "said once more: it is still down");
        assert!(matches!(slot.handle(LifecycleEvent::LinkUp, at(2)), Some(Action::Probe { .. })));
        assert_eq!(slot.handle(LifecycleEvent::Probed, at(3)), None);
        assert_eq!(slot.state(), LifecycleState::Bound);
    }
}

#[test]
fn recov_4_a_link_that_stays_down_is_given_up_and_still_used_when_it_is_up() {
    let mut slot = bound(3);
    assert!(slot.handle(LifecycleEvent::LinkDown, at(0)).is_some());
    assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), None);
    assert_eq!(slot.next_deadline(), Some(at(10_000)));
    assert_eq!(slot.handle(LifecycleEvent::Tick, at(10_000)), None);
    assert_eq!((slot.given_up(), slot.next_deadline()), (Some(GivenUp::Link), None));
    assert!(matches!(slot.handle(LifecycleEvent::LinkUp, at(90_000)), Some(Action::Probe { .. })));
    assert_eq!(slot.given_up(), None);
}

#[test]
fn life_8_a_loss_is_a_removal_once_the_slot_says_so() {
    for loss in [Loss::FellOff, Loss::LinkDown] {
        let mut slot = bound(3);
        match loss {
            Loss::LinkDown => assert!(slot.handle(LifecycleEvent::LinkDown, at(0)).is_some()),
            loss => assert!(fails(&mut slot, loss, at(0)).is_some()),
        }
        assert_eq!(slot.loss(), loss);
        assert_eq!(slot.handle(LifecycleEvent::Removed, at(1)), None);
        assert_eq!(slot.loss(), Loss::Unplugged);
        assert_eq!(slot.handle(LifecycleEvent::Ended, at(1)), None);
        assert_eq!(slot.state(), LifecycleState::Empty);
    }
}

#[test]
fn life_8_another_device_has_all_its_recoveries() {
    let mut slot = bound(0);
    assert_eq!(fails(&mut slot, Loss::Replaced, at(0)), Some(Action::Unplug(Loss::Replaced)));
    assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), Some(Action::Probe { binding: 2 }));
    assert_eq!(slot.state(), LifecycleState::Probing(None));
}

#[test]
fn recov_4_a_link_is_given_up_at_its_limit_and_not_before() {
    let mut slot = bound(1);
    assert_eq!(slot.handle(LifecycleEvent::LinkDown, at(0)), Some(Action::Unplug(Loss::LinkDown)));
    assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), None);
    let deadline = slot.next_deadline().unwrap();
    assert_eq!(deadline, at(0).plus(PATIENCE.link));
    for (now, given_up) in [(at(0), None), (at(9_999), None), (deadline, Some(GivenUp::Link))] {
        assert_eq!(slot.handle(LifecycleEvent::Tick, now), None);
        assert_eq!((slot.state(), slot.given_up()), (LifecycleState::LinkDown, given_up), "{now:?}");
    }
}

#[test]
fn recov_2_only_a_lost_link_excuses_a_failure_and_a_link_that_is_up_does_not() {
    for (event, excused) in [(LifecycleEvent::LinkUp, false), (LifecycleEvent::LinkDown, true)] {
        let mut slot = bound(1);
        assert_eq!(fails(&mut slot, Loss::FellOff, at(0)), Some(Action::Unplug(Loss::FellOff)));
        assert_eq!(slot.handle(event, at(0)), None);
        let ended = slot.handle(LifecycleEvent::Ended, at(0));
        let up = slot.handle(LifecycleEvent::LinkUp, at(0));
        assert!(ended.or(up).is_some(), "it is bound again");
        assert_eq!(slot.handle(LifecycleEvent::Probed, at(0)), None);
        assert!(fails(&mut slot, Loss::FellOff, at(0)).is_some());
        let _ = slot.handle(LifecycleEvent::Ended, at(0));
        assert_eq!(slot.given_up().is_none(), excused, "{event:?}");
    }
}

#[test]
fn recov_3_a_removal_explains_what_fell_silent_and_nothing_else() {
    let losses = [(Loss::FellOff, Loss::Unplugged), (Loss::Hung, Loss::Hung), (Loss::Nonsense, Loss::Nonsense)];
    for (found, explained) in losses {
        let mut slot = bound(3);
        assert_eq!(fails(&mut slot, found, at(0)), Some(Action::Unplug(found)));
        assert_eq!(slot.handle(LifecycleEvent::Removed, at(0)), None);
        assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), None);
        assert_eq!((slot.state(), slot.loss()), (LifecycleState::Empty, explained));
    }
}

#[test]
fn recov_3_another_drivers_device_is_left_alone_and_counts_for_nothing() {
    let mut slot = Lifecycle::new(Budget::DEFAULT);
    assert!(slot.handle(LifecycleEvent::Inserted, at(0)).is_some());
    assert_eq!(slot.handle(LifecycleEvent::Foreign, at(0)), None);
    assert_eq!((slot.state(), slot.loss(), slot.given_up()), (LifecycleState::Idle, Loss::Unbound, None));
    // Here it has taken the place of a device that is being recovered.
    let mut slot = bound(1);
    assert!(fails(&mut slot, Loss::FellOff, at(0)).is_some());
    assert!(slot.handle(LifecycleEvent::Ended, at(0)).is_some());
    assert_eq!(slot.handle(LifecycleEvent::Foreign, at(0)), None);
    assert_eq!((slot.state(), slot.loss()), (LifecycleState::Idle, Loss::Replaced));
}

#[test]
fn recov_4_an_id_says_whether_a_device_is_silent_asks_for_time_or_is_there() {
    let silent = [0, u32::MAX, 0x0000_ffff, 0xffff_0000].map(Unready::of);
    assert_eq!(silent, [Some(Unready::Silent); 4]);
    assert_eq!(Unready::of(0xffff_0001), Some(Unready::Retry));
    assert_eq!(Unready::of(0x1234_5678), None);
}

#[test]
fn recov_4_a_device_without_any_patience_has_one_more_look_all_the_same() {
    let patience = Patience { silent: Duration::ZERO, ..PATIENCE };
    let mut slot = Lifecycle::patient(Attempts::new(Budget::DEFAULT), patience);
    assert!(slot.handle(LifecycleEvent::Inserted, at(0)).is_some());
    assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Silent), at(0)), None);
    assert_eq!(slot.state(), LifecycleState::Waiting(For::Ready), "the limit has passed, and the last look begins now");
    waits(&mut slot);
    assert_eq!(slot.handle(LifecycleEvent::NotReady(Unready::Silent), at(0)), None);
    assert_eq!(slot.state(), LifecycleState::Idle);
}

#[test]
fn recov_3_a_report_of_a_binding_that_has_ended_is_ignored() {
    let mut slot = bound(3);
    let late = LifecycleEvent::Failed { binding: slot.binding(), loss: Loss::Hung };
    assert_eq!(slot.handle(LifecycleEvent::Rebind, at(0)), Some(Action::Unplug(Loss::Unbound)));
    assert_eq!(slot.handle(LifecycleEvent::Ended, at(0)), Some(Action::Probe { binding: 2 }));
    assert_eq!(slot.handle(LifecycleEvent::Probed, at(0)), None);
    let before = slot;
    assert_eq!(slot.handle(late, at(0)), None);
    assert_eq!(slot, before);
}
