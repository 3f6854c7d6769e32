//! The computer of a run: a bus with one slot, the cards that were in it, and who wants to know whether there is a GPU.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lifeboat::core::recovery::Budget;
use lifeboat::core::vitals;
use lifeboat::core::wedge::{self, Failure};
use lifeboat::{Bus, Counts, Event, Kind, Policy, Uevents, UnplugReport, WeakBus};
use lifeboat_gpu::{Card, Config, Counters, RingSpan, Slot};
use lifeboat_lb1_hosted::Device;
use parking_lot::{Condvar, Mutex};

use super::dumps::DumpDirectory;
use crate::args::RunArgs;
use crate::run::destination::DestinationError;
use crate::run::progress::{DeviceState, Progress};
use crate::run::report::{BindFailure, Incidents, LeftAlone, Spread, Wedging};
use crate::uevents;

use crate::run::timeline::{MarkKind, Outcome, Timeline, Track};

/// How long an unplug waits for open sections. None of ours lasts more than a millisecond.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// A wait looks around this often, whatever else wakes it.
const LOOK_AROUND: Duration = Duration::from_millis(200);

/// A machine with a GPU in it, sometimes.
pub(super) struct Machine {
    bus: Bus,
    pub(super) slot: Arc<Slot>,
    watch: Arc<Watch>,
    watcher: JoinHandle<()>,
    /// Sends events to who wants them.
    forwarder: Option<JoinHandle<u64>>,
    cards: Mutex<Vec<Arc<Card>>>,
    config: Config,
    timeline: Arc<Timeline>,
}

/// A card in the slot.
pub(super) struct Plugged {
    pub(super) card: Arc<Card>,
    /// 1 is the first.
    pub(super) number: u32,
}

impl Plugged {
    /// For what is kept by the card itself.
    pub(super) fn weak(&self) -> Weak<Card> {
        Arc::downgrade(&self.card)
    }
}

/// Who else wants to know what happens to the device.
pub(super) struct Listeners {
    pub(super) dumps: Option<DumpDirectory>,
    pub(super) uevents: Option<Uevents>,
}

/// What is known about the device.
pub(super) struct Watch {
    began: Instant,
    devices: WeakBus,
    state: Mutex<Outages>,
    changed: Condvar,
    progress: Progress,
    timeline: Arc<Timeline>,
    /// Where dumps go, if the user wants them.
    dumps: Option<DumpDirectory>,
}

#[derive(Default)]
struct Outages {
    present_since: Option<Instant>,
    gone_since: Option<Instant>,
    outage: Duration,
    /// Devices that have appeared.
    added: u64,
    unplugs: Vec<Arc<UnplugReport>>,
    incidents: Incidents,
    /// How many of them were before the end of the work: the switching off is not one.
    during_run: Option<usize>,
}

/// What is left when the machine is switched off.
pub(super) struct Remains {
    pub(super) leaks: BTreeMap<String, u64>,
    pub(super) handles_open: u64,
    pub(super) violations: Vec<String>,
    pub(super) unplugs: u64,
    pub(super) replugs: u64,
    /// What the busiest cards counted.
    pub(super) most: Counters,
    pub(super) incidents: Incidents,
    pub(super) unplug_us: Spread,
    /// Files.
    pub(super) dumps: Result<Vec<PathBuf>, DestinationError>,
    /// Events that did not arrive where the user wanted them.
    pub(super) events_lost: Option<u64>,
}

impl Machine {
    /// A machine with an empty slot.
    pub(super) fn new(
        config: Config,
        args: &RunArgs,
        timeline: Arc<Timeline>,
        progress: Progress,
        listeners: Listeners,
    ) -> io::Result<Self> {
        let slot = Slot::new("0000:01:00.0");
        let (job_timeout, period, attempts) = (args.timeout.unwrap_or(RunArgs::TIMEOUT), args.watch, args.recoveries);
        let mut bus = Bus::new(
            lifeboat_lb1_hosted::module(),
            Policy {
                job_timeout,
                drain_limit: DRAIN_LIMIT,
                watch: vitals::Watch { period, ..vitals::Watch::DEFAULT },
                recovery: Budget { attempts, ..Budget::DEFAULT },
                ..Policy::default()
            },
        );
        let watch = Arc::new(Watch {
            began: Instant::now(),
            devices: bus.weak(),
            state: Mutex::default(),
            changed: Condvar::new(),
            progress,
            timeline: timeline.clone(),
            dumps: listeners.dumps,
        });
        let forwarder = listeners.uevents.map(|uevents| uevents::forward(&bus, uevents)).transpose()?;
        let receiver = bus.subscribe();
        let watcher = {
            let watch = watch.clone();
            std::thread::Builder::new().name("watch".into()).spawn(move || watch.run(&receiver))?
        };
        bus.attach(&slot)?;
        Ok(Self { bus, slot, watch, watcher, forwarder, cards: Mutex::default(), config, timeline })
    }

    /// Plugs a new card into the slot, after pulling out what may be there. `arm` gets it before the driver does.
    pub(super) fn plug(&self, arm: impl FnOnce(&Plugged)) -> io::Result<Plugged> {
        let card = Card::new(self.config)?;
        if self.timeline.is_on() {
            let timeline = self.timeline.clone();
            card.set_recorder(Some(Arc::new(move |span| record(&timeline, &span))));
        }
        self.slot.remove();
        let mut cards = self.cards.lock();
        let number = u32::try_from(cards.len()).unwrap_or(u32::MAX).saturating_add(1);
        let plugged = Plugged { card: card.clone(), number };
        // After the removal of the one before: a fault of that one cannot happen any more.
        arm(&plugged);
        if !cards.is_empty() {
            self.timeline.mark("replug", Instant::now(), MarkKind::Replug);
        }
        cards.push(card.clone());
        // The slot's card, if any, was removed above, and nobody else plugs.
        self.slot.insert(card).map_err(io::Error::other)?;
        Ok(plugged)
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Switches the machine off: unbinds the device, unloads the driver, and says what is left.
    pub(super) fn switch_off(self) -> Remains {
        let Self { bus, slot, watch, watcher, forwarder, cards, .. } = self;
        let counts = bus.shutdown().map_or_else(|holders| holders.counts, |()| Counts::new());
        // The bus is gone, so its subscribers' channel has ended, and the watcher with it.
        let _ = watcher.join();
        let events_lost = forwarder.map(|forwarder| forwarder.join().unwrap_or(u64::MAX));
        slot.remove();
        let cards = cards.into_inner();
        let dumps = watch.dumps.as_ref().map_or_else(|| Ok(Vec::new()), DumpDirectory::conclude);
        let state = watch.state.lock();
        let during = &state.unplugs[..state.during_run.unwrap_or(state.unplugs.len())];
        let violations = cards.iter().flat_map(|card| card.witness().violations());
        Remains {
            handles_open: counts.get(&Kind::HANDLE).copied().unwrap_or(0) as u64,
            leaks: counts.iter().map(|(kind, count)| (kind.to_string(), *count as u64)).collect(),
            violations: violations.map(|violation| violation.to_string()).collect(),
            unplugs: during.len() as u64,
            replugs: state.added.saturating_sub(1),
            most: most(cards.iter().map(|card| card.counters())),
            incidents: state.incidents.clone(),
            unplug_us: Spread::of(during.iter().map(|report| report.took())),
            dumps,
            events_lost,
        }
    }
}

impl Watch {
    /// Waits for a device, until `over` says that there is no sense in it or `limit` has passed.
    pub(super) fn device(&self, limit: Duration, over: impl Fn() -> bool) -> Option<Device> {
        let deadline = Instant::now() + limit;
        let mut state = self.state.lock();
        loop {
            // Under the lock that its announcement takes, so that it cannot be missed.
            // One that is wedged can be opened, and does no work.
            if let Some(device) = self.devices.devices().into_iter().rfind(Device::is_live) {
                return Some(device);
            }
            if over() || Instant::now() >= deadline {
                return None;
            }
            self.changed.wait_for(&mut state, LOOK_AROUND);
        }
    }

    /// The end of the work: what happens to the device from now on is not part of the run. Says how long there was no
    /// device.
    pub(super) fn conclude(&self) -> Duration {
        let mut state = self.state.lock();
        state.during_run = Some(state.unplugs.len());
        if let Some(since) = state.present_since.take() {
            self.timeline.span(Track::Device, "present", since, Instant::now(), Outcome::Present);
        }
        state.outage + state.gone_since.take().map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn run(&self, events: &Receiver<Event>) {
        for event in events {
            match event {
                Event::Added { .. } => {
                    let mut state = self.state.lock();
                    state.added += u64::from(state.during_run.is_none());
                    state.present_since = Some(Instant::now());
                    state.incidents.wedged.iter_mut().for_each(|wedging| wedging.over = true);
                    if let Some(since) = state.gone_since.take() {
                        state.outage += since.elapsed();
                    }
                    drop(state);
                    self.progress.device(DeviceState::Running);
                }
                Event::Removed { report } => {
                    self.removed(report, DeviceState::Gone);
                }
                // For those who work a wedged device is gone.
                Event::Wedged { report, failure, event, .. } => self.wedged(report, failure, &event),
                // What is in the slot now does not work; clients go on waiting, and give up in the end.
                Event::ProbeFailed { error, .. } => {
                    let mut state = self.state.lock();
                    if state.during_run.is_none() {
                        let failure = BindFailure { at_seconds: self.seconds(), why: error.to_string() };
                        state.incidents.bind_failures.push(failure);
                    }
                }
                Event::LeftAlone { why, helps, .. } => {
                    let mut state = self.state.lock();
                    if state.during_run.is_none() {
                        let (why, helps) = (why.to_string(), helps.iter().map(ToString::to_string).collect());
                        let left_alone = LeftAlone { at_seconds: self.seconds(), why, helps };
                        state.incidents.left_alone.push(left_alone);
                    }
                }
                Event::Dumped { dump, .. } => {
                    if let Some(dumps) = &self.dumps {
                        dumps.save(&dump);
                    }
                }
                // Nothing that this command has to know.
                _ => {}
            }
            self.changed.notify_all();
        }
    }

    /// Seconds since the start.
    fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn wedged(&self, report: Arc<UnplugReport>, failure: Failure, event: &wedge::WedgeEvent) {
        if self.removed(report, DeviceState::Wedged) {
            let wedging = self.wedging(failure, event);
            self.state.lock().incidents.wedged.push(wedging);
        }
    }

    fn wedging(&self, failure: Failure, event: &wedge::WedgeEvent) -> Wedging {
        let methods = event.variables().find_map(|variable| variable.strip_prefix("WEDGED="));
        let helps = methods.into_iter().flat_map(|methods| methods.split(','));
        Wedging {
            at_seconds: self.seconds(),
            failure: failure.to_string(),
            helps: helps.filter(|method| *method != "unknown").map(str::to_owned).collect(),
            over: false,
        }
    }

    /// `false` if this is not part of the run, or known.
    fn removed(&self, report: Arc<UnplugReport>, now: DeviceState) -> bool {
        let began = report.steps.first().map_or_else(Instant::now, |step| step.began);
        let mut state = self.state.lock();
        // What was wedged is gone already for those who work.
        let known = state.unplugs.last().is_some_and(|last| last.minor == report.minor);
        if known || state.during_run.is_some() {
            return false;
        }
        if let Some(since) = state.present_since.take() {
            self.timeline.span(Track::Device, "present", since, began, Outcome::Present);
        }
        self.timeline.mark(report.loss.to_string(), began, MarkKind::Unplug);
        for step in &report.steps {
            self.timeline.span(Track::Unplug, step.name, step.began, step.began + step.took, Outcome::Step);
        }
        state.gone_since = Some(began);
        *state.incidents.losses.entry(report.loss.to_string()).or_default() += 1;
        state.unplugs.push(report);
        drop(state);
        self.progress.device(now);
        true
    }
}

/// The largest number of each kind.
fn most(counters: impl Iterator<Item = Counters>) -> Counters {
    counters.fold(Counters::default(), |most, one| Counters {
        accesses: most.accesses.max(one.accesses),
        jobs: most.jobs.max(one.jobs),
        resets: most.resets.max(one.resets),
        ..most
    })
}

/// One descriptor on a ring.
fn record(timeline: &Timeline, span: &RingSpan) {
    const NAMES: [&str; 8] = ["nop", "fill", "copy", "convolve", "matmul", "write-seqno", "wait-seqno", "hang"];
    let name = NAMES.get(usize::from(span.opcode)).copied().unwrap_or("unknown");
    timeline.span(Track::Ring(span.ring), name, span.start, span.end, Outcome::Done);
}
