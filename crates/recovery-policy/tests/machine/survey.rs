//! The survey: everything that speaks against a step.

use std::time::Duration;

use lifeboat_recovery_policy::policy::{HostPolicy, Mode, Policy, StepKind};
use lifeboat_recovery_policy::record::{End, Left, Record};
use lifeboat_recovery_policy::stage::Wait;
use lifeboat_recovery_policy::survey::{Health, Protection, Survey};

use crate::bench::{Bench, sick, survey, unreadable};

#[test]
fn agent_13_a_device_that_works_again_is_not_touched() {
    let mut bench = Bench::default();
    bench.open();
    bench.surveyed(survey(Health::Works));
    bench.verified(Health::Works);
    assert_eq!((bench.end(), bench.flights()), (Some(End::Healed), 0));
}

#[test]
fn a_verification_weighs_more_than_a_survey() {
    let mut bench = Bench::default();
    bench.open();
    bench.surveyed(survey(Health::Works));
    bench.verified(sick());
    bench.surveyed(survey(Health::Works));
    assert_eq!(bench.flight().kind, StepKind::Rebind);
}

#[test]
fn case_5_a_condition_that_has_cleared_cancels_the_step() {
    agent_13_a_device_that_works_again_is_not_touched();
}

#[test]
fn agent_14_state_that_cannot_be_read_means_no_action() {
    let cannot = [survey(unreadable()), Survey { domain_unreadable: Some("EIO".into()), ..survey(sick()) }, {
        let mut survey = survey(sick());
        survey.holders.unreadable = Some("EACCES".into());
        survey
    }];
    for cannot in cannot {
        let mut bench = Bench::default();
        bench.open();
        for _ in 0..7 {
            assert_eq!(bench.left(), None);
            bench.surveyed(cannot.clone());
            bench.pass(Duration::from_secs(10));
        }
        assert!(matches!(bench.left(), Some(Left::Unreadable(_))), "{:?}", bench.stage());
        assert_eq!(bench.flights(), 0);
    }
}

#[test]
fn a_device_that_can_be_read_again_goes_on() {
    let mut bench = Bench::default();
    bench.open();
    for _ in 0..3 {
        bench.surveyed(survey(unreadable()));
        bench.pass(Duration::from_secs(10));
    }
    bench.help();
}

#[test]
fn agent_10_a_protected_device_is_left_alone_unless_it_is_named() {
    for protection in Protection::ALL {
        let mut bench = Bench::default();
        bench.open();
        bench.surveyed(Survey { protections: vec![protection], ..survey(sick()) });
        assert_eq!((bench.left(), bench.flights()), (Some(Left::Protected(vec![protection])), 0));

        let mut bench = Bench::default();
        bench = Bench::new(Policy { waived: vec![protection], ..bench.policy }, bench.host_policy, 1);
        bench.open();
        bench.surveyed(Survey { protections: vec![protection], ..survey(sick()) });
        assert_eq!(bench.flight().kind, StepKind::Rebind);
    }
}

#[test]
fn agent_9_a_step_whose_domain_is_in_use_is_refused() {
    let mut bench = Bench::default();
    bench.open();
    bench.surveyed(Survey { domain_in_use: vec!["0000:03:00.1: snd_hda_intel".into()], ..survey(sick()) });
    assert!(matches!(bench.left(), Some(Left::DomainInUse(_))));
    assert_eq!(bench.flights(), 0);
}

#[test]
fn agent_19_a_step_that_the_machine_cannot_do_is_skipped() {
    let mut bench = Bench::default();
    bench.open();
    bench.surveyed(Survey { unavailable: Some("the slot cannot cut power".into()), ..survey(sick()) });
    assert_eq!(bench.count(|record| matches!(record, Record::Skipped { step: 0, .. })), 1);
    assert_eq!(bench.step().kind, StepKind::BusReset);
}

#[test]
fn a_ladder_of_steps_that_cannot_be_done_ends() {
    let mut bench = Bench::default();
    bench.open();
    for _ in 0..2 {
        bench.surveyed(Survey { unavailable: Some("no".into()), ..survey(sick()) });
    }
    assert_eq!((bench.left(), bench.flights()), (Some(Left::Exhausted), 0));
}

#[test]
fn agent_12_a_recovery_of_the_kernel_is_waited_for() {
    let mut bench = Bench::default();
    bench.open();
    bench.surveyed(Survey { kernel_recovers: true, ..survey(sick()) });
    assert_eq!(bench.waits_for(), Some(Wait::KernelRecovers));
    bench.pass(bench.policy.kernel);
    bench.wanted.retain(|(_, action)| matches!(action, lifeboat_recovery_policy::event::Action::Survey { .. }));
    assert_eq!(bench.step().kind, StepKind::Rebind);
}

#[test]
fn agent_23_nothing_is_written_while_the_daemon_observes() {
    let mut bench = Bench::default();
    assert_eq!(HostPolicy::default().mode, Mode::Observe);
    bench = Bench::new(bench.policy, HostPolicy::default(), 1);
    bench.open();
    bench.surveyed(survey(sick()));
    assert_eq!((bench.left(), bench.flights()), (Some(Left::Observing(StepKind::Rebind)), 0));
    assert!(bench.is_idle());
}
