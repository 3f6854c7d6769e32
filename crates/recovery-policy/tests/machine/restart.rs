//! Restarts: the daemon is ended without a word at every record, and goes on.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Event};
use lifeboat_recovery_policy::record::{End, Outcome, Record};
use lifeboat_recovery_policy::stage::Stage;
use lifeboat_recovery_policy::survey::Health;

use crate::bench::{Bench, id, sick, survey};

#[test]
fn agent_7_a_restart_goes_on_where_the_records_end() {
    // The whole course of a recovery by the second step, cut off after each of its records.
    let course = {
        let mut bench = Bench::default();
        bench.open();
        for helps in [false, false, true] {
            let flight = bench.step();
            bench.ended(flight, Outcome::Succeeded);
            bench.verified(if helps { Health::Works } else { sick() });
        }
        bench.pass(bench.policy.verify.alive_for);
        bench.verified(Health::Works);
        bench.journal
    };
    assert!(course.len() > 10);
    for cut in 0..=course.len() {
        let now = course.last().unwrap().at;
        let mut bench = Bench { journal: course.clone(), now, ..Bench::default() };
        bench.restart_with(cut);
        drive(&mut bench);
        let steps = bench.journal.iter().filter_map(|entry| match entry.record {
            Record::Intended { step, attempt, .. } => Some((step, attempt)),
            _ => None,
        });
        let steps: Vec<_> = steps.collect();
        let mut once = steps.clone();
        once.dedup();
        assert_eq!(steps, once, "a step was done twice after {cut} records");
        if cut > 0 {
            assert!(bench.end().is_some(), "the incident goes on after {cut} records: {:?}", bench.stage());
        }
    }
}

/// Answers everything that is wanted: no child runs, the device is sick until a bus reset.
fn drive(bench: &mut Bench) {
    for _ in 0..100 {
        if bench.is_idle() {
            if bench.stage() == Stage::Fine {
                return;
            }
            bench.pass(Duration::from_mins(1));
            continue;
        }
        let helped = bench.count(|record| matches!(record, Record::Intended { step: 1, .. })) > 0;
        let health = if helped { Health::Works } else { sick() };
        match bench.take() {
            Action::SaveEvidence { ticket, .. } => bench.event(Event::EvidenceSaved { ticket, missing: None }),
            Action::Survey { ticket, .. } => bench.event(Event::Surveyed { ticket, survey: survey(health) }),
            Action::Verify { ticket } => bench.event(Event::Verified { ticket, health }),
            Action::Step(flight) => bench.ended(flight, Outcome::Succeeded),
            Action::FindChild(flight) => bench.event(Event::Child { flight: flight.number, runs: false }),
            other => panic!("{other:?} was not to come"),
        }
    }
    panic!("the incident does not end: {:?}", bench.stage());
}

#[test]
fn agent_7_a_step_that_was_under_way_is_checked_and_not_repeated() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.restart();
    assert_eq!(bench.take(), Action::FindChild(flight));
    bench.event(Event::Child { flight: flight.number, runs: false });
    assert_eq!(bench.count(|record| matches!(record, Record::Ended { outcome: Outcome::Ambiguous(_), .. })), 1);
    bench.verified(Health::Works);
    bench.pass(bench.policy.verify.alive_for);
    bench.verified(Health::Works);
    assert_eq!((bench.end(), bench.flights()), (Some(End::Recovered), 1));
}

#[test]
fn agent_7_a_step_that_was_not_begun_is_begun_again() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.restart();
    bench.take();
    bench.ended(flight, Outcome::Undone("the daemon was ended before the order".into()));
    let again = bench.step();
    assert_eq!((again.kind, again.attempt, again.number), (flight.kind, 1, 2));
    assert_eq!(bench.host.device(&id(0)).unwrap().0.memory().climbs.len(), 1);
}

#[test]
fn agent_11_a_child_that_still_runs_is_waited_for_until_its_deadline() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.pass(Duration::from_mins(1));
    bench.restart();
    bench.take();
    bench.event(Event::Child { flight: flight.number, runs: true });
    bench.pass(Duration::from_secs(119));
    assert!(matches!(bench.stage(), Stage::Stepping { .. }));
    bench.pass(Duration::from_secs(1));
    assert!(bench.left().is_some());
    // The process is found again after another restart, and still blocks the device.
    bench.restart();
    assert_eq!(bench.take(), Action::FindChild(flight));
    bench.event(Event::Child { flight: flight.number, runs: true });
    assert!(matches!(bench.stage(), Stage::Left { .. }));
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(Health::Works);
    assert_eq!(bench.stage(), Stage::Fine);
}

#[test]
fn a_child_that_was_stuck_and_is_gone_after_a_restart_frees_the_device() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    bench.pass(Duration::from_mins(3));
    bench.restart();
    bench.take();
    bench.event(Event::Child { flight: flight.number, runs: false });
    bench.verified(sick());
    assert!(matches!(bench.stage(), Stage::Left { .. }));
    assert_eq!(bench.host.device(&id(0)).unwrap().0.memory().flight, None);
}

#[test]
fn agent_11_a_step_on_a_device_that_is_missing_for_now_holds_up_the_others() {
    let mut bench = Bench::default();
    bench.open();
    let flight = bench.step();
    // The device is off the bus in the middle of its step, and the daemon is started again.
    bench.devices = vec![id(1)];
    bench.restart();
    assert_eq!(bench.take(), Action::FindChild(flight));
    bench.event_of(1, Event::Sign(crate::bench::wedged(&["rebind"]))).unwrap();
    bench.save_evidence_of(1);
    assert!(matches!(bench.stage_of(1), Stage::Waiting { .. }), "{:?}", bench.stage_of(1));
    bench.event(Event::Child { flight: flight.number, runs: true });
    bench.ended(flight, Outcome::Succeeded);
    bench.verified(sick());
    // There are no rules for a device that is not there: it is left alone, and the other one has its turn.
    assert!(matches!(bench.stage(), Stage::Left { .. }));
    assert!(matches!(bench.stage_of(1), Stage::Surveying { .. }));
}

#[test]
fn case_3_a_recovered_device_stays_recovered_after_a_restart() {
    let mut bench = Bench::default();
    bench.recover();
    bench.restart();
    assert!(bench.is_idle() && bench.stage() == Stage::Fine);
}

#[test]
fn case_2_the_budget_survives_a_restart() {
    let mut bench = Bench::default();
    bench.recover();
    let climbs = bench.host.device(&id(0)).unwrap().0.memory().climbs.clone();
    bench.restart();
    assert_eq!((bench.host.device(&id(0)).unwrap().0.memory().climbs.clone(), climbs.len()), (climbs, 1));
}
