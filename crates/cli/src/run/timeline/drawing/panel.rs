//! A stretch of time: all tracks below each other, with bands for outages, lines for marks and an axis.

use std::ops::Range;
use std::time::Duration;

use svg::node::element::{Group, Line, Title};

use super::super::{MarkKind, Recording, Span, Track, lanes};
use super::axis::{self, Tick};
use super::condense::{Block, condense};
use super::{MARGIN, WIDTH, hundredths, palette, rectangle, text, text_width};

/// Where tracks begin; left of it stand their names.
const LEFT: f64 = MARGIN + 92.0;
const RIGHT: f64 = WIDTH - MARGIN;
/// Height of a lane, and of what is drawn in it.
const LANE: f64 = 11.0;
const BAR: f64 = 10.0;
/// A track with one lane is as high as text needs it.
const SINGLE_LANE: f64 = 18.0;
/// Space between tracks.
const BETWEEN: f64 = 5.0;
/// Lanes of a track that are drawn apart; further ones are drawn over the last.
const MOST_LANES: usize = 3;
/// Height of a line of labels of marks.
const LABEL_LINE: f64 = 15.0;
/// Boxes are never drawn narrower than this, in pixels: what went wrong must be seen.
const NARROWEST: f64 = 0.8;
const NARROWEST_FAILURE: f64 = 2.0;
/// Boxes wider than this, in pixels, have a seam to tell them from their neighbours.
const SEAM: f64 = 6.0;
const MOST_TICKS: u8 = 12;

/// A stretch of a recording, to be drawn.
pub(super) struct Panel<'a> {
    pub(super) recording: &'a Recording,
    pub(super) title: &'static str,
    pub(super) range: Range<Duration>,
    /// The time from which the axis counts.
    pub(super) zero: Duration,
}

impl Panel<'_> {
    /// Draws from `top` on; also gives the height it took.
    pub(super) fn draw(&self, top: f64) -> (Group, f64) {
        let title = text(MARGIN, top + 14.0, self.title).set("font-weight", "bold");
        let (labels, label_lines) = self.mark_labels(top + 36.0);
        let tracks_top = top + 30.0 + f64::from(label_lines) * LABEL_LINE;
        let mut tracks = Group::new();
        let mut rows = Group::new();
        let mut y = tracks_top;
        for (track, spans) in self.recording.tracks() {
            let (group, height) = self.track(spans, y);
            rows = rows.add(rectangle(LEFT, y, RIGHT - LEFT, height).set("fill", palette::ROW));
            rows = rows.add(text(LEFT - 10.0, y + height / 2.0 + 4.0, &track.to_string()).set("text-anchor", "end"));
            tracks = tracks.add(group);
            y += height + BETWEEN + if last_of_its_kind(self.recording, track) { BETWEEN } else { 0.0 };
        }
        let group = Group::new()
            .add(title)
            .add(rows)
            .add(self.outages(tracks_top, y))
            .add(self.axis(tracks_top, y))
            .add(tracks)
            .add(self.mark_lines(tracks_top, y))
            .add(labels);
        (group, y + 34.0 - top)
    }

    fn x(&self, at: Duration) -> f64 {
        let length = axis::seconds(self.range.end, self.range.start);
        LEFT + axis::seconds(at, self.range.start) / length * (RIGHT - LEFT)
    }

    fn track(&self, spans: &[Span], y: f64) -> (Group, f64) {
        let lanes = lanes::assign(spans);
        let visible = |span: &Span| span.end >= self.range.start && span.start <= self.range.end;
        let drawn = |lane: usize| lane.min(MOST_LANES - 1);
        let used = spans.iter().zip(&lanes).map(|(_, &lane)| drawn(lane)).max().unwrap_or(0);
        let (pitch, bar) = if used == 0 { (SINGLE_LANE, SINGLE_LANE) } else { (LANE, BAR) };
        let mut blocks = Vec::new();
        let mut y_of_lane = y;
        for lane in 0..=used {
            let in_lane = spans.iter().zip(&lanes).filter(|&(span, &of)| drawn(of) == lane && visible(span));
            let condensed = condense(in_lane.map(|(span, _)| span), |at| self.x(at));
            blocks.extend(condensed.into_iter().map(|block| (y_of_lane, block)));
            y_of_lane += pitch;
        }
        // Draw errors last, over what went well.
        blocks.sort_by_key(|(_, block)| block.outcome);
        let group = blocks.iter().fold(Group::new(), |group, (y, block)| group.add(self.block(block, *y, bar)));
        (group, y_of_lane - y - (pitch - bar))
    }

    fn block(&self, block: &Block<'_>, y: f64, height: f64) -> Group {
        let narrowest = if block.outcome.is_failure() { NARROWEST_FAILURE } else { NARROWEST };
        let left = block.left.clamp(LEFT, RIGHT - narrowest);
        let width = (block.right.min(RIGHT) - left).max(narrowest);
        let mut shape = rectangle(left, y, width, height).set("fill", palette::fill(block.outcome));
        if width > SEAM && block.count == 1 {
            shape = shape.set("stroke", palette::PAPER).set("stroke-width", 0.6);
        }
        let mut group = Group::new().add(Title::new(self.tooltip(block))).add(shape);
        if block.count == 1 && !block.name.is_empty() && width > text_width(block.name) {
            let label = text(left + width / 2.0, y + height / 2.0 + 3.5, block.name)
                .set("text-anchor", "middle")
                .set("font-size", hundredths((height - 1.0).min(10.0)))
                .set("fill", palette::on(block.outcome));
            group = group.add(label);
        }
        group
    }

    fn tooltip(&self, block: &Block<'_>) -> String {
        let what = if block.count == 1 {
            block.name.to_owned()
        } else {
            format!("{} spans, first {}", block.count, block.name)
        };
        let from = axis::seconds(block.start, self.zero) * 1e3;
        let length = axis::seconds(block.end, block.start) * 1e3;
        format!("{what}: {}; from {from:.3} ms, {length:.3} ms long", block.outcome.meaning())
    }

    fn outages(&self, top: f64, bottom: f64) -> Group {
        let mut group = Group::new();
        for outage in self.recording.outages() {
            let left = self.x(outage.start).clamp(LEFT, RIGHT);
            let right = outage.end.map_or(RIGHT, |end| self.x(end)).clamp(LEFT, RIGHT);
            if right > left {
                group = group.add(rectangle(left, top, right - left, bottom - top).set("fill", palette::OUTAGE));
            }
        }
        group
    }

    fn visible_marks(&self) -> impl Iterator<Item = (f64, &str, MarkKind)> {
        let marks = self.recording.marks.iter().filter(|mark| self.range.start <= mark.at && mark.at <= self.range.end);
        marks.map(|mark| (self.x(mark.at), mark.name.as_ref(), mark.kind))
    }

    fn mark_lines(&self, top: f64, bottom: f64) -> Group {
        self.visible_marks().fold(Group::new(), |group, (x, name, kind)| {
            let line = vertical(x, top - 4.0, bottom)
                .set("stroke", palette::line(kind))
                .set("stroke-width", 1.4)
                .set("stroke-dasharray", if kind == MarkKind::Fault { "3 3" } else { "none" });
            group.add(Group::new().add(Title::new(name)).add(line))
        })
    }

    /// Labels of the marks, each on the first line that has room for it; also gives the number of lines.
    fn mark_labels(&self, first_line: f64) -> (Group, u8) {
        let mut taken_until: Vec<f64> = Vec::new();
        let mut group = Group::new();
        for (x, name, kind) in self.visible_marks() {
            let width = text_width(name);
            let left = (x - 2.0).min(RIGHT - width);
            let line = taken_until.iter().position(|&end| end + 8.0 < left).unwrap_or(taken_until.len());
            if line == taken_until.len() {
                taken_until.push(0.0);
            }
            taken_until[line] = left + width;
            let y = first_line + f64::from(u8::try_from(line).unwrap_or(u8::MAX)) * LABEL_LINE;
            group = group.add(text(left, y, name).set("fill", palette::line(kind)).set("font-weight", "bold"));
        }
        (group, u8::try_from(taken_until.len()).unwrap_or(u8::MAX))
    }

    fn axis(&self, top: f64, bottom: f64) -> Group {
        let ticks = axis::ticks(&self.range, self.zero, MOST_TICKS);
        let offset = axis::seconds(self.zero, self.range.start);
        let length = axis::seconds(self.range.end, self.range.start);
        ticks.iter().fold(Group::new(), |group, Tick { at, label }| {
            let x = LEFT + (at + offset) / length * (RIGHT - LEFT);
            let line = vertical(x, top, bottom + 4.0).set("stroke", palette::GRID);
            let label = text(x, bottom + 18.0, label).set("text-anchor", "middle").set("fill", palette::FAINT_TEXT);
            group.add(line).add(label)
        })
    }
}

fn vertical(x: f64, top: f64, bottom: f64) -> Line {
    let x = hundredths(x);
    Line::new().set("x1", x).set("x2", x).set("y1", hundredths(top)).set("y2", hundredths(bottom))
}

/// Whether the next track is of another kind, which deserves a wider space.
fn last_of_its_kind(recording: &Recording, track: Track) -> bool {
    let next = recording.tracks().map(|(other, _)| other).find(|other| *other > track);
    next.is_some_and(|next| std::mem::discriminant(&next) != std::mem::discriminant(&track))
}
