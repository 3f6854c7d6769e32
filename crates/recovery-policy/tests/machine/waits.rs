//! Waits for others: the kernel, the boot, the journal, the fleet.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Event};
use lifeboat_recovery_policy::policy::HostPolicy;
use lifeboat_recovery_policy::record::{End, Record};
use lifeboat_recovery_policy::sign::{KernelRecovery, Sign, SignKind, Witness};
use lifeboat_recovery_policy::stage::{Stage, Wait};
use lifeboat_recovery_policy::survey::Health;

use crate::bench::{Bench, sick, survey, wedged};

fn pci(phase: KernelRecovery) -> Sign {
    Sign { kind: SignKind::Pci(phase), witness: Witness::KernelEvent }
}

#[test]
fn agent_12_signs_during_a_recovery_of_the_kernel_start_nothing() {
    let mut bench = Bench::default();
    bench.sign(pci(KernelRecovery::Began));
    bench.sign(wedged(&["rebind"]));
    assert_eq!(bench.waits_for(), Some(Wait::KernelRecovers));
    bench.sign(pci(KernelRecovery::Succeeded));
    bench.verified(Health::Works);
    assert_eq!((bench.end(), bench.flights()), (Some(End::Healed), 0));
}

#[test]
fn case_34_a_recovery_of_the_kernel_that_begins_before_the_step_holds_it_up() {
    let mut bench = Bench::default();
    bench.open();
    let (ticket, _) = bench.survey_ticket();
    bench.sign(pci(KernelRecovery::Began));
    bench.event(Event::Surveyed { ticket, survey: survey(sick()) });
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::KernelRecovers), 0));
    bench.sign(pci(KernelRecovery::Failed));
    bench.help();
}

#[test]
fn a_recovery_of_the_kernel_that_never_ends_is_a_sign() {
    let mut bench = Bench::default();
    bench.sign(pci(KernelRecovery::Began));
    assert_eq!(bench.stage(), Stage::Fine);
    bench.pass(bench.policy.kernel);
    assert_eq!(bench.count(|record| matches!(record, Record::Opened { .. })), 1);
}

#[test]
fn a_recovery_of_the_kernel_that_worked_is_no_incident() {
    let mut bench = Bench::default();
    bench.sign(pci(KernelRecovery::Began));
    bench.sign(pci(KernelRecovery::Succeeded));
    bench.pass(Duration::from_hours(1));
    assert!(bench.journal.is_empty() && bench.is_idle());
}

#[test]
fn case_12_devices_are_given_time_after_boot() {
    let mut bench = Bench::default();
    bench.boot = bench.now;
    bench.restart();
    bench.open();
    assert_eq!(bench.waits_for(), Some(Wait::BootGrace));
    bench.pass(bench.policy.boot_grace);
    bench.surveyed(survey(Health::Works));
    bench.verified(Health::Works);
    assert_eq!((bench.end(), bench.flights()), (Some(End::Healed), 0));
}

#[test]
fn nothing_is_done_that_could_not_be_remembered() {
    let mut bench = Bench::default();
    bench.host.journal(false, bench.now);
    bench.open();
    assert_eq!(bench.waits_for(), Some(Wait::Journal));
    bench.host.journal(true, bench.now);
    bench.pass(Duration::ZERO);
    bench.help();
}

#[test]
fn a_journal_that_fails_during_the_survey_holds_the_step_up() {
    let mut bench = Bench::default();
    bench.open();
    bench.host.journal(false, bench.now);
    bench.surveyed(survey(sick()));
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::Journal), 0));
}

fn fleet() -> Bench {
    let bench = Bench::default();
    let mut bench = Bench::new(bench.policy, HostPolicy { fleet_lock: true, ..bench.host_policy }, 1);
    bench.open();
    bench
}

fn answer(bench: &mut Bench, owned: bool) {
    let Action::Lock { ticket } = bench.take() else { panic!("the lock was to be asked for") };
    bench.event(Event::Locked { ticket, owned });
}

#[test]
fn the_lock_of_the_fleet_is_taken_before_and_given_back_after() {
    let mut bench = fleet();
    answer(&mut bench, true);
    let flight = bench.step();
    bench.ended(flight, lifeboat_recovery_policy::record::Outcome::Succeeded);
    bench.verified(Health::Works);
    bench.pass(bench.policy.verify.alive_for);
    bench.verified(Health::Works);
    assert_eq!(bench.take(), Action::Unlock);
    assert!(bench.is_idle());
}

#[test]
fn a_lock_that_is_refused_is_asked_for_again() {
    let mut bench = fleet();
    answer(&mut bench, false);
    assert_eq!(bench.waits_for(), Some(Wait::FleetLock));
    bench.pass(bench.host_policy.fleet_lock_retry);
    answer(&mut bench, true);
    bench.step();
}

#[test]
fn a_lock_that_nobody_answers_counts_as_refused() {
    let mut bench = fleet();
    bench.take();
    bench.pass(bench.host_policy.fleet_lock_retry);
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::FleetLock), 0));
}

#[test]
fn a_device_that_waits_for_an_operator_does_not_keep_the_lock() {
    let mut bench = fleet();
    answer(&mut bench, true);
    bench.command(lifeboat_recovery_policy::event::Command::Hold).unwrap();
    bench.surveyed(survey(sick()));
    assert_eq!((bench.waits_for(), bench.take()), (Some(Wait::Held), Action::Unlock));
}
