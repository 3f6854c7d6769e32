//! A shell that does what a test says: it keeps the journal, and answers questions when it is told to.

use std::time::Duration;

use lifeboat_recovery_policy::event::{Action, Command, Denied, Event, Ticket};
use lifeboat_recovery_policy::host::{Checkpoint, Host};
use lifeboat_recovery_policy::memory::Flight;
use lifeboat_recovery_policy::policy::{HostPolicy, Mode, Policy, Step, StepKind};
use lifeboat_recovery_policy::record::{DeviceId, End, Entry, Left, Outcome, Record};
use lifeboat_recovery_policy::sign::{Method, Sign, SignKind, Witness};
use lifeboat_recovery_policy::stage::{Stage, Wait};
use lifeboat_recovery_policy::survey::{Health, Holder, Holders, Spared, Survey};
use lifeboat_recovery_policy::time::Timestamp;

/// Begin of all tests: long after boot.
const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) struct Bench {
    pub(crate) host: Host,
    pub(crate) host_policy: HostPolicy,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
    pub(crate) boot: Timestamp,
    pub(crate) journal: Vec<Entry>,
    /// Actions that were not taken by the test yet, with their devices.
    pub(crate) wanted: Vec<(DeviceId, Action)>,
    pub(crate) devices: Vec<DeviceId>,
}

pub(crate) fn step(kind: StepKind, tries: u32) -> Step {
    Step { kind, tries, deadline: Duration::from_mins(3), confirm: false, case: String::new(), run: String::new() }
}

pub(crate) fn sick() -> Health {
    Health::Sick("it reads all-ones".into())
}

pub(crate) fn unreadable() -> Health {
    Health::Unreadable("EACCES".into())
}

pub(crate) fn survey(health: Health) -> Survey {
    Survey {
        health,
        kernel_recovers: false,
        unavailable: None,
        protections: Vec::new(),
        domain_in_use: Vec::new(),
        domain_unreadable: None,
        holders: Holders::default(),
    }
}

pub(crate) fn holder(name: &str, spared: Option<Spared>) -> Holder {
    Holder { pid: Some(42), start: 7, name: name.into(), unit: None, places: vec!["fd 7".into()], spared }
}

pub(crate) fn wedged(methods: &[&str]) -> Sign {
    let methods = methods.iter().map(|name| Method::from_name(name)).collect();
    Sign { kind: SignKind::Wedged { methods, task: None }, witness: Witness::KernelEvent }
}

pub(crate) fn id(number: u32) -> DeviceId {
    DeviceId(format!("gpu{number}"))
}

/// Sums the records of a journal up.
pub(crate) fn sum(journal: &[Entry]) -> Checkpoint {
    let mut checkpoint = Checkpoint::default();
    for entry in journal {
        checkpoint.apply(entry);
    }
    checkpoint
}

impl Default for Bench {
    /// A machine that may act, with one device whose ladder is: rebind twice, then a bus reset.
    fn default() -> Self {
        let steps = vec![step(StepKind::Rebind, 2), step(StepKind::BusReset, 1)];
        Self::new(Policy { steps, ..Policy::default() }, HostPolicy { mode: Mode::Act, ..HostPolicy::default() }, 1)
    }
}

impl Bench {
    pub(crate) fn new(policy: Policy, host_policy: HostPolicy, devices: u32) -> Self {
        let boot = Timestamp::from_millis(BEGIN.as_millis() - 86_400_000);
        let host = Host::new(host_policy.clone(), boot, Checkpoint::default());
        let devices = (0..devices).map(id).collect();
        let (journal, wanted) = (Vec::new(), Vec::new());
        let mut bench = Self { host, host_policy, policy, now: BEGIN, boot, journal, wanted, devices };
        bench.add();
        bench
    }

    fn add(&mut self) {
        for device in &self.devices {
            self.host.add(device, self.policy.clone());
        }
        self.host.resume(self.now);
        self.drain();
    }

    /// Carries records out, and keeps all other actions for the test.
    fn drain(&mut self) {
        while let Some(wanted) = self.host.poll_action() {
            match (wanted.action, wanted.device) {
                (Action::Record(record), device) => self.journal.push(Entry { at: self.now, device, record }),
                (action, Some(device)) => self.wanted.push((device, action)),
                (action, None) => panic!("{action:?} is about no device"),
            }
        }
    }

    /// Ends the daemon without a word, and starts it again with the first `entries` entries of its journal.
    pub(crate) fn restart_with(&mut self, entries: usize) {
        self.journal.truncate(entries);
        self.wanted.clear();
        self.host = Host::new(self.host_policy.clone(), self.boot, sum(&self.journal));
        self.add();
    }

    pub(crate) fn restart(&mut self) {
        self.restart_with(self.journal.len());
    }

    pub(crate) fn event_of(&mut self, device: u32, event: Event) -> Result<(), Denied> {
        let answer = self.host.handle(&id(device), event, self.now);
        self.drain();
        answer
    }

    pub(crate) fn event(&mut self, event: Event) {
        assert_eq!(self.event_of(0, event), Ok(()));
    }

    pub(crate) fn sign(&mut self, sign: Sign) {
        self.event(Event::Sign(sign));
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<(), Denied> {
        self.event_of(0, Event::Command { by: "ada".into(), command })
    }

    /// Lets time pass, with a tick at every deadline on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while let Some(deadline) = self.host.next_deadline().filter(|deadline| *deadline <= end) {
            let stage = (self.host.next_deadline(), self.wanted.len(), self.journal.len());
            self.now = self.now.max(deadline);
            self.host.tick(self.now);
            self.drain();
            let after = (self.host.next_deadline(), self.wanted.len(), self.journal.len());
            assert_ne!(stage, after, "a deadline that is over must change something");
        }
        self.now = end;
        self.host.tick(end);
        self.drain();
    }

    /// Waits for as long as `time`, while looks at the device find it sick.
    pub(crate) fn wait_sick(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while self.now < end {
            self.pass(Duration::from_mins(1).min(end.since(self.now)));
            while matches!(self.wanted.first(), Some((_, Action::Verify { .. }))) {
                self.verified(sick());
            }
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage_of(0)
    }

    pub(crate) fn stage_of(&self, device: u32) -> Stage {
        self.host.device(&id(device)).expect("it was added").0.stage()
    }

    pub(crate) fn waits_for(&self) -> Option<Wait> {
        let Stage::Waiting { why, .. } = self.stage() else { return None };
        Some(why)
    }

    /// Takes the next action.
    pub(crate) fn take(&mut self) -> Action {
        assert!(!self.wanted.is_empty(), "nothing is wanted in {:?}", self.stage());
        self.wanted.remove(0).1
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.wanted.is_empty()
    }

    pub(crate) fn save_evidence(&mut self) {
        self.save_evidence_of(0);
    }

    pub(crate) fn save_evidence_of(&mut self, device: u32) {
        let Some((_, Action::SaveEvidence { ticket, .. })) = self.wanted.pop() else { panic!("evidence was to come") };
        self.event_of(device, Event::EvidenceSaved { ticket, missing: None }).unwrap();
    }

    /// Opens an incident by a wedged event, and answers all up to the survey.
    pub(crate) fn open(&mut self) {
        self.sign(wedged(&["rebind", "bus-reset"]));
        self.save_evidence();
    }

    pub(crate) fn survey_ticket(&mut self) -> (Ticket, usize) {
        match self.take() {
            Action::Survey { ticket, step } => (ticket, step),
            other => panic!("a survey was to come, not {other:?}"),
        }
    }

    pub(crate) fn surveyed(&mut self, survey: Survey) {
        let (ticket, _) = self.survey_ticket();
        self.event(Event::Surveyed { ticket, survey });
    }

    /// Answers a survey with a sick device that nobody holds, and takes the step that follows.
    pub(crate) fn step(&mut self) -> Flight {
        self.surveyed(survey(sick()));
        self.flight()
    }

    pub(crate) fn flight(&mut self) -> Flight {
        match self.take() {
            Action::Step(flight) => flight,
            other => panic!("a step was to come, not {other:?}"),
        }
    }

    pub(crate) fn ended(&mut self, flight: Flight, outcome: Outcome) {
        self.event(Event::Ended { flight: flight.number, outcome });
    }

    pub(crate) fn verified(&mut self, health: Health) {
        match self.take() {
            Action::Verify { ticket } => self.event(Event::Verified { ticket, health }),
            other => panic!("a verification was to come, not {other:?}"),
        }
    }

    /// Opens an incident and carries out one step that helps, up to the end.
    pub(crate) fn recover(&mut self) {
        self.open();
        self.help();
    }

    /// Carries out one step that helps, from the survey on.
    pub(crate) fn help(&mut self) {
        let flight = self.step();
        self.ended(flight, Outcome::Succeeded);
        self.verified(Health::Works);
        self.pass(self.policy.verify.alive_for);
        self.verified(Health::Works);
        assert_eq!(self.end(), Some(End::Recovered));
    }

    /// Returns the end of the last incident in the journal.
    pub(crate) fn end(&self) -> Option<End> {
        self.journal.iter().rev().find_map(|entry| match &entry.record {
            Record::Closed(end) => Some(end.clone()),
            _ => None,
        })
    }

    pub(crate) fn left(&self) -> Option<Left> {
        match self.end() {
            Some(End::Left(left)) if matches!(self.stage(), Stage::Left { .. }) => Some(left),
            _ => None,
        }
    }

    pub(crate) fn count(&self, matching: impl Fn(&Record) -> bool) -> usize {
        self.journal.iter().filter(|entry| matching(&entry.record)).count()
    }

    pub(crate) fn flights(&self) -> usize {
        self.count(|record| matches!(record, Record::Intended { .. }))
    }
}
