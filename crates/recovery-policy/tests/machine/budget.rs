//! Budgets of a device, and the breaker of the machine.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Denied};
use lifeboat_recovery_policy::policy::{HostPolicy, Mode};
use lifeboat_recovery_policy::record::{End, Left, Outcome, Trip};
use lifeboat_recovery_policy::stage::{Stage, Wait};
use lifeboat_recovery_policy::survey::Health;

use crate::bench::{Bench, id, sick, survey, wedged};
use lifeboat_recovery_policy::event::Event;

#[test]
fn case_1_a_remedy_that_triggers_itself_ends() {
    let mut bench = Bench::default();
    bench.recover();
    // The device has a minute to prove itself, so the pause of a minute after the first recovery is over.
    for pause in [Duration::ZERO, Duration::from_mins(9)] {
        bench.open();
        bench.wait_sick(pause);
        bench.help();
    }
    bench.open();
    assert_eq!(bench.left(), Some(Left::Quarantined));
    assert_eq!(bench.flights(), 3);
    // A day later the budget is there again, but the mark stays until the device works or is cleared.
    bench.wait_sick(Duration::from_hours(24));
    assert_eq!((bench.left(), bench.flights()), (Some(Left::Quarantined), 3));
}

#[test]
fn agent_4_recoveries_are_spaced() {
    let mut bench = Bench::default();
    bench.recover();
    // The first recovery has begun a minute ago: the time that the device had to prove itself.
    bench.open();
    bench.help();
    bench.open();
    assert_eq!(bench.waits_for(), Some(Wait::Backoff));
    bench.wait_sick(Duration::from_mins(8));
    assert_eq!(bench.waits_for(), Some(Wait::Backoff));
    assert_eq!(bench.flights(), 2);
    bench.pass(Duration::from_mins(1));
    bench.help();
    assert_eq!(bench.flights(), 3);
}

#[test]
fn all_steps_of_a_climb_are_one_recovery() {
    let mut bench = Bench::default();
    bench.open();
    for _ in 0..3 {
        let flight = bench.step();
        bench.ended(flight, Outcome::Succeeded);
        bench.verified(sick());
    }
    let device = bench.host.device(&id(0)).unwrap().0;
    assert_eq!(device.memory().climbs.len(), 1);
}

#[test]
fn case_11_a_mark_ends_when_the_device_works_again() {
    let mut bench = Bench::default();
    bench.open();
    for _ in 0..3 {
        let flight = bench.step();
        bench.ended(flight, Outcome::Succeeded);
        bench.verified(sick());
    }
    assert_eq!(bench.left(), Some(Left::Exhausted));
    bench.pass(bench.policy.recheck);
    bench.verified(Health::Works);
    assert_eq!((bench.stage(), bench.end()), (Stage::Fine, Some(End::Healed)));
    assert_eq!(bench.host.device(&id(0)).unwrap().0.memory().left, None);
}

#[test]
fn case_11_a_driver_that_is_bound_is_a_reason_to_look() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["vendor-specific"]));
    bench.save_evidence();
    assert!(bench.left().is_some());
    bench.event(Event::Changed);
    bench.verified(Health::Works);
    assert_eq!(bench.stage(), Stage::Fine);
}

/// Opens an incident of a device and answers its evidence.
fn open(bench: &mut Bench, device: u32) {
    bench.event_of(device, Event::Sign(wedged(&["rebind"]))).unwrap();
    bench.save_evidence_of(device);
}

/// Recovers a device from its survey on.
fn help(bench: &mut Bench, device: u32) {
    let (ticket, _) = bench.survey_ticket();
    bench.event_of(device, Event::Surveyed { ticket, survey: survey(sick()) }).unwrap();
    let flight = bench.flight();
    bench.event_of(device, Event::Ended { flight: flight.number, outcome: Outcome::Succeeded }).unwrap();
    for pause in [bench.policy.verify.alive_for, Duration::ZERO] {
        let Action::Verify { ticket } = bench.take() else { panic!("a verification was to come") };
        bench.event_of(device, Event::Verified { ticket, health: Health::Works }).unwrap();
        bench.pass(pause);
    }
}

#[test]
fn agent_4_many_devices_trip_the_breaker() {
    let policy = Bench::default().policy;
    let mut bench = Bench::new(policy, HostPolicy { mode: Mode::Act, ..HostPolicy::default() }, 4);
    for device in 0..2 {
        open(&mut bench, device);
        help(&mut bench, device);
    }
    open(&mut bench, 2);
    assert!(matches!(bench.stage_of(2), Stage::Waiting { why: Wait::Breaker, .. }));
    assert_eq!(bench.host.tripped(), Some(Trip::Devices));
    // The breaker holds for all, and across a restart.
    open(&mut bench, 3);
    assert!(matches!(bench.stage_of(3), Stage::Waiting { why: Wait::Breaker, .. }));
    bench.restart();
    assert_eq!(bench.host.tripped(), Some(Trip::Devices));
    assert_eq!(bench.flights(), 2);
    assert_eq!(bench.host.reset("ada".into(), bench.now), Ok(()));
}

#[test]
fn a_breaker_closed_by_an_operator_lets_devices_go_on() {
    let policy = Bench::default().policy;
    let mut bench = Bench::new(policy, HostPolicy { mode: Mode::Act, ..HostPolicy::default() }, 3);
    for device in 0..2 {
        open(&mut bench, device);
        help(&mut bench, device);
    }
    open(&mut bench, 2);
    bench.pass(Duration::from_mins(4));
    // The two others have been well for longer than the breaker looks back.
    bench.pass(Duration::from_mins(10));
    bench.wanted.clear();
    bench.host.reset("ada".into(), bench.now).unwrap();
    let wanted = bench.host.poll_action();
    assert!(wanted.is_some_and(|wanted| wanted.device.is_none()), "the operator's record comes first");
}

#[test]
fn agent_11_the_breaker_stays_open_while_a_write_does_not_return() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.pass(Duration::from_mins(3));
    assert_eq!(bench.host.reset("ada".into(), bench.now), Err(Denied::UnderWay));
    bench.ended(flight, Outcome::Failed("EIO".into()));
    assert_eq!(bench.host.reset("ada".into(), bench.now), Ok(()));
}

#[test]
fn one_device_is_recovered_at_a_time() {
    let policy = Bench::default().policy;
    let mut bench = Bench::new(policy, HostPolicy { mode: Mode::Act, ..HostPolicy::default() }, 2);
    open(&mut bench, 0);
    open(&mut bench, 1);
    assert!(matches!(bench.stage_of(1), Stage::Waiting { why: Wait::Turn, .. }));
    help(&mut bench, 0);
    // The turn is passed without a tick.
    assert!(matches!(bench.stage_of(1), Stage::Surveying { .. }));
    help(&mut bench, 1);
    assert_eq!(bench.flights(), 2);
}
