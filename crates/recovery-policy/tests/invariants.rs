//! Properties of the machine under random policies, events and restarts.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Command, Event};
use lifeboat_recovery_policy::host::{Checkpoint, Host};
use lifeboat_recovery_policy::memory::{Flight, Memory};
use lifeboat_recovery_policy::policy::{
    Budget, HolderRules, HostPolicy, Mode, Policy, Step, StepKind, Unknown, VerifyRules,
};
use lifeboat_recovery_policy::record::{DeviceId, Entry, Outcome, Record};
use lifeboat_recovery_policy::sign::{KernelRecovery, Method, Sign, SignKind, Witness};
use lifeboat_recovery_policy::stage::Stage;
use lifeboat_recovery_policy::survey::{Health, Holder, Holders, Protection, Survey};
use lifeboat_recovery_policy::time::Timestamp;
use proptest::prelude::*;

/// Begin of a run, long after boot.
const BEGIN: u64 = 1_700_000_000_000;

/// Move of the world.
#[derive(Debug, Clone)]
enum Move {
    Sign(u8, u8),
    Changed(u8),
    Pass(u32),
    /// Answer the open question with that number, counted from the oldest, in the given way.
    Answer(u8, u8),
    Command(u8, u8),
    Reset,
    Journal(bool),
    /// End the daemon without a word; the last records may not have reached the disk, with the actions after them.
    Kill,
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..3_u8, 0..9_u8).prop_map(|(device, sign)| Move::Sign(device, sign)),
        1 => (0..3_u8).prop_map(Move::Changed),
        4 => (0..1_200_u32).prop_map(Move::Pass),
        16 => (0..4_u8, 0..8_u8).prop_map(|(which, how)| Move::Answer(which, how)),
        1 => (0..3_u8, 0..4_u8).prop_map(|(device, command)| Move::Command(device, command)),
        1 => Just(Move::Reset),
        1 => any::<bool>().prop_map(Move::Journal),
        1 => Just(Move::Kill),
    ]
}

fn policies() -> impl Strategy<Value = Policy> {
    let step = (0..6_usize, 1..3_u32, any::<bool>()).prop_map(|(kind, tries, confirm)| Step {
        kind: StepKind::ALL[kind],
        tries,
        deadline: Duration::from_mins(3),
        confirm: confirm && tries == 1,
        case: String::new(),
        run: String::new(),
    });
    let steps = prop::collection::vec(step, 0..4);
    (steps, 1..4_u32, any::<bool>(), any::<bool>(), any::<bool>(), 0..2_u64).prop_map(
        |(steps, attempts, term, waived, ladder, alive)| Policy {
            steps,
            budget: Budget { attempts, ..Budget::default() },
            holders: HolderRules { term: term.then_some(Duration::from_secs(30)), ..HolderRules::default() },
            waived: if waived { vec![Protection::Console] } else { Vec::new() },
            unknown: if ladder { Unknown::Ladder } else { Unknown::Hold },
            verify: VerifyRules { alive_for: Duration::from_mins(alive), ..VerifyRules::default() },
            ..Policy::default()
        },
    )
}

fn hosts() -> impl Strategy<Value = HostPolicy> {
    (any::<bool>(), 1..4_u32, 0..5_u8).prop_map(|(fleet_lock, breaker_devices, mode)| HostPolicy {
        mode: if mode == 0 { Mode::Observe } else { Mode::Act },
        breaker_devices,
        fleet_lock,
        ..HostPolicy::default()
    })
}

fn sign(number: u8) -> Sign {
    let wedged = |names: &[&str]| SignKind::Wedged {
        methods: names.iter().map(|name| Method::from_name(name)).collect(),
        task: None,
    };
    let kind = match number {
        0 => wedged(&["rebind", "bus-reset"]),
        1 => wedged(&["bus-reset"]),
        2 => wedged(&["vendor-specific"]),
        3 => wedged(&["none"]),
        4 => wedged(&["cold-reset"]),
        5 => SignKind::Pci(KernelRecovery::Began),
        6 => SignKind::Pci(KernelRecovery::Succeeded),
        7 => SignKind::Pci(KernelRecovery::Failed),
        _ => SignKind::AllOnes,
    };
    Sign { kind, witness: Witness::KernelEvent }
}

fn health(how: u8) -> Health {
    match how % 4 {
        0 => Health::Works,
        3 => Health::Unreadable("EIO".into()),
        _ => Health::Sick("it hangs".into()),
    }
}

/// Survey of the world: mostly one that permits the step.
fn survey(how: u8) -> Survey {
    let holder = Holder { pid: Some(9), start: 1, name: "x".into(), unit: None, places: Vec::new(), spared: None };
    Survey {
        health: if how < 4 { Health::Sick("it hangs".into()) } else { health(how) },
        kernel_recovers: false,
        unavailable: (how == 1).then(|| "no slot".into()),
        protections: if how == 2 { vec![Protection::Console] } else { Vec::new() },
        domain_in_use: if how == 5 { vec!["a sibling".into()] } else { Vec::new() },
        domain_unreadable: None,
        holders: Holders { found: if how == 3 { vec![holder] } else { Vec::new() }, ..Holders::default() },
    }
}

/// Sums the records of a journal up.
fn sum(journal: &[Entry]) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    for entry in journal {
        checkpoint.apply(entry);
    }
    checkpoint
}

/// A machine with a daemon that can be ended at any time.
struct World {
    host: Host,
    policies: Vec<Policy>,
    host_policy: HostPolicy,
    now: Timestamp,
    journal: Vec<Entry>,
    questions: Vec<(DeviceId, Action)>,
    /// Steps whose process runs, by device. They outlive the daemon.
    running: BTreeMap<DeviceId, Flight>,
    /// Last survey of each device that was given in answer.
    surveys: BTreeMap<DeviceId, Survey>,
    /// Devices whose last step was not followed by a verification.
    unchecked: BTreeSet<DeviceId>,
    /// Devices that a verification has found sick.
    found_sick: BTreeSet<DeviceId>,
    writable: bool,
}

impl World {
    fn new(policies: Vec<Policy>, host_policy: HostPolicy) -> Self {
        let mut world = Self {
            host: Host::new(host_policy.clone(), Timestamp::from_millis(BEGIN - 86_400_000), Checkpoint::default()),
            policies,
            host_policy,
            now: Timestamp::from_millis(BEGIN),
            journal: Vec::new(),
            questions: Vec::new(),
            running: BTreeMap::new(),
            surveys: BTreeMap::new(),
            unchecked: BTreeSet::new(),
            found_sick: BTreeSet::new(),
            writable: true,
        };
        world.begin();
        world
    }

    fn id(&self, number: u8) -> DeviceId {
        DeviceId(format!("gpu{}", usize::from(number) % self.policies.len()))
    }

    fn policy(&self, id: &DeviceId) -> &Policy {
        &self.policies[id.0[3..].parse::<usize>().unwrap()]
    }

    fn begin(&mut self) {
        for number in 0..u8::try_from(self.policies.len()).unwrap() {
            let id = self.id(number);
            self.host.add(&id, self.policy(&id).clone());
        }
        self.host.resume(self.now);
        self.drain();
    }

    fn kill(&mut self) {
        self.questions.clear();
        self.writable = true;
        self.host = Host::new(self.host_policy.clone(), Timestamp::from_millis(BEGIN - 86_400_000), sum(&self.journal));
        self.begin();
    }

    fn send(&mut self, id: &DeviceId, event: Event) {
        // Commands may be denied.
        let _ = self.host.handle(id, event, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(wanted) = self.host.poll_action() {
            match (wanted.action, wanted.device) {
                (Action::Record(record), device) => self.record(device, record),
                (action, Some(device)) => self.carry_out(device, action),
                (action, None) => panic!("{action:?} is about no device"),
            }
        }
        self.check();
    }

    fn record(&mut self, device: Option<DeviceId>, record: Record) {
        if let (Some(device), Record::Verified(_)) = (&device, &record) {
            self.unchecked.remove(device);
        }
        self.journal.push(Entry { at: self.now, device, record });
    }

    fn carry_out(&mut self, device: DeviceId, action: Action) {
        match action {
            Action::Step(flight) => self.begin_step(&device, flight),
            Action::Tell(_) | Action::End { .. } | Action::Unlock => {}
            Action::Trip(_) => panic!("the host trips the breaker"),
            action => self.questions.push((device, action)),
        }
    }

    fn begin_step(&mut self, device: &DeviceId, flight: Flight) {
        assert_eq!(self.host_policy.mode, Mode::Act, "a step while the daemon observes");
        assert!(self.writable, "a step that cannot be remembered");
        let intended = self.journal.iter().rev().find_map(|entry| match &entry.record {
            Record::Intended { flight, .. } if entry.device.as_ref() == Some(device) => Some(*flight),
            _ => None,
        });
        assert_eq!(intended, Some(flight.number), "a step whose intention is not in the journal");
        assert!(!self.unchecked.contains(device), "a step after another one without a check");
        let before = self.running.insert(device.clone(), flight);
        assert_eq!(before, None, "two writes to one device");
        assert!(self.running.len() == 1 || self.stuck() + 1 >= self.running.len(), "two devices at once");
        let survey = self.surveys.remove(device).expect("a step without a survey of its own");
        let found_sick = self.found_sick.remove(device) && survey.health == Health::Works;
        assert!(
            found_sick || matches!(survey.health, Health::Sick(_)),
            "a step on a device that works, or cannot be read"
        );
        assert!(survey.unavailable.is_none() && survey.domain_in_use.is_empty());
        assert!(survey.holders.found.is_empty(), "a step on a device that is held");
        let waived = &self.policy(device).waived;
        assert!(survey.protections.iter().all(|protection| waived.contains(protection)), "a protected device");
        let device_memory = self.host.device(device).unwrap().0.memory();
        assert_eq!(device_memory.held, None, "a step on a device that is held back");
        assert_eq!(self.host.tripped(), None, "a step behind a tripped breaker");
        let step = &self.policy(device).steps[flight.step];
        assert!(flight.attempt <= step.tries, "more tries than the ladder has");
        self.unchecked.insert(device.clone());
    }

    /// Returns the number of steps that were given up as stuck.
    fn stuck(&self) -> usize {
        let left = |id: &&DeviceId| self.host.device(id).is_some_and(|(device, _)| device.memory().incident.is_none());
        self.running.keys().filter(left).count()
    }

    /// Asserts everything that holds after each event.
    fn check(&self) {
        for (id, device, policy) in self.host.devices() {
            let begins = device.memory().climbs_within(policy.budget.per, self.now);
            assert!(begins <= policy.budget.attempts as usize, "{id:?} has more recoveries than its budget");
            let waits = device.stage() == Stage::Fine || device.next_deadline().is_some();
            let resuming = device.stage() == Stage::Resuming && device.memory().flight.is_some();
            assert!(waits || resuming, "{id:?} has a stage without an end: {:?}", device.stage());
            assert!(device.memory().incident.is_none() || device.memory().left.is_none(), "{id:?} is left and is not");
        }
    }

    fn answer(&mut self, which: u8, how: u8) {
        if let Some((id, flight)) =
            self.running.iter().next().map(|(id, flight)| (id.clone(), *flight)).filter(|_| how < 2)
        {
            self.running.remove(&id);
            let outcome = if how == 0 { Outcome::Succeeded } else { Outcome::Failed("EIO".into()) };
            return self.send(&id, Event::Ended { flight: flight.number, outcome });
        }
        if self.questions.is_empty() {
            return;
        }
        let (id, question) = self.questions.remove(usize::from(which) % self.questions.len());
        let event = match question {
            Action::FindChild(flight) => {
                let runs = self.running.get(&id).is_some_and(|running| running.number == flight.number);
                Event::Child { flight: flight.number, runs }
            }
            Action::SaveEvidence { ticket, .. } => {
                Event::EvidenceSaved { ticket, missing: (how == 1).then(|| "no space".into()) }
            }
            Action::Lock { ticket } => Event::Locked { ticket, owned: how != 1 },
            Action::Survey { ticket, .. } => {
                let survey = survey(how);
                self.surveys.insert(id.clone(), survey.clone());
                Event::Surveyed { ticket, survey }
            }
            Action::Verify { ticket } => {
                let health = health(how);
                if matches!(health, Health::Sick(_)) {
                    self.found_sick.insert(id.clone());
                }
                self.surveys.remove(&id);
                Event::Verified { ticket, health }
            }
            other => panic!("{other:?} is no question"),
        };
        self.send(&id, event);
    }

    fn step(&mut self, next: &Move) {
        match next {
            Move::Sign(device, number) => self.send(&self.id(*device), Event::Sign(sign(*number))),
            Move::Changed(device) => self.send(&self.id(*device), Event::Changed),
            Move::Pass(seconds) => {
                self.now = self.now.plus(Duration::from_secs(u64::from(*seconds)));
                self.host.tick(self.now);
                self.drain();
            }
            Move::Answer(which, how) => self.answer(*which, *how),
            Move::Command(device, command) => {
                let command =
                    [Command::Hold, Command::Release, Command::Clear, Command::Approve][usize::from(*command)];
                if command == Command::Clear
                    && self.host.device(&self.id(*device)).is_some_and(|(device, _)| device.memory().flight.is_none())
                {
                    self.unchecked.remove(&self.id(*device));
                }
                self.send(&self.id(*device), Event::Command { by: "ada".into(), command });
            }
            Move::Reset => {
                let _ = self.host.reset("ada".into(), self.now);
                self.drain();
            }
            Move::Journal(works) => {
                self.writable = *works;
                self.host.journal(*works, self.now);
                self.drain();
            }
            Move::Kill => self.kill(),
        }
    }

    /// Lets the world go on quietly: questions are answered, time passes, operators do their part.
    fn settle(&mut self) {
        self.step(&Move::Journal(true));
        for round in 0..20_000_u32 {
            let busy = |device: &lifeboat_recovery_policy::device::Device| device.memory().incident.is_some();
            let open = self.host.devices().any(|(_, device, _)| busy(device));
            if !open && self.running.is_empty() {
                return;
            }
            let how = u8::try_from(round % 3).unwrap();
            self.answer(0, how);
            if self.questions.is_empty() {
                self.step(&Move::Pass(60));
                for device in 0..3 {
                    self.step(&Move::Command(device, 1));
                    self.step(&Move::Command(device, 3));
                }
                self.step(&Move::Reset);
            }
        }
        let open: Vec<_> =
            self.host.devices().map(|(_, device, _)| (device.stage(), device.memory().clone())).collect();
        panic!("an incident does not end: {open:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_done_that_must_not_be_and_every_incident_ends(
        policies in prop::collection::vec(policies(), 1..4),
        host in hosts(),
        moves in prop::collection::vec(moves(), 1..120),
    ) {
        let mut world = World::new(policies, host);
        for next in &moves {
            world.step(next);
        }
        world.settle();
    }

    /// The memory of a device is the sum of its records: a restart at any time knows what the daemon knew.
    #[test]
    fn agent_7_the_records_are_all_that_is_needed(
        policies in prop::collection::vec(policies(), 1..4),
        host in hosts(),
        moves in prop::collection::vec(moves(), 1..120),
    ) {
        let mut world = World::new(policies, host);
        for next in &moves {
            world.step(next);
            let (mut kept, mut known) = (sum(&world.journal), world.host.checkpoint());
            // A device without records is not in the journal.
            for checkpoint in [&mut kept, &mut known] {
                checkpoint.memories.retain(|_, memory| *memory != Memory::default());
            }
            prop_assert_eq!(kept, known);
        }
    }
}
