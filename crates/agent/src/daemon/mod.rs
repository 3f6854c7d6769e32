//! The daemon that stays: sensors, the machine of the policy, the journal, and the processes that act.
//!
//! One thread polls and decides; it never reads a device and never waits for one. Questions that may not be answered are asked on threads of their
//! own, each with a process behind it. A daemon that is ended at any moment goes on where its journal ends, so there is no orderly end: the
//! default action of a signal is right.
//!
//! | file | concept |
//! |---|---|
//! | `answers` | results of questions, and the descriptor that announces them |
//! | `kept` | records of the journal, and the state that follows |
//! | `members` | devices that a rule is for |
//! | `questions` | what a thread is asked: evidence, survey, plan, verification |
//! | `action` | carries out what the machine wants |
//! | `report` | lines for the operator's log |

mod action;
mod answers;
pub mod kept;
mod members;
mod questions;
mod report;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_recovery_policy::event::Event;
use lifeboat_recovery_policy::host::Host;
use lifeboat_recovery_policy::policy::Mode;
use lifeboat_recovery_policy::record::{DeviceId, Entry, Outcome};
use lifeboat_recovery_policy::time::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::answers::Answers;
use self::kept::{Kept, SCHEMA, Sum};
use self::members::Members;
use self::questions::Answer;
use crate::actor::child::outstanding::{News, Outstanding};
use crate::actor::child::start::Launcher;
use crate::clock::Clock;
use crate::config::Config;
use crate::evidence::{self, Store};
use crate::journal::{self, Journal, Opened};
use crate::sensor::coalesce::Coalescer;
use crate::sensor::injection::InjectionSocket;
use crate::sensor::kernel_log::KernelLog;
use crate::sensor::states::States;
use crate::sensor::uevent::socket::UeventSocket;
use crate::sensor::{Observed, Report, Sensor};
use crate::system::{Root, System};

/// Longest time between two looks at everything, if nothing happens.
const LONGEST: Duration = Duration::from_mins(1);
/// Time between two looks at states that drivers give.
const STATES: Duration = Duration::from_secs(10);
/// Time that a lock on the journal is waited for, and between two tries.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_AGAIN: Duration = Duration::from_millis(20);
/// Pause after an append to the journal that failed.
const JOURNAL_AGAIN: Duration = Duration::from_secs(5);

/// Places that the daemon works in.
#[derive(Debug, Clone)]
pub struct Places {
    /// Root of the system: `/` is this machine.
    pub root: PathBuf,
    /// Folder of journal and evidence, which lasts.
    pub state: PathBuf,
    /// Folder of reports, which lasts as long as the boot.
    pub run: PathBuf,
    /// Socket for the events of programs, if there is to be one.
    pub inject: Option<PathBuf>,
    /// This program.
    pub program: PathBuf,
}

/// Reason for which the daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// Error of the system.
    #[error("{doing}: {source}")]
    System {
        /// Action that was tried.
        doing: String,
        /// Error.
        source: io::Error,
    },
    /// The journal cannot be used: what was done before is not known.
    #[error("the journal cannot be used, so nothing is done: {0}")]
    Journal(#[from] journal::Error),
    /// Evidence cannot be saved.
    #[error("{0}")]
    Evidence(#[from] evidence::Error),
    /// The policy asks for something that this version cannot do.
    #[error("{0}")]
    Policy(String),
}

/// Opens the journal. A process that a killed daemon was just starting holds the lock until it begins its program.
fn open_journal(folder: &Path, hands: &System) -> Result<Opened<Kept>, journal::Error> {
    let begin = Instant::now();
    loop {
        match Journal::open(folder, hands, journal::Options::new(SCHEMA)) {
            Err(journal::Error::InUse { .. }) if begin.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_AGAIN),
            opened => return opened,
        }
    }
}

/// Opens the system with the processes of this machine.
fn hands(root: &Path) -> io::Result<System> {
    Ok(System { proc: Root::open(Path::new("/proc"))?, run: None, ..System::open(root)? })
}

fn doing(text: impl Into<String>) -> impl FnOnce(io::Error) -> Fatal {
    let doing = text.into();
    move |source| Fatal::System { doing, source }
}

/// Daemon.
pub struct Daemon {
    places: Places,
    system: Arc<System>,
    /// The same system, but with the processes of this machine: those of the daemon are always here, whatever system is looked at.
    hands: System,
    clock: Clock,
    config: Config,
    host: Host,
    journal: Journal<Kept>,
    /// Sum of the journal: what the next checkpoint holds.
    sum: Sum,
    /// Time of the next try to write, while the journal takes no records.
    journal_again: Option<Instant>,
    members: Members,
    sensors: Vec<Box<dyn Sensor>>,
    queue: Coalescer,
    outstanding: Outstanding,
    answers: Answers<(DeviceId, Answer)>,
    store: Store,
    /// Lines of the log that are older belong to what the journal already knows.
    heard: Option<Timestamp>,
}

impl Daemon {
    /// Starts the daemon: reads the journal and the bus, and goes on with what an earlier daemon has left.
    ///
    /// # Errors
    /// [`Fatal`].
    pub fn start(places: Places, config: Config) -> Result<Self, Fatal> {
        if config.fleet_lock.is_some() {
            return Err(Fatal::Policy("fleet_lock: this version has no client for it; take the key out".into()));
        }
        let system = System::open(&places.root).map_err(doing(format!("open {}", places.root.display())))?;
        let system = Arc::new(system);
        let hands = hands(&places.root).map_err(doing("open /proc"))?;
        for folder in [&places.state, &places.run] {
            // The folders tell of users' processes.
            let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            created.map_err(doing(format!("create {}", folder.display())))?;
        }
        let opened = open_journal(&places.state.join("journal"), &hands)?;
        let sum = Sum::of(opened.entries.into_iter().map(|numbered| numbered.entry));
        let clock = Clock::start(sum.newest);
        let heard = (sum.boot == opened.journal.start().boot).then_some(sum.newest);
        let host = Host::new(config.host.clone(), clock.boot(), sum.checkpoint.clone());
        let arguments = vec!["act".into()];
        let launcher = Launcher { executable: places.program.clone(), arguments, folder: places.run.clone() };
        let mut daemon = Self {
            store: Store::open(&places.state.join("evidence"), evidence::Limits::default())?,
            places,
            system,
            hands,
            clock,
            config,
            host,
            journal: opened.journal,
            sum,
            journal_again: None,
            members: Members::default(),
            sensors: Vec::new(),
            queue: Coalescer::default(),
            outstanding: Outstanding::new(launcher),
            answers: Answers::new().map_err(doing("create a descriptor"))?,
            heard,
        };
        // Sensors first: what happens while the bus is read is not missed.
        daemon.open_sensors()?;
        daemon.resync()?;
        daemon.host.resume(daemon.clock.now());
        daemon.carry_out();
        report::started(daemon.config.host.mode, daemon.members.len());
        Ok(daemon)
    }

    fn open_sensors(&mut self) -> Result<(), Fatal> {
        // Another system's kernel sends no events here.
        if self.places.root.as_os_str() == "/" {
            self.sensors.push(Box::new(UeventSocket::open().map_err(doing("listen for events of the kernel"))?));
        }
        match KernelLog::open(Arc::clone(&self.system), self.clock.moment()) {
            Ok(log) => self.sensors.push(Box::new(log)),
            Err(error) => report::warning(&format!("the kernel's log cannot be read: {error}")),
        }
        self.sensors.push(Box::new(States::new(Arc::clone(&self.system), STATES)));
        if let Some(path) = &self.places.inject {
            let users = vec![rustix::process::getuid().as_raw()];
            let socket = InjectionSocket::bind(path, users).map_err(doing(format!("bind {}", path.display())))?;
            self.sensors.push(Box::new(socket));
        }
        Ok(())
    }

    /// Reads the bus, and adds devices that were not known.
    fn resync(&mut self) -> Result<(), Fatal> {
        let known: Vec<_> =
            self.sum.before.iter().map(|(device, (subject, _))| (device.clone(), subject.clone())).collect();
        let added =
            self.members.read(&self.system, &self.config.rules, known).map_err(doing("read the list of functions"))?;
        for (device, policy) in added {
            self.host.add(&device, policy);
            self.ask_surroundings(&device);
        }
        Ok(())
    }

    /// Runs until something fails that the daemon cannot go on without.
    ///
    /// # Errors
    /// [`Fatal`].
    pub fn run(mut self) -> Result<(), Fatal> {
        loop {
            self.wait()?;
            self.read_sensors();
            self.hear();
            while let Some((device, answer)) = self.answers.take() {
                self.answered(&device, answer);
            }
            self.collect();
            self.host.tick(self.clock.now());
            // A checkpoint holds everything that the machine has decided, so no record may be left to append after it.
            self.carry_out();
            self.try_journal();
            self.carry_out();
        }
    }

    fn wait(&self) -> Result<(), Fatal> {
        let now = self.clock.moment();
        let sensors = self.sensors.iter().filter_map(|sensor| sensor.next_deadline());
        let sensors = sensors.map(|deadline| deadline.saturating_sub(now.uptime));
        let host = self.host.next_deadline().map(|deadline| deadline.since(now.wall));
        let until = |instant: Instant| instant.saturating_duration_since(Instant::now());
        let others = [self.outstanding.next_deadline().map(until), self.journal_again.map(until), host];
        let limit = sensors.chain(others.into_iter().flatten()).min().unwrap_or(LONGEST).min(LONGEST);
        // The clocks count in milliseconds: a shorter wait would be a busy loop.
        let limit = limit.saturating_add(Duration::from_millis(1));
        let descriptors: Vec<BorrowedFd<'_>> = self.sensors.iter().flat_map(|sensor| sensor.descriptors()).collect();
        let descriptors = descriptors.into_iter().chain(self.outstanding.descriptors()).chain([self.answers.bell()]);
        let mut polled: Vec<PollFd<'_>> = descriptors.map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN)).collect();
        match poll(&mut polled, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(doing("wait for events")(error.into())),
        }
    }

    /// Reads all sensors. One that fails is closed; the daemon goes on with the others.
    fn read_sensors(&mut self) {
        let now = self.clock.moment();
        let mut reports = Vec::new();
        self.sensors.retain_mut(|sensor| match sensor.read(now, &mut reports) {
            Ok(()) => true,
            Err(error) => {
                report::warning(&format!("{} is closed: {error}", sensor.name()));
                false
            }
        });
        for report in reports {
            self.queue.push(report);
        }
    }

    /// Tells the machine what the sensors have reported.
    fn hear(&mut self) {
        for report in self.queue.drain() {
            if report.line.is_some() && self.heard.is_some_and(|heard| report.said <= heard) {
                continue;
            }
            self.heard_one(&report);
        }
    }

    fn heard_one(&mut self, report: &Report) {
        let now = self.clock.now();
        match &report.observed {
            Observed::Sign { address, sign } => {
                let Some(device) = self.members.at(*address).cloned() else { return };
                // Report each sighting, but no more of them than a threshold can ask for.
                let most =
                    self.host.device(&device).map_or(1, |(_, policy)| policy.signals.threshold(sign).times.max(1));
                for _ in 0..report.times.min(most) {
                    self.tell(&device, Event::Sign(sign.clone()), now);
                }
            }
            Observed::Function { address, .. } | Observed::Node { address, .. } => {
                let address = *address;
                self.read_again(now);
                if let Some(device) = self.members.at(address).cloned() {
                    self.tell(&device, Event::Changed, now);
                }
            }
            Observed::Lost { sensor } => {
                report::warning(&format!("{sensor}: events were lost; everything is read again"));
                self.read_again(now);
                let devices: Vec<DeviceId> = self.host.devices().map(|(device, ..)| device.clone()).collect();
                for device in devices {
                    self.tell(&device, Event::Changed, now);
                }
            }
        }
    }

    /// Reads the bus again, for devices that have come. What cannot be read now is read at the next change.
    fn read_again(&mut self, now: Timestamp) {
        if let Err(error) = self.resync() {
            report::warning(&error.to_string());
        }
        self.host.resume(now);
    }

    /// Reports an event that is no command: none is denied.
    fn tell(&mut self, device: &DeviceId, event: Event, now: Timestamp) {
        let _ = self.host.handle(device, event, now);
    }

    /// Collects processes that have ended.
    fn collect(&mut self) {
        for (address, news) in self.outstanding.collect(Instant::now()) {
            let Some(device) = self.members.at(address).cloned() else { continue };
            match news {
                News::Ended { ending, .. } => self.step_ended(&device, ending),
                News::Stuck(ending) => report::stuck(&device, &ending.outcome),
            }
        }
    }

    fn step_ended(&mut self, device: &DeviceId, ending: crate::actor::outcome::Ending) {
        let flight = self.host.device(device).and_then(|(device, _)| device.memory().flight);
        for setting in &ending.unrestored {
            report::unrestored(device, setting);
        }
        if let Some(flight) = flight {
            let event = Event::Ended { flight: flight.number, outcome: ending.outcome };
            self.tell(device, event, self.clock.now());
        }
    }

    /// Ends a flight that nothing was written for.
    fn end_flight(&mut self, device: &DeviceId, flight: u64, outcome: Outcome) {
        self.tell(device, Event::Ended { flight, outcome }, self.clock.now());
    }

    /// Appends a record, and tells the machine if that fails.
    fn keep(&mut self, kept: Kept) -> bool {
        match self.journal.append(&kept) {
            Ok(_) => {
                let boot = self.journal.start().boot.clone();
                self.sum.apply(kept, &boot);
                true
            }
            Err(error) => {
                report::warning(&format!("the journal takes no records, so no step is taken: {error}"));
                self.journal_again = Some(Instant::now() + JOURNAL_AGAIN);
                self.host.journal(false, self.clock.now());
                false
            }
        }
    }

    /// Tries to write again after a failure: a checkpoint holds what could not be appended.
    fn try_journal(&mut self) {
        let due = match self.journal_again {
            Some(again) => again <= Instant::now(),
            None => self.journal.wants_checkpoint(),
        };
        if !due {
            return;
        }
        self.sum.checkpoint = self.host.checkpoint();
        match self.journal.checkpoint(&Kept::Sum(Box::new(self.sum.clone()))) {
            Ok(()) => {
                if self.journal_again.take().is_some() {
                    self.host.journal(true, self.clock.now());
                }
            }
            Err(error) => {
                report::warning(&format!("the journal takes no records: {error}"));
                self.journal_again = Some(Instant::now() + JOURNAL_AGAIN);
                self.host.journal(false, self.clock.now());
            }
        }
    }

    /// Returns whether the daemon may write to the machine.
    fn may_act(&self) -> bool {
        self.config.host.mode == Mode::Act
    }

    /// Returns the entry of a record about now.
    fn entry(&self, device: Option<DeviceId>, record: lifeboat_recovery_policy::record::Record) -> Entry {
        Entry { at: self.clock.now(), device, record }
    }

    /// Returns the children of an earlier daemon.
    fn child_of(&self, device: &DeviceId, flight: u64) -> Option<crate::actor::child::ChildMark> {
        let (number, mark) = self.sum.children.get(device)?;
        (*number == flight).then(|| mark.clone())
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let devices: BTreeMap<_, _> = self.host.devices().map(|(id, device, _)| (id, device.stage())).collect();
        f.debug_struct("Daemon").field("devices", &devices).finish_non_exhaustive()
    }
}
