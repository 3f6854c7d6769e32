//! The ladder: which step is next, and what ends the climb.

use std::time::Duration;

use lifeboat_recovery_policy::event::Event;
use lifeboat_recovery_policy::policy::{Policy, StepKind, Unknown, VerifyRules};
use lifeboat_recovery_policy::record::{End, Left, Outcome, Record};
use lifeboat_recovery_policy::sign::Advice;
use lifeboat_recovery_policy::stage::Stage;
use lifeboat_recovery_policy::survey::Health;

use crate::bench::{Bench, sick, step, survey, wedged};

#[test]
fn agent_4_the_next_step_comes_only_after_the_last_has_failed_its_check() {
    let mut bench = Bench::default();
    bench.open();
    let tries = [(StepKind::Rebind, 1), (StepKind::Rebind, 2), (StepKind::BusReset, 1)];
    for (kind, attempt) in tries {
        let flight = bench.step();
        assert_eq!((flight.kind, flight.attempt), (kind, attempt));
        bench.ended(flight, Outcome::Succeeded);
        bench.verified(sick());
    }
    assert_eq!(bench.left(), Some(Left::Exhausted));
    assert_eq!(bench.flights(), 3);
}

#[test]
fn agent_3_evidence_is_saved_before_anything_else() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["rebind"]));
    bench.save_evidence();
    let position = |wanted: fn(&Record) -> bool| bench.journal.iter().position(|entry| wanted(&entry.record));
    let evidence = position(|record| matches!(record, Record::Evidence { .. }));
    assert!(evidence.is_some());
    let flight = bench.step();
    let position = |wanted: fn(&Record) -> bool| bench.journal.iter().position(|entry| wanted(&entry.record));
    assert!(evidence < position(|record| matches!(record, Record::Intended { .. })));
    bench.ended(flight, Outcome::Succeeded);
}

#[test]
fn evidence_that_takes_too_long_is_missed_and_said_so() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["rebind"]));
    bench.take();
    bench.pass(bench.policy.evidence);
    assert_eq!(bench.count(|record| matches!(record, Record::Evidence { missing: Some(_) })), 1);
    bench.help();
}

#[test]
fn case_9_success_is_not_assumed() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.ended(flight, Outcome::Succeeded);
    assert!(matches!(bench.stage(), Stage::Verifying { .. }));
    assert_eq!(bench.end(), None);
}

#[test]
fn case_6_a_step_that_its_own_effect_cut_off_may_have_helped() {
    for outcome in [Outcome::Failed("ENODEV".into()), Outcome::Ambiguous("the child is gone".into())] {
        let mut bench = Bench::default();
        bench.open();
        let flight = bench.step();
        bench.ended(flight, outcome);
        bench.verified(Health::Works);
        bench.pass(bench.policy.verify.alive_for);
        bench.verified(Health::Works);
        assert_eq!(bench.end(), Some(End::Recovered));
    }
}

#[test]
fn agent_14_an_ambiguous_step_is_not_tried_again_before_a_check() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.ended(flight, Outcome::Ambiguous("the child is gone".into()));
    assert!(matches!(bench.stage(), Stage::Verifying { .. }));
    bench.verified(sick());
    let next = bench.step();
    assert_eq!(next.attempt, 2);
}

#[test]
fn agent_14_a_refused_step_was_no_try_and_is_passed_over() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.ended(flight, Outcome::Refused("another write is outstanding".into()));
    let next = bench.step();
    assert_eq!((next.kind, next.attempt), (StepKind::BusReset, 1));
}

#[test]
fn case_20_a_device_that_fails_again_soon_was_not_recovered() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(Health::Works);
    bench.pass(Duration::from_secs(1));
    bench.sign(wedged(&["rebind"]));
    bench.verified(sick());
    let next = bench.step();
    assert_eq!((next.kind, next.attempt), (StepKind::Rebind, 2));
    assert_eq!(bench.count(|record| matches!(record, Record::Opened { .. })), 1);
}

#[test]
fn a_device_need_not_prove_itself_if_no_time_is_asked_for() {
    let verify = VerifyRules { alive_for: Duration::ZERO, ..VerifyRules::default() };
    let mut bench = Bench::default();
    bench = Bench::new(Policy { verify, ..bench.policy }, bench.host_policy, 1);
    bench.open();
    let flight = bench.step();
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(Health::Works);
    assert_eq!(bench.end(), Some(End::Recovered));
}

#[test]
fn agent_1_a_driver_that_asks_for_a_bus_reset_gets_no_rebind() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["bus-reset"]));
    bench.save_evidence();
    assert_eq!(bench.step().kind, StepKind::BusReset);
}

#[test]
fn agent_5_nothing_is_guessed_for_a_vendors_case() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["vendor-specific"]));
    bench.save_evidence();
    assert_eq!(bench.left(), Some(Left::NoStep(Advice::Vendor)));
}

#[test]
fn agent_5_a_vendors_case_takes_the_step_that_the_policy_gives_it() {
    let mut bench = Bench::default();
    let mut steps = bench.policy.steps.clone();
    steps.push(step(StepKind::Vendor, 1));
    bench = Bench::new(Policy { steps, ..bench.policy }, bench.host_policy, 1);
    bench.sign(wedged(&["vendor-specific"]));
    bench.save_evidence();
    assert_eq!(bench.step().kind, StepKind::Vendor);
}

#[test]
fn agent_1_names_that_are_not_known_yet_are_kept_and_not_guessed() {
    for methods in [&["cold-reset"][..], &["unknown"], &[]] {
        let mut bench = Bench::default();
        bench.sign(wedged(methods));
        bench.save_evidence();
        assert_eq!(bench.left(), Some(Left::NoStep(Advice::Unknown)), "{methods:?}");
    }
    let mut bench = Bench::default();
    bench = Bench::new(Policy { unknown: Unknown::Ladder, ..bench.policy }, bench.host_policy, 1);
    bench.sign(wedged(&["cold-reset"]));
    bench.save_evidence();
    assert_eq!(bench.step().kind, StepKind::Rebind);
}

#[test]
fn agent_1_a_known_method_counts_beside_an_unknown_one() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["bus-reset", "cold-reset"]));
    bench.save_evidence();
    assert_eq!(bench.step().kind, StepKind::BusReset);
}

#[test]
fn agent_1_none_is_verified_and_not_believed() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["none"]));
    bench.save_evidence();
    bench.verified(sick());
    assert_eq!(bench.step().kind, StepKind::Rebind);

    let mut bench = Bench::default();
    bench.sign(wedged(&["none"]));
    bench.save_evidence();
    bench.verified(Health::Works);
    assert_eq!(bench.end(), Some(End::Healed));
    assert_eq!(bench.flights(), 0);
}

#[test]
fn a_later_event_with_other_advice_is_heard() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.sign(wedged(&["bus-reset"]));
    bench.ended(flight, Outcome::Failed("EIO".into()));
    bench.verified(sick());
    assert_eq!(bench.step().kind, StepKind::BusReset);
}

#[test]
fn agent_11_a_step_that_does_not_return_is_reported_and_trips_the_breaker() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.pass(Duration::from_mins(3));
    assert_eq!(bench.left(), Some(Left::Stuck(StepKind::Rebind)));
    assert!(bench.host.tripped().is_some());
    assert_eq!(bench.count(|record| matches!(record, Record::Tripped(_))), 1);
    // Nothing is written to the device while the write is outstanding, whatever it says.
    bench.sign(wedged(&["rebind"]));
    bench.pass(Duration::from_hours(1));
    assert_eq!(bench.flights(), 1);
    // The write returns after all, and has helped.
    bench.wanted.clear();
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(Health::Works);
    assert_eq!(bench.stage(), Stage::Fine);
    assert_eq!(bench.host.device(&crate::bench::id(0)).unwrap().0.memory().left, None);
}

#[test]
fn an_answer_to_an_older_question_changes_nothing() {
    let mut bench = Bench::default();
    bench.open();
    let (ticket, _) = bench.survey_ticket();
    bench.pass(Duration::from_secs(30));
    assert!(bench.waits_for().is_some());
    let before = bench.stage();
    bench.event(Event::Surveyed { ticket, survey: survey(sick()) });
    assert_eq!(bench.stage(), before);
    assert_eq!(bench.flights(), 0);
}
