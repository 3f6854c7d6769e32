//! Commands of operators.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Command, Denied};
use lifeboat_recovery_policy::policy::Policy;
use lifeboat_recovery_policy::record::{End, Left, Outcome};
use lifeboat_recovery_policy::stage::{Stage, Wait};
use lifeboat_recovery_policy::survey::Health;

use crate::bench::{Bench, sick, survey};

#[test]
fn agent_21_a_hold_is_never_overridden() {
    let mut bench = Bench::default();
    bench.command(Command::Hold).unwrap();
    bench.open();
    assert_eq!(bench.waits_for(), Some(Wait::Held));
    for _ in 0..20 {
        bench.pass(Duration::from_mins(5));
        bench.verified(sick());
    }
    bench.restart();
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::Held), 0));
    bench.command(Command::Release).unwrap();
    bench.help();
}

#[test]
fn case_10_a_hold_survives_a_recovery_and_a_clear() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.command(Command::Hold).unwrap();
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(sick());
    assert_eq!(bench.waits_for(), Some(Wait::Held));
    bench.command(Command::Clear).unwrap();
    bench.open();
    assert_eq!(bench.waits_for(), Some(Wait::Held));
    assert_eq!(bench.flights(), 1);
}

#[test]
fn agent_21_a_hold_that_comes_during_the_survey_counts() {
    let mut bench = Bench::default();
    bench.open();
    bench.command(Command::Hold).unwrap();
    bench.surveyed(survey(sick()));
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::Held), 0));
}

#[test]
fn only_a_held_device_can_be_released() {
    assert_eq!(Bench::default().command(Command::Release), Err(Denied::NotHeld));
}

#[test]
fn a_device_that_works_again_under_a_hold_ends_its_incident() {
    let mut bench = Bench::default();
    bench.command(Command::Hold).unwrap();
    bench.open();
    bench.pass(bench.policy.recheck);
    bench.verified(Health::Works);
    assert_eq!(bench.end(), Some(End::Healed));
}

#[test]
fn clear_forgets_the_mark_and_the_budget() {
    let mut bench = Bench::default();
    for _ in 0..3 {
        bench.open();
        if bench.waits_for() == Some(Wait::Backoff) {
            bench.wait_sick(Duration::from_mins(9));
        }
        bench.help();
    }
    bench.open();
    assert_eq!(bench.left(), Some(Left::Quarantined));
    bench.command(Command::Clear).unwrap();
    assert_eq!(bench.stage(), Stage::Fine);
    bench.recover();
    assert_eq!(bench.flights(), 4);
}

#[test]
fn a_step_under_way_cannot_be_cleared() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    assert_eq!(bench.command(Command::Clear), Err(Denied::UnderWay));
    bench.ended(flight, Outcome::Succeeded);
    bench.command(Command::Clear).unwrap();
    assert_eq!((bench.stage(), bench.end()), (Stage::Fine, Some(End::Cleared)));
}

fn confirmed() -> Bench {
    let bench = Bench::default();
    let mut steps = bench.policy.steps.clone();
    steps[0].confirm = true;
    let mut bench = Bench::new(Policy { steps, ..bench.policy }, bench.host_policy, 1);
    assert_eq!(bench.command(Command::Approve), Err(Denied::NothingToApprove));
    bench.open();
    assert_eq!(bench.waits_for(), Some(Wait::Approval));
    bench
}

#[test]
fn a_step_that_needs_approval_gets_it_for_each_try() {
    let mut bench = confirmed();
    bench.command(Command::Approve).unwrap();
    let flight = bench.step();
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(sick());
    assert_eq!(bench.waits_for(), Some(Wait::Approval));
    bench.restart();
    bench.verified(sick());
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::Approval), 1));
}

#[test]
fn an_approval_survives_a_restart() {
    let mut bench = confirmed();
    bench.command(Command::Approve).unwrap();
    bench.restart();
    bench.step();
}

#[test]
fn a_step_that_nobody_approves_is_not_taken() {
    let mut bench = confirmed();
    bench.wait_sick(bench.policy.approval);
    assert!(matches!(bench.left(), Some(Left::NotApproved(_))), "{:?}", bench.stage());
    assert_eq!(bench.flights(), 0);
}
