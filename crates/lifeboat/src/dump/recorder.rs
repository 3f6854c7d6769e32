//! When a dump is taken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lifeboat_core::class::Presence;
use lifeboat_core::health::Verdict;
use lifeboat_core::incident::Incident;
use lifeboat_core::minor::Minor;
use lifeboat_core::unplug::Loss;
use lifeboat_driver::{Driver, dump};
use lifeboat_sync::lint::Mutex;

use super::capture::{Capture, RingMemory, Source};
use super::kept::Kept;
use super::{Dump, Reason};
use crate::link::Link;
use crate::listeners::ReportDump;
use crate::locks;
use crate::sched::Events;
use crate::subsystem::Subsystem;

/// How long a device that is lost may take for its answers. One that takes longer is not asked anything else: its binding
/// waits to be ended.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// The dump of a binding that ends, without what the device says.
struct Ending {
    capture: Capture,
    reason: Reason,
}

/// Takes the dumps of one binding.
pub(crate) struct Recorder<S: Subsystem> {
    source: Source<S>,
    incident: Mutex<Incident>,
    /// Of the binding that ends, until it is complete.
    ending: Mutex<Option<Ending>>,
    kept: Kept,
    report: ReportDump,
}

impl<S: Subsystem> Recorder<S> {
    pub(crate) fn new(
        link: Arc<Link>,
        events: Events<S::Job>,
        rings: Box<[RingMemory]>,
        (minor, location): (Minor, &str),
        limit: usize,
        report: ReportDump,
    ) -> Self {
        let location = location.to_owned();
        let source = Source { link, events, rings, minor, location, bound: Instant::now(), limit };
        let kept = Kept::new(&source);
        let (incident, ending) = (Mutex::new(&locks::INCIDENT, Incident::none()), Mutex::new(&locks::ENDING, None));
        Self { source, incident, ending, kept, report }
    }

    /// The driver has found something wrong, and has reset nothing for it yet. Takes a dump, if this is the beginning of an
    /// incident. Allocates nothing, and may be called by any thread that holds no lock.
    ///
    /// Not of a device that does not answer: the bus side [ends](Self::ends) that, and knows whether it was pulled out.
    pub(crate) fn failed(&self, reason: Reason) {
        if self.answers() && self.begin(reason) {
            (self.report)();
        }
    }

    /// A reset has succeeded.
    pub(crate) fn mended(&self) {
        let completed = self.source.events.completed();
        self.incident.lock().mended(completed);
    }

    /// The binding is about to end, or to be wedged; nothing is announced yet. As [`Recorder::failed`], but reports nothing: whoever
    /// ends it takes the dumps afterwards. Asks the device nothing: an answer may take seconds, and users are told of the loss
    /// first. [`Recorder::complete`] does.
    pub(crate) fn ends(&self, loss: Loss) {
        let Some(reason) = dump::Reason::at_the_end(loss).map(Reason::from) else { return };
        let Some(mut capture) = self.new_incident(reason) else { return };
        capture.begin(&self.source, reason);
        *self.ending.lock() = Some(Ending { capture, reason });
    }

    /// Users have been told of the loss, and nothing has been stopped: completes the dump of a binding that ends by what the
    /// device says, if it says so soon. By the worker: an answer that never comes must not keep the unplug.
    pub(crate) fn complete(&self) {
        let ending = self.ending.lock().take();
        let Some(Ending { mut capture, reason }) = ending else { return };
        let asked = Instant::now();
        if reason != Reason::Lost && self.answers() && asked.elapsed() < ANSWER_LIMIT {
            capture.read(&self.source, || asked.elapsed() < ANSWER_LIMIT);
        } else {
            capture.nothing_to_read();
        }
        self.captured(capture, reason);
    }

    /// The hardware has been cut off. Of a dump that nobody has [completed](Self::complete) there is what it has.
    pub(crate) fn ended(&self) {
        let ending = self.ending.lock().take();
        if let Some(Ending { mut capture, reason }) = ending {
            capture.nothing_to_read();
            self.captured(capture, reason);
        }
    }

    fn answers(&self) -> bool {
        let verdict = self.source.link.io(S::Driver::presence);
        matches!(verdict, Ok(Verdict::Alive | Verdict::Unsure))
    }

    /// Whether there is a new dump now.
    fn begin(&self, reason: Reason) -> bool {
        let Some(mut capture) = self.new_incident(reason) else { return false };
        capture.fill(&self.source, reason);
        self.captured(capture, reason);
        true
    }

    /// Room for the dump of a new incident, if this is one.
    fn new_incident(&self, reason: Reason) -> Option<Capture> {
        // What is announced as gone has no jobs any more.
        if self.source.link.presence() != Presence::Live {
            return None;
        }
        let completed = self.source.events.completed();
        if !self.incident.lock().failed(completed) {
            return None;
        }
        let capture = self.kept.free();
        if capture.is_none() {
            tracing::warn!(minor = self.source.minor.0, %reason, "no dump: nobody has taken the ones before");
        }
        capture
    }

    fn captured(&self, capture: Capture, reason: Reason) {
        self.kept.filled(capture);
        tracing::info!(minor = self.source.minor.0, %reason, "a dump was captured");
    }

    /// A dump of what is, whatever it is. In memory of its own.
    pub(crate) fn by_hand(&self) -> Arc<Dump> {
        let mut capture = Capture::new(&self.source);
        capture.fill(&self.source, Reason::ByHand);
        let dump = Arc::new(capture.dump(&self.source));
        self.kept.keep(&dump);
        dump
    }

    /// What was captured since this was asked last, oldest first.
    pub(crate) fn take(&self) -> Vec<Arc<Dump>> {
        self.kept.take(&self.source)
    }

    /// The dump that was made last.
    pub(crate) fn last(&self) -> Option<Arc<Dump>> {
        self.kept.last()
    }
}
