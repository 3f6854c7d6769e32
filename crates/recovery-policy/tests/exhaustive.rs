//! Every order of events in a small world, with the daemon ended without a word at every transition.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Command, Event};
use lifeboat_recovery_policy::host::{Checkpoint, Host};
use lifeboat_recovery_policy::memory::Flight;
use lifeboat_recovery_policy::policy::{Budget, HostPolicy, Mode, Policy, Step, StepKind, VerifyRules};
use lifeboat_recovery_policy::record::{DeviceId, Entry, Outcome};
use lifeboat_recovery_policy::sign::{Method, Sign, SignKind, Witness};
use lifeboat_recovery_policy::stage::Stage;
use lifeboat_recovery_policy::survey::{Health, Holders, Survey};
use lifeboat_recovery_policy::time::Timestamp;
use stateright::{Checker, Model, Property};

/// Boot and begin of the world: the grace after boot is over.
const BEGIN: Timestamp = Timestamp::from_millis(1_000_000);

/// Small world: devices, and how often each thing may happen to them.
struct Small {
    devices: u32,
    policy: Policy,
    kills: u8,
    jumps: u8,
    signs: u8,
    commands: u8,
}

/// State of the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    host: Host,
    now: Timestamp,
    /// Everything that has reached the disk.
    disk: Checkpoint,
    questions: Vec<(DeviceId, Action)>,
    running: BTreeMap<DeviceId, Flight>,
    /// Steps that were begun, in their order: device, incident, index, try.
    steps: Vec<(DeviceId, u64, usize, u32)>,
    /// Devices that a step has ended on, and nobody has looked at since.
    unchecked: BTreeSet<DeviceId>,
    kills: u8,
    jumps: u8,
    signs: u8,
    commands: u8,
    /// Rule that was broken.
    broken: Option<&'static str>,
}

/// Move of the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Move {
    Sign(u32),
    /// Carry out the next action that the machine wants.
    Next,
    Answer(usize, u8),
    End(DeviceId, bool),
    /// Let time pass up to the next deadline.
    Jump,
    Kill,
    Command(u32, Command),
}

fn id(number: u32) -> DeviceId {
    DeviceId(format!("gpu{number}"))
}

impl Small {
    fn host(&self, disk: Checkpoint, now: Timestamp) -> Host {
        let policy = HostPolicy { mode: Mode::Act, ..HostPolicy::default() };
        let mut host = Host::new(policy, Timestamp::default(), disk);
        for number in 0..self.devices {
            host.add(&id(number), self.policy.clone());
        }
        host.resume(now);
        host
    }

    fn health(how: u8) -> Health {
        match how {
            0 => Health::Works,
            1 => Health::Sick("it hangs".into()),
            _ => Health::Unreadable("EIO".into()),
        }
    }

    fn answer(world: &mut World, device: &DeviceId, question: &Action, how: u8) {
        let event = match *question {
            Action::FindChild(flight) => {
                Event::Child { flight: flight.number, runs: world.running.contains_key(device) }
            }
            Action::SaveEvidence { ticket, .. } => Event::EvidenceSaved { ticket, missing: None },
            Action::Survey { ticket, .. } => {
                let survey = Survey {
                    health: Self::health(how),
                    kernel_recovers: false,
                    unavailable: None,
                    protections: Vec::new(),
                    domain_in_use: Vec::new(),
                    domain_unreadable: None,
                    holders: Holders::default(),
                };
                Event::Surveyed { ticket, survey }
            }
            Action::Verify { ticket } => {
                if how < 2 {
                    world.unchecked.remove(device);
                }
                Event::Verified { ticket, health: Self::health(how) }
            }
            ref other => unreachable!("{other:?} is no question"),
        };
        let _ = world.host.handle(device, event, world.now);
    }

    fn carry_out(world: &mut World) {
        let Some(wanted) = world.host.poll_action() else { return };
        match (wanted.action, wanted.device) {
            (Action::Record(record), device) => world.disk.apply(&Entry { at: world.now, device, record }),
            (Action::Step(flight), Some(device)) => {
                let memory = &world.disk.memories[&device];
                let incident = memory.incident.as_ref().map_or(0, |incident| incident.number);
                if memory.flight.is_none_or(|kept| kept.number != flight.number) {
                    world.broken = Some("a step whose intention is not on the disk");
                }
                if world.unchecked.contains(&device) {
                    world.broken = Some("a step after another one without a check");
                }
                let step = (device.clone(), incident, flight.step, flight.attempt);
                if world.steps.contains(&step) {
                    world.broken = Some("a step was done twice");
                }
                world.steps.push(step);
                if world.running.insert(device, flight).is_some() {
                    world.broken = Some("two writes to one device");
                }
            }
            (action, Some(device)) => {
                // A late answer to an older question changes nothing (tests/machine). Here it would only add states.
                world.questions.retain(|(other, _)| *other != device);
                world.questions.push((device, action));
            }
            (action, None) => unreachable!("{action:?} is about no device"),
        }
    }
}

impl Model for Small {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let (kills, jumps, signs, commands) = (self.kills, self.jumps, self.signs, self.commands);
        vec![World {
            host: self.host(Checkpoint::default(), BEGIN),
            now: BEGIN,
            disk: Checkpoint::default(),
            questions: Vec::new(),
            running: BTreeMap::new(),
            steps: Vec::new(),
            unchecked: BTreeSet::new(),
            kills,
            jumps,
            signs,
            commands,
            broken: None,
        }]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.host.clone().poll_action().is_some() {
            // Between two actions nothing happens but an end of the daemon.
            moves.push(Move::Next);
        } else {
            for number in 0..self.devices {
                if world.signs > 0 {
                    moves.push(Move::Sign(number));
                }
                if world.commands > 0 {
                    moves.extend(
                        [Command::Hold, Command::Release, Command::Clear].map(|command| Move::Command(number, command)),
                    );
                }
            }
            for (index, (_, question)) in world.questions.iter().enumerate() {
                let ways = if matches!(question, Action::Survey { .. } | Action::Verify { .. }) { 3 } else { 1 };
                moves.extend((0..ways).map(|how| Move::Answer(index, how)));
            }
            if world.jumps > 0 && world.host.next_deadline().is_some() {
                moves.push(Move::Jump);
            }
        }
        for device in world.running.keys() {
            moves.extend([true, false].map(|worked| Move::End(device.clone(), worked)));
        }
        if world.kills > 0 {
            moves.push(Move::Kill);
        }
    }

    fn next_state(&self, world: &World, next: Move) -> Option<World> {
        let mut world = world.clone();
        match next {
            Move::Sign(number) => {
                world.signs -= 1;
                let kind = SignKind::Wedged { methods: vec![Method::Rebind], task: None };
                let sign = Sign { kind, witness: Witness::KernelEvent };
                let _ = world.host.handle(&id(number), Event::Sign(sign), world.now);
            }
            Move::Next => Self::carry_out(&mut world),
            Move::Answer(index, how) => {
                let (device, question) = world.questions.remove(index);
                Self::answer(&mut world, &device, &question, how);
            }
            Move::End(device, worked) => {
                let flight = world.running.remove(&device)?;
                world.unchecked.insert(device.clone());
                let outcome = if worked { Outcome::Succeeded } else { Outcome::Failed("EIO".into()) };
                // A step that ends while the daemon has not found it yet is not heard of.
                let _ = world.host.handle(&device, Event::Ended { flight: flight.number, outcome }, world.now);
            }
            Move::Jump => {
                world.jumps -= 1;
                world.now = world.now.max(world.host.next_deadline()?);
                world.host.tick(world.now);
            }
            Move::Kill => {
                world.kills -= 1;
                world.questions.clear();
                world.host = self.host(world.disk.clone(), world.now);
            }
            Move::Command(number, command) => {
                world.commands -= 1;
                if world.host.command(&id(number), "ada".into(), command, world.now).is_ok()
                    && command == Command::Clear
                {
                    world.unchecked.remove(&id(number));
                }
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no rule is broken", |_, world: &World| world.broken.is_none()),
            Property::always("one device at a time", |_, world: &World| {
                let acts =
                    |stage| matches!(stage, Stage::Locking { .. } | Stage::Surveying { .. } | Stage::Stepping { .. });
                world.host.devices().filter(|(_, device, _)| acts(device.stage())).count() <= 1
            }),
            Property::always("no more recoveries than the budget", |model: &Self, world: &World| {
                let attempts = model.policy.budget.attempts as usize;
                world.host.devices().all(|(_, device, _)| device.memory().climbs.len() <= attempts)
            }),
            Property::always("every stage ends by itself or by an answer", |_, world: &World| {
                world.host.devices().all(|(_, device, _)| {
                    device.memory().incident.is_none()
                        || device.next_deadline().is_some()
                        || device.memory().flight.is_some()
                })
            }),
            Property::sometimes("a device is recovered", |_, world: &World| {
                !world.steps.is_empty()
                    && world.host.devices().all(|(_, device, _)| {
                        device.memory().incident.is_none()
                            && device.memory().left.is_none()
                            && device.memory().incidents > 0
                    })
            }),
            Property::sometimes("a step is stuck across a restart", |_, world: &World| {
                world.kills == 0 && world.host.tripped().is_some() && !world.running.is_empty()
            }),
        ]
    }
}

fn policy(steps: &[(StepKind, u32)]) -> Policy {
    let step = |(kind, tries): &(StepKind, u32)| Step {
        kind: *kind,
        tries: *tries,
        deadline: Duration::from_mins(3),
        confirm: false,
        case: String::new(),
        run: String::new(),
    };
    Policy {
        steps: steps.iter().map(step).collect(),
        boot_grace: Duration::ZERO,
        budget: Budget { attempts: 2, backoff: Vec::new(), ..Budget::default() },
        verify: VerifyRules { alive_for: Duration::from_mins(1), ..VerifyRules::default() },
        ..Policy::default()
    }
}

fn explore(model: Small) {
    let checker = model.checker().threads(2).spawn_bfs().join();
    eprintln!("{} states, {} of them unique", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn agent_7_one_device_with_an_end_of_the_daemon_anywhere() {
    let steps = policy(&[(StepKind::Rebind, 2), (StepKind::BusReset, 1)]);
    explore(Small { devices: 1, policy: steps, kills: 2, jumps: 2, signs: 2, commands: 0 });
}

#[test]
fn agent_21_one_device_with_commands_of_operators() {
    explore(Small { devices: 1, policy: policy(&[(StepKind::Rebind, 1)]), kills: 1, jumps: 2, signs: 1, commands: 2 });
}

#[test]
fn two_devices_take_turns() {
    explore(Small { devices: 2, policy: policy(&[(StepKind::Rebind, 1)]), kills: 1, jumps: 1, signs: 2, commands: 0 });
}
