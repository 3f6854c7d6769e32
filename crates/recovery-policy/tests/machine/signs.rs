//! Signs: which begin an incident.

use std::time::Duration;

use lifeboat_recovery_policy::event::Event;
use lifeboat_recovery_policy::policy::{Policy, Signals};
use lifeboat_recovery_policy::record::Record;
use lifeboat_recovery_policy::sign::{LogFault, Sign, SignKind, Witness};
use lifeboat_recovery_policy::stage::Stage;

use crate::bench::{Bench, id, wedged};

fn all_ones() -> Sign {
    Sign { kind: SignKind::AllOnes, witness: Witness::Probe }
}

fn xid(code: &str) -> Sign {
    let fault = LogFault { family: "xid".into(), code: code.into() };
    Sign { kind: SignKind::Log(fault), witness: Witness::KernelLog }
}

fn opened(bench: &Bench) -> usize {
    bench.count(|record| matches!(record, Record::Opened { .. }))
}

#[test]
fn agent_20_one_sighting_is_no_incident_where_the_policy_asks_for_three() {
    let mut bench = Bench::default();
    bench.sign(all_ones());
    bench.sign(all_ones());
    assert_eq!(opened(&bench), 0);
    bench.sign(all_ones());
    assert_eq!(opened(&bench), 1);
}

#[test]
fn sightings_that_lie_far_apart_do_not_add_up() {
    let mut bench = Bench::default();
    for _ in 0..10 {
        bench.sign(all_ones());
        bench.pass(Duration::from_secs(6));
    }
    assert_eq!(opened(&bench), 0);
}

#[test]
fn sightings_of_different_kinds_do_not_add_up() {
    let mut bench = Bench::default();
    let state = SignKind::State { source: "nvme".into(), state: "dead".into() };
    for _ in 0..2 {
        bench.sign(all_ones());
        bench.sign(Sign { kind: state.clone(), witness: Witness::State });
    }
    assert_eq!(opened(&bench), 0);
}

#[test]
fn case_13_a_fault_of_an_application_condemns_no_device() {
    let log = vec![("xid".to_owned(), "79".to_owned())];
    let signals = Signals { log, ..Signals::default() };
    let mut bench = Bench::default();
    bench = Bench::new(Policy { signals, ..bench.policy }, bench.host_policy, 1);
    for code in ["13", "31", "43", "45", "69"] {
        bench.sign(xid(code));
    }
    assert_eq!((opened(&bench), bench.stage()), (0, Stage::Fine));
    bench.sign(xid("79"));
    assert_eq!(opened(&bench), 1);
}

#[test]
fn agent_20_no_line_of_the_log_counts_by_default() {
    let mut bench = Bench::default();
    for code in ["79", "154", "48"] {
        bench.sign(xid(code));
    }
    assert_eq!(opened(&bench), 0);
}

#[test]
fn agent_15_repeated_signs_belong_to_the_open_incident() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["rebind"]));
    for _ in 0..1000 {
        bench.sign(wedged(&["rebind"]));
    }
    assert_eq!((opened(&bench), bench.journal.len()), (1, 1));
    assert_eq!(bench.host.device(&id(0)).unwrap().0.echoes(), 1000);
}

#[test]
fn case_19_a_sign_every_ten_seconds_is_one_incident() {
    let mut bench = Bench::default();
    bench.sign(wedged(&["unknown"]));
    bench.save_evidence();
    assert!(bench.left().is_some());
    let length = bench.journal.len();
    for _ in 0..1000 {
        bench.pass(Duration::from_secs(10));
        bench.wanted.clear();
        bench.sign(wedged(&["unknown"]));
    }
    assert_eq!((opened(&bench), bench.journal.len()), (1, length));
}

#[test]
fn a_change_of_a_device_without_an_incident_is_nothing() {
    let mut bench = Bench::default();
    bench.event(Event::Changed);
    assert!(bench.is_idle() && bench.stage() == Stage::Fine);
}
