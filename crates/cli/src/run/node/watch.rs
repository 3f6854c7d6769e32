//! Watches over the device of a run: says when it is lost, looks for it until it is back, and lets clients wait for it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::error::NodeError;
use super::opened::OpenedNode;
use super::place::{Found, Place};
use crate::run::devices::{Devices, Refused};
use crate::run::progress::Progress;
use crate::run::timeline::{MarkKind, Outcome, Timeline, Track};

/// A wait looks around this often, whatever else wakes it.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How often to look for a device that is away. Returning takes the kernel some tenths of a second.
const SEARCH_EVERY: Duration = Duration::from_millis(20);

/// See the module documentation.
pub(super) struct Watch<'a> {
    place: &'a Place,
    job_limit_ms: u32,
    /// How long clients wait; for the user's eyes.
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
    progress: &'a Progress,
    timeline: &'a Timeline,
}

struct State {
    /// The device, until it is known to be lost.
    present: Option<Arc<Found>>,
    since: Instant,
    /// Why the device that is in its place cannot be used, as found last.
    hindrance: Option<NodeError>,
    given_up: bool,
    over: bool,
    outages: Outages,
}

/// When there was no device.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outages {
    pub(super) losses: u64,
    pub(super) returns: u64,
    /// In all.
    pub(super) lasted: Duration,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        place: &'a Place,
        found: Found,
        job_limit_ms: u32,
        patience: Duration,
        progress: &'a Progress,
        timeline: &'a Timeline,
    ) -> Self {
        let state = State {
            present: Some(Arc::new(found)),
            since: Instant::now(),
            hindrance: None,
            given_up: false,
            over: false,
            outages: Outages::default(),
        };
        Self { place, job_limit_ms, patience, state: Mutex::new(state), changed: Condvar::new(), progress, timeline }
    }

    /// Watches until the end of the work; calls `look` now and then.
    pub(super) fn run(&self, look: impl Fn()) {
        loop {
            look();
            let mut state = self.state.lock();
            if state.over {
                return;
            }
            let Some(present) = state.present.clone() else {
                drop(state);
                match self.place.find() {
                    Ok(found) => self.returned(found),
                    Err(error) => {
                        state = self.state.lock();
                        state.hindrance = Some(error);
                        self.changed.wait_for(&mut state, SEARCH_EVERY);
                    }
                }
                continue;
            };
            drop(state);
            if present.is_lost_within(LOOK_AROUND) {
                drop(present);
                self.lost();
            }
        }
    }

    /// Lets [`run`](Self::run) return: what happens to the device from now on is not part of the run.
    pub(super) fn end(&self) {
        self.state.lock().over = true;
        self.changed.notify_all();
    }

    /// The end of the work. Says when there was no device.
    pub(super) fn conclude(&self) -> Outages {
        self.end();
        let state = self.state.lock();
        if state.present.is_some() {
            self.timeline.span(Track::Device, "present", state.since, Instant::now(), Outcome::Present);
            state.outages
        } else {
            Outages { lasted: state.outages.lasted + state.since.elapsed(), ..state.outages }
        }
    }

    fn lost(&self) {
        let mut state = self.state.lock();
        // The file is closed with it: nothing of the lost device stays in use.
        state.present = None;
        let now = Instant::now();
        self.timeline.span(Track::Device, "present", state.since, now, Outcome::Present);
        self.timeline.mark("lost", now, MarkKind::Unplug);
        state.since = now;
        state.outages.losses += u64::from(!state.over);
        drop(state);
        let (place, patience) = (self.place.address(), humantime::format_duration(self.patience));
        self.progress.say(format!("GPU GONE - waiting up to {patience} until {place} is back"));
        self.changed.notify_all();
    }

    fn returned(&self, found: Found) {
        let path = found.path.display().to_string();
        let mut state = self.state.lock();
        let now = Instant::now();
        self.timeline.mark("back", now, MarkKind::Replug);
        state.outages.returns += u64::from(!state.over);
        let away = now - state.since;
        state.outages.lasted += away;
        state.since = now;
        state.present = Some(Arc::new(found));
        state.hindrance = None;
        drop(state);
        self.progress.say(format!("running on {path}, back after {:.1} s", away.as_secs_f64()));
        self.changed.notify_all();
    }

    /// Where the device is now, if it is there.
    fn present(state: &State) -> Option<PathBuf> {
        state.present.as_ref().filter(|found| !found.is_lost()).map(|found| found.path.clone())
    }

    fn give_up(&self, state: &mut State) {
        if std::mem::replace(&mut state.given_up, true) {
            return;
        }
        let (place, patience) = (self.place.address(), humantime::format_duration(self.patience));
        let why = state.hindrance.take().map_or_else(String::new, |error| format!(": {error}"));
        self.progress.say(format!("{place} is not back after {patience}{why}; --wait lets it take longer"));
    }
}

impl Devices for Watch<'_> {
    type Opened = OpenedNode;

    fn open(&self, limit: Duration, over: &dyn Fn() -> bool) -> Result<Option<OpenedNode>, Refused> {
        let began = Instant::now();
        let mut state = self.state.lock();
        loop {
            // One last look begins after the limit.
            let late = began.elapsed() >= limit;
            if let Some(path) = Self::present(&state) {
                drop(state);
                match OpenedNode::open(&path, self.job_limit_ms) {
                    // Lost a moment ago: the watcher will know.
                    Err(Refused::Lost) => {}
                    opened => return opened.map(Some),
                }
                state = self.state.lock();
            }
            if over() {
                return Ok(None);
            }
            if late {
                self.give_up(&mut state);
                return Ok(None);
            }
            self.changed.wait_for(&mut state, LOOK_AROUND);
        }
    }
}
