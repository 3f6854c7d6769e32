//! The machine of a point: a bus, a slot, a card on which the point is armed, and what the bus has told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat::core::recovery::{Budget, Spacing};
use lifeboat::core::vitals::Watch;
use lifeboat::{Bus, Event, Minor, Policy, Subscription, UnplugReport, WaitError};

use super::mode::Mode;
use super::point::{LIMIT, Point};
use super::verdict::Wrongs;
use crate::subject::{Card as _, Slot as _, Subject, World as _};

/// How long a job may take where jobs hang.
const SHORT: Duration = Duration::from_millis(30);
/// How long to wait for accesses that come after everything that is owed: what an interrupt handler does last.
const AFTERMATH: Duration = Duration::from_millis(50);
/// How long the driver's code may take where it does not return, and how long an unplug waits for it.
const STUCK: Duration = Duration::from_millis(200);
/// How closely a device is watched to which something untidy happens: a fault that ends by itself is to be seen by some looks.
const WATCH: Watch = Watch { period: Watch::SHORTEST, stalls: 3 };

/// Recoveries of a device: so many, and so far apart, that a fault that ends by itself ends before them.
const RECOVERIES: u32 = 6;
const SPACING: Spacing = Spacing { first: Duration::from_millis(5), most: Duration::from_millis(20), jitter: 20 };

/// How devices are driven in a mode. What an undisturbed run does depends on nothing else of the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    job_timeout: Duration,
    check_entry: bool,
    watch: Watch,
    driver_limit: Duration,
    drain_limit: Duration,
}

impl Manner {
    pub(super) fn of(mode: Mode) -> Self {
        Self {
            job_timeout: if mode == Mode::Hang || mode.is_dirty() { SHORT } else { LIMIT },
            check_entry: mode != Mode::Unchecked,
            watch: if mode.is_dirty() { WATCH } else { Watch::DEFAULT },
            driver_limit: if mode.keeps_threads() { STUCK } else { LIMIT },
            drain_limit: if mode.keeps_threads() { STUCK } else { LIMIT / 2 },
        }
    }
}

/// A machine with a card in its slot.
pub(super) struct Rig<S: Subject> {
    pub(super) bus: Bus,
    events: Subscription,
    pub(super) slot: Arc<S::Slot>,
    pub(super) card: Arc<S::Card>,
    /// The point was reached.
    pub(super) reached: Arc<AtomicBool>,
    mode: Mode,
}

impl<S: Subject> Rig<S> {
    /// The card is not plugged in yet.
    pub(super) fn new(mode: Mode) -> Result<Self, String> {
        let trouble = |what: &str, error: &dyn fmt::Display| format!("{what}: {error}");
        let card = S::card().map_err(|error| trouble("no card could be made", &error))?;
        let Manner { job_timeout, check_entry, watch, driver_limit, drain_limit } = Manner::of(mode);
        let mut bus = Bus::new(
            S::module(),
            Policy {
                job_timeout,
                extensions: 0,
                guilty_limit: u32::MAX,
                drain_limit,
                check_entry,
                watch,
                driver_limit,
                recovery: Budget { attempts: RECOVERIES, ..Budget::DEFAULT },
                spacing: SPACING,
                ..Policy::default()
            },
        );
        let events = bus.subscribe();
        let slot = S::slot("0000:01:00.0");
        slot.attach(&mut bus).map_err(|error| trouble("no thread could be started", &error))?;
        Ok(Self { bus, events, slot, card, reached: Arc::default(), mode })
    }

    pub(super) fn plug(&self) -> Result<(), String> {
        self.slot.insert(&self.card)
    }

    pub(super) fn event(&self) -> Result<Event, String> {
        loop {
            match self.events.recv_timeout(LIMIT) {
                // Dumps are no subject of this search.
                Ok(Event::Dumped { .. }) => {}
                Ok(event) => return Ok(event),
                Err(_) => return Err("nothing was heard of the bus".to_owned()),
            }
        }
    }

    pub(super) fn device(&self) -> Result<S::Device, String> {
        let minor = loop {
            match self.event()? {
                Event::Added { minor, .. } => break minor,
                Event::ProbeFailed { error, .. } => return Err(format!("the device could not be bound: {error}")),
                _ => {}
            }
        };
        self.bus.device(minor).ok_or_else(|| "the device that was announced is not there".to_owned())
    }

    pub(super) fn world(&self, peer: &S::Peer) -> Result<S::World, String> {
        let world =
            S::world(self.device()?, peer).map_err(|error| format!("the world could not be prepared: {error}"))?;
        // On a busy machine it may be taken for hung where jobs may not take long.
        if world.done().wait(LIMIT) == Err(WaitError::TimedOut) {
            return Err("the first job has never ended".to_owned());
        }
        Ok(world)
    }

    /// Has it happen. Says how many accesses there were before.
    pub(super) fn arm(&self, point: &Point) -> u64 {
        let strikes = point.at.map(|at| S::strikes(point.mode, at)).unwrap_or_default();
        for (number, strike) in strikes.into_iter().enumerate() {
            let reached = self.reached.clone();
            let is_the_point = number == 0;
            let tell = move || reached.store(is_the_point || reached.load(Relaxed), Relaxed);
            self.card.strike(strike, Box::new(tell));
        }
        self.card.accesses()
    }

    /// Holds a point to what it promises: if there have been so many accesses since it was armed, it has happened. To be
    /// asked before the card is pulled in any other way.
    pub(super) fn check_reached(&self, point: &Point, armed: u64, wrongs: &mut Wrongs) {
        let since = self.card.accesses() - armed;
        let Some(at) = point.at.filter(|at| *at <= since) else { return };
        let began = Instant::now();
        // The access is counted a moment before.
        while !self.reached.load(Relaxed) {
            if began.elapsed() > LIMIT {
                wrongs.add(format!("there were {since} accesses, and nothing happened at number {at}"));
                return;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Whether it has happened.
    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Relaxed)
    }

    /// Waits a little for the point.
    pub(super) fn reach(&self) {
        let began = Instant::now();
        while !self.reached.load(Relaxed) && began.elapsed() < AFTERMATH {
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Takes up the next of what the bus tells. `false` if nothing comes within `limit`.
    pub(super) fn hear(&self, limit: Duration, heard: &mut Heard, wrongs: &mut Wrongs) -> bool {
        let Ok(event) = self.events.recv_timeout(limit) else { return false };
        match event {
            Event::Added { minor, .. } => heard.bound = Some(minor),
            Event::Removed { report } => {
                heard.bound = None;
                heard.losses.push(report.loss.to_string());
                if let Err(wrong) = self.judge(&report) {
                    wrongs.add(wrong);
                }
            }
            Event::Wedged { failure, .. } => heard.given_up = Some(format!("wedged: {failure}")),
            Event::LeftAlone { why, .. } => heard.given_up = Some(format!("left alone: {why}")),
            Event::ProbeFailed { error, .. } => heard.given_up = Some(error.to_string()),
            _ => {}
        }
        true
    }

    fn judge(&self, report: &UnplugReport) -> Result<(), String> {
        if self.mode.keeps_threads() { Ok(()) } else { waited_for_all(report) }
    }

    /// Switches the machine off. Says whether the point was reached.
    pub(super) fn end(self, wrongs: &mut Wrongs) -> bool {
        let Self { mut bus, card, reached, mode, .. } = self;
        bus.stop();
        let began = Instant::now();
        // A thread that was left behind counts until it has returned.
        while mode.keeps_threads() && !bus.counts().is_empty() && began.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(1));
        }
        if let Err(holders) = bus.shutdown() {
            wrongs.add(format!("something is left: {holders}"));
        }
        for mistake in card.mistakes() {
            wrongs.add(format!("the card saw: {mistake}"));
        }
        reached.load(Relaxed)
    }

    /// Waits for the end of the binding.
    pub(super) fn removed(&self) -> Result<(), String> {
        match self.event()? {
            Event::Removed { report } => self.judge(&report),
            other => Err(format!("expected the removal, heard {other:?}")),
        }
    }
}

/// Refuses an unplug that went on without somebody, or was caused by code that did not return.
fn waited_for_all(report: &UnplugReport) -> Result<(), String> {
    if let Some(overstay) = &report.overstay {
        return Err(format!("the driver was found not to return: {overstay}"));
    }
    match [&report.holdouts, &report.registers_held, &report.threads_held].into_iter().flatten().next() {
        None => Ok(()),
        Some(held) => Err(format!("the unplug did not wait for everyone: {held}")),
    }
}

/// What the bus has told since a device was bound.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The number of the device that is bound.
    pub(super) bound: Option<Minor>,
    /// Why nothing is bound, or what is bound does not work.
    pub(super) given_up: Option<String>,
    /// Why devices were unbound.
    pub(super) losses: Vec<String>,
}
