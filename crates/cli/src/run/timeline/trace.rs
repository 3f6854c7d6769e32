//! A recording in Chrome's trace event format, for `chrome://tracing` and Perfetto.
//!
//! A viewer nests the spans of a thread, so spans that overlap without nesting must be on threads of their own: each lane
//! of a track is one.

use std::io::{self, Write};
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{MarkKind, Outcome, Recording, Track, lanes};

/// All events belong to this one process.
const PROCESS: u32 = 1;

#[derive(Serialize)]
struct Trace<'a> {
    #[serde(rename = "traceEvents")]
    events: Vec<TraceEvent<'a>>,
    #[serde(rename = "displayTimeUnit")]
    unit: &'static str,
    #[serde(rename = "otherData")]
    other: OtherData,
}

#[derive(Serialize)]
struct OtherData {
    spans_left_out: u64,
}

#[derive(Serialize)]
struct TraceEvent<'a> {
    #[serde(rename = "ph")]
    phase: &'static str,
    name: &'a str,
    #[serde(rename = "cat", skip_serializing_if = "Option::is_none")]
    category: Option<&'static str>,
    #[serde(rename = "ts", serialize_with = "microseconds")]
    at: Duration,
    #[serde(rename = "dur", serialize_with = "optional_microseconds", skip_serializing_if = "Option::is_none")]
    duration: Option<Duration>,
    #[serde(rename = "pid")]
    process: u32,
    #[serde(rename = "tid")]
    thread: usize,
    /// Reach of an instant's line; `g` is all tracks.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(rename = "args", skip_serializing_if = "Option::is_none")]
    arguments: Option<Arguments>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Arguments {
    Name(String),
    SortIndex(usize),
    Outcome(&'static str),
}

/// Writes the trace.
///
/// # Errors
/// Errors of the writer.
pub fn write(recording: &Recording, out: impl Write) -> io::Result<()> {
    let mut events = vec![metadata("process_name", 0, Arguments::Name("lifeboat run".to_owned()))];
    let mut threads = 0;
    for (track, spans) in recording.tracks() {
        let lanes = lanes::assign(spans);
        for lane in 0..=lanes.iter().copied().max().unwrap_or(0) {
            let thread = threads + lane;
            events.push(metadata("thread_name", thread, Arguments::Name(thread_name(track, lane))));
            events.push(metadata("thread_sort_index", thread, Arguments::SortIndex(thread)));
        }
        events.extend(spans.iter().zip(&lanes).map(|(span, lane)| TraceEvent {
            phase: "X",
            name: &span.name,
            category: Some(category(span.outcome)),
            at: span.start,
            duration: Some(span.end.saturating_sub(span.start)),
            process: PROCESS,
            thread: threads + lane,
            scope: None,
            arguments: Some(Arguments::Outcome(span.outcome.meaning())),
        }));
        threads += lanes.iter().copied().max().unwrap_or(0) + 1;
    }
    events.extend(recording.marks.iter().map(|mark| TraceEvent {
        phase: "i",
        name: &mark.name,
        category: Some(match mark.kind {
            MarkKind::Unplug => "unplug",
            MarkKind::Replug => "replug",
            MarkKind::Fault => "fault",
        }),
        at: mark.at,
        duration: None,
        process: PROCESS,
        thread: 0,
        scope: Some("g"),
        arguments: None,
    }));
    let other = OtherData { spans_left_out: recording.left_out };
    serde_json::to_writer(out, &Trace { events, unit: "ms", other })?;
    Ok(())
}

fn metadata(name: &'static str, thread: usize, arguments: Arguments) -> TraceEvent<'static> {
    TraceEvent {
        phase: "M",
        name,
        category: None,
        at: Duration::ZERO,
        duration: None,
        process: PROCESS,
        thread,
        scope: None,
        arguments: Some(arguments),
    }
}

fn thread_name(track: Track, lane: usize) -> String {
    if lane == 0 { track.to_string() } else { format!("{track} ({})", lane + 1) }
}

const fn category(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Present => "present",
        Outcome::Waiting => "waiting",
        Outcome::Step => "step",
        Outcome::Faulted => "faulted",
        Outcome::Lost => "lost",
    }
}

fn microseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64() * 1e6)
}

#[allow(clippy::ref_option)] // the signature that serde calls
fn optional_microseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    microseconds(&duration.unwrap_or_default(), serializer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn events() -> Vec<Value> {
        let mut json = Vec::new();
        write(&sample::recording(), &mut json).unwrap();
        let trace: Value = serde_json::from_slice(&json).unwrap();
        trace["traceEvents"].as_array().unwrap().clone()
    }

    #[test]
    fn every_span_and_mark_is_there_in_microseconds() {
        let recording = sample::recording();
        let events = events();
        let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).collect::<Vec<_>>();
        assert_eq!((of("X").len(), of("i").len()), (recording.spans.len(), recording.marks.len()));
        let unplug = of("i").into_iter().find(|event| event["cat"] == "unplug").unwrap();
        let at = recording.outages()[0].start.as_secs_f64() * 1e6;
        assert!((unplug["ts"].as_f64().unwrap() - at).abs() < 0.01 && unplug["s"] == "g");
    }

    #[test]
    fn threads_have_names_and_their_spans_do_not_overlap() {
        let events = events();
        let mut names = BTreeMap::new();
        for event in events.iter().filter(|event| event["name"] == "thread_name") {
            names.insert(event["tid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap());
        }
        assert!(names.values().any(|&name| name == "client 1") && names.values().any(|&name| name == "unplug path"));
        let mut ends = BTreeMap::new();
        for event in events.iter().filter(|event| event["ph"] == "X") {
            let (thread, start) = (event["tid"].as_u64().unwrap(), event["ts"].as_f64().unwrap());
            assert!(names.contains_key(&thread));
            let end = ends.insert(thread, start + event["dur"].as_f64().unwrap()).unwrap_or(0.0);
            assert!(start >= end - 0.01, "{event}");
        }
    }
}
