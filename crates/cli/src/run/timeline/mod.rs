//! Record of a run over time, drawn or exported after it.
//!
//! A [`Timeline`] takes spans and marks from any thread; recording is a lock and a push. It stores a bounded number of
//! spans: beyond [`SPAN_LIMIT`] completed work is only counted, because there is plenty of it, while what went wrong is
//! still kept, up to twice that number. A [`Recording`] is the result, for the [`drawing`] and the [`trace`].
//!
//! What it is not: a profiler. It shows who did what when and how that ended, not why it took its time.

pub mod drawing;
mod lanes;
pub mod trace;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most spans of completed work that are kept: some 15 MB, and more than a drawing can show.
pub const SPAN_LIMIT: usize = 200_000;

/// An actor; a row of the drawing. Rows stand in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Track {
    /// A client, counted from 1.
    Client(u8),
    /// A ring of the device.
    Ring(u8),
    /// The device itself: when it is there.
    Device,
    /// The steps of the unplug path.
    Unplug,
}

/// The kind of a span, or its end; its colour in the drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Work that was completed.
    Done,
    /// The device is there.
    Present,
    /// Waiting for a device.
    Waiting,
    /// A step of the unplug path or of a recovery.
    Step,
    /// Work that ended because it hung or faulted.
    Faulted,
    /// Work that ended because the device vanished.
    Lost,
}

/// An event at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkKind {
    /// The device vanishes: the beginning of an outage.
    Unplug,
    /// A device is back: the end of an outage.
    Replug,
    /// Another fault.
    Fault,
}

/// The recorder. All times are measured from its creation.
#[derive(Debug)]
pub struct Timeline {
    origin: Instant,
    /// `None` if nothing is to be recorded.
    recording: Option<Mutex<Recording>>,
}

/// The record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    spans: Vec<Span>,
    marks: Vec<Mark>,
    /// Spans that there was no room for.
    left_out: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Span {
    track: Track,
    name: Cow<'static, str>,
    start: Duration,
    end: Duration,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq)]
struct Mark {
    name: Cow<'static, str>,
    at: Duration,
    kind: MarkKind,
}

/// The time between an unplug and the replug after it, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    start: Duration,
    end: Option<Duration>,
}

impl Timeline {
    /// A recorder that begins now.
    pub fn start() -> Self {
        Self { origin: Instant::now(), recording: Some(Mutex::default()) }
    }

    /// A recorder that records nothing, for runs without `--timeline`.
    pub fn off() -> Self {
        Self { origin: Instant::now(), recording: None }
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.recording.is_some()
    }

    /// Records that a track was busy from `start` to `end`.
    pub fn span(
        &self,
        track: Track,
        name: impl Into<Cow<'static, str>>,
        start: Instant,
        end: Instant,
        outcome: Outcome,
    ) {
        let (start, end) = (self.since_origin(start), self.since_origin(end.max(start)));
        self.record(|recording| {
            let limit = if outcome == Outcome::Done { SPAN_LIMIT } else { 2 * SPAN_LIMIT };
            if recording.spans.len() < limit {
                recording.spans.push(Span { track, name: name.into(), start, end, outcome });
            } else {
                recording.left_out += 1;
            }
        });
    }

    /// Records that something happened.
    pub fn mark(&self, name: impl Into<Cow<'static, str>>, at: Instant, kind: MarkKind) {
        let at = self.since_origin(at);
        self.record(|recording| recording.marks.push(Mark { name: name.into(), at, kind }));
    }

    /// Takes out what has been recorded, in the order of time; nothing if the recorder is off.
    pub fn finish(&self) -> Recording {
        let mut recording = Recording::default();
        self.record(|recorded| recording = std::mem::take(recorded));
        // Of two that start together the longer comes first, so that it gets the upper lane.
        recording.spans.sort_by_key(|span| (span.track, span.start, std::cmp::Reverse(span.end)));
        recording.marks.sort_by_key(|mark| mark.at);
        recording
    }

    fn record(&self, change: impl FnOnce(&mut Recording)) {
        if let Some(recording) = &self.recording {
            // A panic elsewhere leaves at worst one span out.
            change(&mut recording.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn since_origin(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.origin)
    }
}

impl Recording {
    /// When the last thing ended.
    fn end(&self) -> Duration {
        let spans = self.spans.iter().map(|span| span.end);
        spans.chain(self.marks.iter().map(|mark| mark.at)).max().unwrap_or_default()
    }

    /// The spans by track, tracks and spans in order.
    fn tracks(&self) -> impl Iterator<Item = (Track, &[Span])> {
        self.spans.chunk_by(|a, b| a.track == b.track).filter_map(|spans| Some((spans.first()?.track, spans)))
    }

    fn outages(&self) -> Vec<Outage> {
        let mut outages: Vec<Outage> = Vec::new();
        for mark in &self.marks {
            let open = outages.last_mut().filter(|outage| outage.end.is_none());
            match (mark.kind, open) {
                (MarkKind::Unplug, None) => outages.push(Outage { start: mark.at, end: None }),
                (MarkKind::Replug, Some(outage)) => outage.end = Some(mark.at),
                _ => {}
            }
        }
        outages
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(n) => write!(f, "client {n}"),
            Self::Ring(n) => write!(f, "ring {n}"),
            Self::Device => f.write_str("device"),
            Self::Unplug => f.write_str("unplug path"),
        }
    }
}

impl Outcome {
    /// Whether something went wrong, so that it must not be overlooked.
    const fn is_failure(self) -> bool {
        matches!(self, Self::Faulted | Self::Lost)
    }

    /// The meaning, in a few words.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "completed",
            Self::Present => "GPU present",
            Self::Waiting => "waiting for the GPU",
            Self::Step => "step of the unplug path",
            Self::Faulted => "ended by a hang or fault",
            Self::Lost => "ended by the loss of the GPU",
        }
    }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
