//! Holders: told first, then ended as far as the policy permits.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Event};
use lifeboat_recovery_policy::policy::{HolderRules, Policy};
use lifeboat_recovery_policy::record::Left;
use lifeboat_recovery_policy::stage::Wait;
use lifeboat_recovery_policy::survey::{Holders, Spared, Survey};

use crate::bench::{Bench, holder, sick, survey};

fn held(spared: Option<Spared>) -> Survey {
    let holders = Holders { found: vec![holder("python3", spared)], ..Holders::default() };
    Survey { holders, ..survey(sick()) }
}

fn bench(rules: HolderRules) -> Bench {
    let bench = Bench::default();
    let mut bench = Bench::new(Policy { holders: rules, ..bench.policy }, bench.host_policy, 1);
    bench.open();
    bench
}

fn ends(force: bool) -> impl Fn(&Action) -> bool {
    move |action| matches!(action, Action::End { force: forced, .. } if *forced == force)
}

#[test]
fn agent_2_holders_are_told_and_waited_for_and_not_ended_unless_the_policy_says_so() {
    let mut bench = bench(HolderRules::default());
    bench.surveyed(held(None));
    assert!(matches!(bench.take(), Action::Tell(holders) if holders.len() == 1));
    assert_eq!(bench.waits_for(), Some(Wait::Holders));
    bench.pass(Duration::from_mins(1));
    bench.surveyed(held(None));
    assert!(matches!(bench.left(), Some(Left::HeldBy(_))));
    assert_eq!(bench.flights(), 0);
}

#[test]
fn agent_18_politely_first_then_by_force() {
    let time = Some(Duration::from_secs(30));
    let mut bench = bench(HolderRules { term: time, kill: time, ..HolderRules::default() });
    bench.surveyed(held(None));
    bench.take();
    bench.pass(Duration::from_mins(1));
    for force in [false, true] {
        bench.surveyed(held(None));
        assert!(ends(force)(&bench.take()), "force: {force}");
        bench.pass(Duration::from_secs(30));
    }
    bench.surveyed(held(None));
    assert!(matches!(bench.left(), Some(Left::HeldBy(_))));
}

#[test]
fn case_25_a_holder_is_not_killed_unless_the_policy_says_so() {
    let mut bench = bench(HolderRules { term: Some(Duration::from_secs(30)), ..HolderRules::default() });
    bench.surveyed(held(None));
    bench.take();
    bench.pass(Duration::from_mins(1));
    bench.surveyed(held(None));
    assert!(ends(false)(&bench.take()));
    bench.pass(Duration::from_secs(30));
    bench.surveyed(held(None));
    assert!(bench.is_idle() && bench.left().is_some());
}

#[test]
fn agent_18_a_holder_that_must_be_spared_spares_the_device() {
    for spared in [Spared::Essential, Spared::Policy, Spared::Kernel, Spared::Vfio] {
        let time = Some(Duration::from_secs(30));
        let mut bench = bench(HolderRules { term: time, kill: time, ..HolderRules::default() });
        bench.surveyed(held(Some(spared)));
        bench.take();
        bench.pass(Duration::from_mins(1));
        bench.surveyed(held(Some(spared)));
        assert!(bench.is_idle() && matches!(bench.left(), Some(Left::HeldBy(_))), "{spared:?}");
    }
}

#[test]
fn agent_2_holders_are_listed_again_right_before_the_step() {
    let mut bench = bench(HolderRules::default());
    bench.surveyed(held(None));
    bench.take();
    bench.event(Event::HoldersLeft);
    // Somebody restarted the holder at once.
    bench.surveyed(held(None));
    assert_eq!((bench.waits_for(), bench.flights()), (Some(Wait::Holders), 0));
    bench.event(Event::HoldersLeft);
    bench.step();
}

#[test]
fn holders_are_told_only_if_the_policy_says_so() {
    let mut bench = bench(HolderRules { notify: false, ..HolderRules::default() });
    bench.surveyed(held(None));
    assert!(bench.is_idle());
    assert_eq!(bench.waits_for(), Some(Wait::Holders));
}

#[test]
fn case_4_a_device_that_works_again_while_its_holders_leave_is_not_reset() {
    let mut bench = bench(HolderRules::default());
    bench.surveyed(held(None));
    bench.take();
    bench.event(Event::HoldersLeft);
    bench.surveyed(survey(lifeboat_recovery_policy::survey::Health::Works));
    bench.verified(lifeboat_recovery_policy::survey::Health::Works);
    assert_eq!(bench.flights(), 0);
}
