//! A recording as a drawing, in SVG: the whole run, and below it the first unplug enlarged.
//!
//! An unplug takes less than a millisecond and a run some seconds, so the steps of the unplug path are a hair in the
//! panel of the whole run; the second panel is there to show them.

mod axis;
mod condense;
mod palette;
mod panel;

use std::io::{self, Write};
use std::time::Duration;

use svg::Document;
use svg::node::element::{Group, Rectangle, Text};

use super::{Outcome, Recording, Track};
use panel::Panel;

/// Width of the drawing in pixels: what a README shows without scaling it down much.
const WIDTH: f64 = 1200.0;
/// Free space at the drawing's border.
const MARGIN: f64 = 24.0;
/// Below this share of the whole run, the first unplug is enlarged in a panel of its own.
const ENLARGE_BELOW: f64 = 0.1;

/// Writes the drawing.
///
/// # Errors
/// Errors of the writer.
pub fn write(recording: &Recording, title: &str, out: impl Write) -> io::Result<()> {
    svg::write(out, &draw(recording, title))
}

fn draw(recording: &Recording, title: &str) -> Document {
    let mut body = Group::new();
    let mut y = MARGIN + 14.0;
    body = body.add(text(MARGIN, y, title).set("font-size", 17).set("font-weight", "bold"));
    y += 26.0;
    body = body.add(legend(recording, y));
    y += 22.0;
    if recording.left_out > 0 {
        let note = format!("{} later spans of completed work are not shown", recording.left_out);
        body = body.add(text(MARGIN, y, &note).set("fill", palette::FAINT_TEXT));
        y += 20.0;
    }
    for panel in panels(recording) {
        let (group, height) = panel.draw(y);
        body = body.add(group);
        y += height;
    }
    let height = (y + MARGIN).ceil();
    Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "system-ui, 'DejaVu Sans', Arial, sans-serif")
        .set("font-size", 12)
        .set("fill", palette::TEXT)
        .add(Rectangle::new().set("width", WIDTH).set("height", height).set("fill", palette::PAPER))
        .add(body)
}

fn panels(recording: &Recording) -> Vec<Panel<'_>> {
    let end = recording.end().max(Duration::from_micros(1));
    let whole = Panel { recording, title: "The whole run", range: Duration::ZERO..end, zero: Duration::ZERO };
    let mut panels = vec![whole];
    if let Some(window) = first_unplug(recording)
        && axis::seconds(window.end, window.start) < end.as_secs_f64() * ENLARGE_BELOW
    {
        let zero = recording.outages()[0].start;
        let title = "The first unplug, enlarged; time runs from the moment the GPU vanished";
        panels.push(Panel { recording, title, range: window, zero });
    }
    panels
}

/// From shortly before the first loss to shortly after the last step of its unplug path.
fn first_unplug(recording: &Recording) -> Option<std::ops::Range<Duration>> {
    let outage = *recording.outages().first()?;
    let until = outage.end.unwrap_or(Duration::MAX);
    let steps = recording.spans.iter().filter(|span| span.track == Track::Unplug);
    let last = steps.filter(|span| span.start >= outage.start && span.start < until).map(|span| span.end).max()?;
    let around = last.saturating_sub(outage.start) / 6 + Duration::from_micros(1);
    Some(outage.start.saturating_sub(around)..last + around)
}

/// The colours that occur, with their meaning.
fn legend(recording: &Recording, y: f64) -> Group {
    let mut outcomes: Vec<Outcome> = recording.spans.iter().map(|span| span.outcome).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    let mut entries: Vec<_> = outcomes.into_iter().map(|outcome| (palette::fill(outcome), outcome.meaning())).collect();
    if !recording.outages().is_empty() {
        entries.push((palette::OUTAGE, "no GPU"));
    }
    let mut group = Group::new();
    let mut x = MARGIN;
    for (colour, meaning) in entries {
        let swatch = rectangle(x, y - 10.0, 14.0, 12.0).set("rx", 2).set("fill", colour);
        group = group.add(swatch).add(text(x + 20.0, y, meaning));
        x += 20.0 + text_width(meaning) + 22.0;
    }
    group
}

fn text(x: f64, y: f64, content: &str) -> Text {
    Text::new(content).set("x", hundredths(x)).set("y", hundredths(y))
}

fn rectangle(x: f64, y: f64, width: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("x", hundredths(x))
        .set("y", hundredths(y))
        .set("width", hundredths(width))
        .set("height", hundredths(height))
}

/// Width of a text at the drawing's font size, roughly; the font is the viewer's.
fn text_width(content: &str) -> f64 {
    content.chars().map(|_| 6.7).sum()
}

/// More digits would make the file larger and nothing better.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::super::{MarkKind, Timeline, sample};
    use super::*;

    fn drawn(recording: &Recording, title: &str) -> String {
        let mut svg = Vec::new();
        write(recording, title, &mut svg).unwrap();
        String::from_utf8(svg).unwrap()
    }

    /// Look at what it writes: `LIFEBOAT_SAMPLE=sample.svg cargo test -p lifeboat-cli sample_drawing`.
    #[test]
    fn the_sample_drawing_shows_what_happened() {
        let svg = drawn(&sample::recording(), "sobel over bundled picture");
        for shown in
            ["client 4", "ring 1", "device", "unplug@40%", "replug", "hang@job:217", "drain", "no GPU", "enlarged"]
        {
            assert!(svg.contains(shown), "{shown}");
        }
        assert!(svg.contains(palette::fill(Outcome::Lost)) && svg.contains(palette::fill(Outcome::Faulted)));
        if let Some(path) = std::env::var_os("LIFEBOAT_SAMPLE") {
            std::fs::write(path, svg).unwrap();
        }
    }

    #[test]
    fn thousands_of_jobs_stay_a_small_file() {
        let timeline = Timeline::start();
        let at = |us: u64| timeline.origin + Duration::from_micros(us);
        for n in 0..50_000 {
            timeline.span(Track::Client(1), "job", at(n * 100), at(n * 100 + 90), Outcome::Done);
        }
        let svg = drawn(&timeline.finish(), "");
        assert!(svg.len() < 100_000, "{}", svg.len());
        assert!(svg.contains("50000 spans, first job: completed"));
    }

    #[test]
    fn a_single_loss_among_them_is_still_seen() {
        let timeline = Timeline::start();
        let at = |us: u64| timeline.origin + Duration::from_micros(us);
        for n in 0..50_000 {
            let outcome = if n == 31_415 { Outcome::Lost } else { Outcome::Done };
            timeline.span(Track::Client(1), "job", at(n * 100), at(n * 100 + 90), outcome);
        }
        let recording = timeline.finish();
        let in_legend = 1;
        assert_eq!(drawn(&recording, "").matches(palette::fill(Outcome::Lost)).count() - in_legend, 1);
    }

    #[test]
    fn names_cannot_break_the_drawing() {
        let timeline = Timeline::start();
        let end = timeline.origin + Duration::from_secs(1);
        timeline.span(Track::Device, "</text><script>", timeline.origin, end, Outcome::Present);
        timeline.mark("a<b & \"c\"", timeline.origin, MarkKind::Unplug);
        let svg = drawn(&timeline.finish(), "x < y & z");
        assert!(!svg.contains("<script>") && !svg.contains("a<b") && !svg.contains("x < y"), "{svg}");
        assert!(svg.contains("x &lt; y &amp; z"));
    }

    #[test]
    fn nothing_recorded_is_drawn_as_nothing() {
        assert!(drawn(&Recording::default(), "").contains("</svg>"));
    }
}
