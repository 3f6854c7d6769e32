use lifeboat_recovery_policy::policy::{HolderRules, Mode};
use lifeboat_recovery_policy::record::Left;
use lifeboat_recovery_policy::sign::{Method, SignKind, Witness};
use lifeboat_recovery_policy::survey::Holders;

use super::*;
use crate::actor::plan::Operation;

/// Machine on which only rebinding works.
struct Small {
    survey: Survey,
}

fn free() -> Survey {
    Survey {
        // The rehearsal says that the device is sick, whatever the look at it says.
        health: Health::Works,
        kernel_recovers: false,
        unavailable: None,
        protections: Vec::new(),
        domain_in_use: Vec::new(),
        domain_unreadable: None,
        holders: Holders::default(),
    }
}

impl Scene for Small {
    fn survey(&mut self, _: &Step) -> Survey {
        self.survey.clone()
    }

    fn plan(&mut self, step: &Step) -> Result<Plan, String> {
        if step.kind != StepKind::Rebind {
            return Err("no bridge is above the device".into());
        }
        let write = Operation::Write { path: "unbind".into(), text: "x".into(), unless: Vec::new() };
        Ok(Plan {
            step: step.kind,
            device: "0000:03:00.0".parse().unwrap(),
            functions: Vec::new(),
            realm: None,
            operations: vec![write],
            restores: Vec::new(),
            settings: Vec::new(),
            cautions: Vec::new(),
        })
    }
}

fn step(kind: StepKind, tries: u32) -> Step {
    let deadline = Duration::from_mins(3);
    Step { kind, tries, deadline, confirm: false, case: String::new(), run: String::new() }
}

fn policy() -> Policy {
    Policy { steps: vec![step(StepKind::Rebind, 2), step(StepKind::BusReset, 1)], ..Policy::default() }
}

fn play(policy: &Policy, mode: Mode, survey: Survey) -> Vec<Line> {
    let kind = SignKind::Wedged { methods: vec![Method::Rebind], task: None };
    let sign = Sign { kind, witness: Witness::KernelEvent };
    let host = HostPolicy { mode, ..HostPolicy::default() };
    rehearse(policy, &host, &sign, Timestamp::from_millis(1_700_000_000_000), &mut Small { survey })
}

#[test]
fn the_whole_ladder_is_shown_with_its_writes() {
    let lines = play(&policy(), Mode::Act, free());
    let steps: Vec<_> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Step { step, attempt, plan } => Some((*step, *attempt, plan.operations.len())),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [(StepKind::Rebind, 1, 1), (StepKind::Rebind, 2, 1)]);
    assert!(lines.iter().any(|line| matches!(line, Line::Skipped { step: StepKind::BusReset, .. })));
    assert_eq!(lines.last(), Some(&Line::Ends(End::Left(Left::Exhausted))));
    assert_eq!(lines.first(), Some(&Line::Evidence));
}

#[test]
fn a_daemon_that_observes_stops_before_the_first_step() {
    let lines = play(&policy(), Mode::Observe, free());
    assert_eq!(lines.last(), Some(&Line::Ends(End::Left(Left::Observing(StepKind::Rebind)))));
    assert!(!lines.iter().any(|line| matches!(line, Line::Step { .. })));
}

#[test]
fn holders_that_would_be_ended_are_named() {
    let holder =
        Holder { pid: Some(7), start: 1, name: "python3".into(), unit: None, places: Vec::new(), spared: None };
    let holders = Holders { found: vec![holder.clone()], ..Holders::default() };
    let held = Survey { holders, ..free() };
    let rules = HolderRules { term: Some(Duration::from_secs(30)), ..HolderRules::default() };
    let lines = play(&Policy { holders: rules, ..policy() }, Mode::Act, held.clone());
    let told = lines.iter().position(|line| *line == Line::Tell(vec![holder.clone()]));
    let ended = lines.iter().position(|line| *line == Line::End { holders: vec![holder.clone()], force: false });
    let step = lines.iter().position(|line| matches!(line, Line::Step { .. }));
    assert!(told.is_some() && told < ended && ended < step, "{lines:?}");

    let lines = play(&policy(), Mode::Act, held);
    assert!(matches!(lines.last(), Some(Line::Ends(End::Left(Left::HeldBy(_))))), "{lines:?}");
}

#[test]
fn agent_14_state_that_cannot_be_read_is_the_end_and_says_why() {
    let lines = play(&policy(), Mode::Act, Survey { domain_unreadable: Some("EIO".into()), ..free() });
    assert_eq!(lines.last(), Some(&Line::Unreadable { why: "EIO".into() }));
}

#[test]
fn an_approval_is_a_point_to_stop_at_and_the_rehearsal_goes_on() {
    let mut policy = policy();
    policy.steps[0].confirm = true;
    let lines = play(&policy, Mode::Act, free());
    let asks = lines.iter().filter(|line| matches!(line, Line::Waits { why: Wait::Approval, .. })).count();
    assert_eq!(asks, 2);
}

#[test]
fn a_sign_that_does_not_count_is_said_to_be_ignored() {
    let fault = lifeboat_recovery_policy::sign::LogFault { family: "xid".into(), code: "31".into() };
    let sign = Sign { kind: SignKind::Log(fault), witness: Witness::KernelLog };
    let host = HostPolicy { mode: Mode::Act, ..HostPolicy::default() };
    let lines = rehearse(&policy(), &host, &sign, Timestamp::from_millis(1), &mut Small { survey: free() });
    assert_eq!(lines, [Line::Ignored]);
}
